"""HMI's field and continuum beside AIA's channels, and sunpy Maps in the place of files."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.SDO.fits_folder import FITSFolder, FITSImages
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.SDO.image_file import read_header, read_image
from dataset_models.solar_data import DataIntegrityError
from dataset_models.store import build_store
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import virtual_flare_record
from software_tests.dataset_models.SDO.test_fits import header, write
from tools.channels import AIA_CHANNELS, HMI_CHANNELS, channel_unit

TURNED = {"CROTA2": 180.0}  # HMI's images come upside down


def hmi_header(**changes):
    cards = {"TELESCOP": "SDO/HMI", "INSTRUME": "HMI_FRONT2", "WAVELNTH": 6173.0, "BUNIT": "Gauss"}
    cards |= {"CONTENT": "MAGNETOGRAM", "EXPTIME": None}
    return header(**(cards | changes))


def write_hmi(path, data, **changes):
    fits.PrimaryHDU(data, hmi_header(**changes)).writeto(path)
    return path


def test_field_keeps_its_sign_and_is_turned_north_up(tmp_path, generator):
    field = generator.normal(0, 300, (64, 64)).astype(np.float32)
    path = write_hmi(tmp_path / "m.fits", field, **TURNED)
    found = read_image(path, 64)
    assert found.header.channel == "B_los"
    assert found.throughput == 1
    np.testing.assert_allclose(found.image, field[::-1, ::-1], rtol=1e-6)


def test_both_instruments_make_images_of_ten_channels(tmp_path, generator):
    files = tmp_path / "files"
    files.mkdir()
    field = generator.normal(0, 300, (64, 64)).astype(np.float32)
    bright = generator.uniform(1e4, 6e4, (64, 64)).astype(np.float32)
    write(files / "a.fits")
    write_hmi(files / "m.fits", field)
    write_hmi(files / "c.fits", bright, CONTENT="CONTINUUM INTENSITY", BUNIT="DN/s")
    channels = (*AIA_CHANNELS, *HMI_CHANNELS)
    source = FITSFolder(files, 64, channels=channels)
    assert len(source) == 1
    store = build_store(tmp_path / "store", source)
    image = store.read([0])[0]
    assert store.channels == channels
    assert store.manifest["units"][8:] == ["G", "DN s-1"]
    assert np.abs(image[8] - field).max() <= 0.08 + 0.01  # half a step
    assert np.abs(image[9] - bright).max() <= 1.2
    assert np.isnan(image[0]).all()
    assert np.isfinite(image[2]).all()
    without = FITSFolder(files, 64)
    assert without.problems == [
        "c.fits: continuum is not asked for",
        "m.fits: B_los is not asked for",
    ]
    assert channel_unit(171) == "DN s-1 pix-1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CONTENT": "DOPPLERGRAM"}, "expected an HMI magnetogram or continuum"),
        ({"BUNIT": "kG"}, "expected B_los in gauss"),
        ({"DATE-OBS": "yesterday"}, "lacks or garbles"),
        ({"CDELT1": None}, "CDELT1"),
    ],
)
def test_what_is_no_image_of_hmi_is_refused(tmp_path, changes, message):
    path = write_hmi(tmp_path / "m.fits", np.ones((64, 64), np.float32), **changes)
    with pytest.raises(DataIntegrityError, match=message):
        read_header(path)


def test_a_channel_that_does_not_exist_is_refused(tmp_path):
    write(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="expected channels among 94, 131"):
        FITSFolder(tmp_path, 32, channels=(171, 1700))


def test_a_map_gives_what_its_file_gives(tmp_path, generator):
    sunpy_map = pytest.importorskip("sunpy.map")
    data = generator.gamma(2, 100, (64, 64)).astype(np.float32)
    more = {"RSUN_OBS": 970.0, "DSUN_OBS": 1.48e11, "HGLT_OBS": 1.0, "HGLN_OBS": 0.0}
    path = write(tmp_path / "a.fits", data, INSTRUME="AIA_3", WAVEUNIT="angstrom", **more)
    image = sunpy_map.Map(path)
    np.testing.assert_array_equal(read_image(image, 32).image, read_image(path, 32).image)
    store = build_store(tmp_path / "store", FITSImages([image], 32))
    wcs = store.wcs(0)
    assert wcs["RSUN_OBS"] == 970.0
    assert wcs["CDELT1"] == pytest.approx(FIELD_ARCSEC / 32)
    again = sunpy_map.Map(store.read([0])[0, 2], fits.Header(wcs | {"DSUN_OBS": 1.48e11}))
    assert abs(again.center.Tx.value) < 1e-6
    with pytest.raises(TypeError, match="expected a FITS file or a map"):
        read_image(3.5, 32)


def test_nothing_beyond_the_limb_is_no_missing_channel(tmp_path, generator):
    files = tmp_path / "files"
    files.mkdir()
    x = (np.arange(64) - 31.5) * FIELD_ARCSEC / 64
    off_limb = np.hypot(*np.meshgrid(x, x)) > 950
    field = np.where(off_limb, np.nan, generator.normal(0, 300, (64, 64))).astype(np.float32)
    bright = np.where(off_limb, np.nan, 5e4).astype(np.float32)
    day = "2101-03-01T00:00:00"
    write(files / "a.fits", np.full((64, 64), 90.0, np.float32), BUNIT="DN/s", **{"DATE-OBS": day})
    write_hmi(files / "m.fits", field, **{"DATE-OBS": day})
    write_hmi(files / "c.fits", bright, CONTENT="CONTINUUM", BUNIT="DN/s", **{"DATE-OBS": day})
    channels = (171, *HMI_CHANNELS)
    source = FITSFolder(files, 64, channels=channels, degradation_corrected=True)
    record = virtual_flare_record(simulate_record(FlareProcessParameters(), years=0.5, seed=2))
    store = build_store(tmp_path / "store", source)
    dataset = FDL1(store, record, HistoryWindow(history_h=24), need_label=False)
    sample = dataset.read(np.array([0]))
    assert sample["aia_present"].tolist() == [[[1, 1, 1]]]
    seen = sample["aia"][0, 0, ..., 1]
    np.testing.assert_allclose(seen[~off_limb], field[~off_limb], atol=0.1)
    assert (seen[off_limb] == 0).all()
    assert dataset.disc_totals[0, 1] > 1.5  # of absolute values
