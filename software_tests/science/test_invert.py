"""The inversion command: what it reads, what it writes, what it refuses."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from dataset_models.SDO.AIA.six_channels import read_six_images
from dataset_models.solar_data import DataIntegrityError
from science.dem.invert import main
from software_tests.tools.emission_measure.simulated import simulated_map
from tools.channels import CAMERA, aia_degradation
from tools.emission_measure.response import RESPONSE_CHANNELS

SIDE = 20
TIME = "2014-01-11T08:00:01"


def write_six(folder, *, changes=None):
    """Write six FITS files of a simulated map in DN, as of that date; give paths, truth, rates."""
    truth, dn, _ = simulated_map(SIDE, 1)
    paths, rates = [], dn.reshape(SIDE, SIDE, 6)
    for k, channel in enumerate(RESPONSE_CHANNELS):
        left = aia_degradation(channel, np.array([TIME], "datetime64[s]"))[0]
        seconds = CAMERA[channel].exposure_s
        cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": channel, "EXPTIME": seconds, "DATE-OBS": TIME}
        cards |= {"CRPIX1": 10.5, "CRPIX2": 10.5, "CRVAL1": -300.0, "CRVAL2": 120.0}
        cards |= {"CDELT1": 0.6, "CDELT2": 0.6, "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}
        cards |= {"CUNIT1": "arcsec", "CUNIT2": "arcsec"} | (changes or {}).get(channel, {})
        data = (rates[..., k] * seconds * left).astype(np.float32)
        paths.append(str(folder / f"{channel}.fits"))
        fits.PrimaryHDU(data, fits.Header(cards)).writeto(paths[-1], overwrite=True)
    return paths, truth, rates


@pytest.mark.parametrize("method", ["basis-pursuit", "tikhonov", "plowman-caspi"])
def test_six_files_become_a_cube_with_coordinates(tmp_path, method, capsys):
    paths, truth, rates = write_six(tmp_path)
    output = tmp_path / "out" / "em.fits"
    assert main([*paths[::-1], "--method", method, "--output", str(output)]) == 0
    assert "solved" in capsys.readouterr().out
    with fits.open(output) as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus]
        assert names == ["PRIMARY", "ERROR", "CHI2", "STATUS", "MODEL", "OBSERVED"]
        em, header = hdus[0].data, hdus[0].header
        assert em.shape == (18, SIDE, SIDE)
        assert header["BUNIT"] == "cm-5"
        assert hdus["STATUS"].header["STATUS10"] == "no channel is positive"
        observed = np.moveaxis(hdus["OBSERVED"].data, 0, -1)
        np.testing.assert_allclose(observed, rates, rtol=1e-4, atol=1e-3)
        total = em.sum(axis=0).ravel() / truth.sum(axis=1)
        assert 0.5 < np.median(total) < 1.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            world = WCS(header).all_pix2world([[9.5, 9.5, 3]], 0)[0]
        longitude = (world[0] + 180) % 360 - 180
        assert (longitude, world[1]) == pytest.approx((-300 / 3600, 120 / 3600), abs=1e-9)
        assert world[2] == pytest.approx(5.8)
        has_errors = np.isfinite(hdus["ERROR"].data).any()
        assert has_errors == (method == "tikhonov")
    for name in ("bins", "channels", "mean"):
        assert (tmp_path / "out" / f"em_{name}.png").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_an_array_gives_an_array(tmp_path):
    _, dn, _ = simulated_map(SIDE, 1)
    np.save(tmp_path / "six.npy", np.moveaxis(dn.reshape(SIDE, SIDE, 6), -1, 0))
    output = tmp_path / "em.fits"
    assert main([str(tmp_path / "six.npy"), "--output", str(output)]) == 0
    found = np.load(tmp_path / "em.npy")
    with fits.open(output) as hdus:
        np.testing.assert_array_equal(found, hdus[0].data)


def test_a_saturated_pixel_is_left_out_and_damage_is_read(tmp_path):
    paths, *_ = write_six(tmp_path)
    with fits.open(paths[2], mode="update") as hdus:
        hdus[0].data[4, 5] = 16383.0
        hdus[0].data[6, 7] = np.nan
    six = read_six_images(paths)
    assert six.saturated[4, 5].tolist() == [False, False, True, False, False, False]
    assert six.saturated.sum() == 1
    assert np.isnan(six.dn[6, 7, 2])
    assert main([*paths, "--output", str(tmp_path / "em.fits")]) == 0
    with fits.open(tmp_path / "em.fits") as hdus:
        assert hdus["STATUS"].data[4, 5] == 0
        assert hdus[0].data[:, 4, 5].sum() > 0
        assert hdus[0].data[:, 6, 7].sum() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({171: {"DATE-OBS": "2014-01-11T08:05:01"}}, "300 s apart"),
        ({171: {"CRVAL1": -310.0}}, "points elsewhere than 94.fits, by 16.7 pixels"),
        ({171: {"WAVELNTH": 304}}, "304 is no channel of the temperature responses"),
        ({171: {"WAVELNTH": 193}}, "193 angstrom is there twice"),
        ({171: {"TELESCOP": "Hinode", "INSTRUME": "SOT/WB"}}, "expected an image of SDO/AIA"),
    ],
)
def test_what_is_not_one_view_of_the_sun_is_refused(tmp_path, changes, message):
    paths, *_ = write_six(tmp_path, changes=changes)
    with pytest.raises(DataIntegrityError, match=message):
        main([*paths, "--output", str(tmp_path / "em.fits")])
    assert not (tmp_path / "em.fits").exists()


def test_one_channel_alone_and_other_files_are_refused(tmp_path, shared):
    paths, *_ = write_six(tmp_path)
    with pytest.raises(DataIntegrityError, match="lacking: 94, 131, 193, 211, 335"):
        main([paths[2]])
    np.save(tmp_path / "a.npy", np.zeros((18, 4, 4)))
    with pytest.raises(DataIntegrityError, match="expected numbers with the shape"):
        main([str(tmp_path / "a.npy")])
    with pytest.raises(ValueError, match="no whole number"):
        main([*paths, "--step", "0.13"])
    hinode = sorted((shared / "hinode_sot").glob("*.fits.gz"))[:6]
    with pytest.raises(DataIntegrityError, match="expected an image of SDO"):
        main([str(path) for path in hinode])
