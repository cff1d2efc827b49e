"""Rasters of IRIS: windows, fill, saturation, thinned-out files, noise, several files."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.iris_raster import read_iris_raster
from dataset_models.spectra.read_spectra import read_spectra

N_X, N_Y, N_WAVE = 4, 5, 12
NAMES, STARTS, STEP = ("Si IV 1403", "Mg II k 2796"), (1402.0, 2795.0), 0.025
COLUMNS = {"TIME": 0, "EXPTIMEF": 1, "EXPTIMEN": 2, "XCENIX": 3, "YCENIX": 4}
FILE = "iris_l2_20210905_001833_3620258102_raster_t000_r00000.fits"


def raster(path, *, start="2021-09-05T00:00:00.000", data=None, step_x=2.0, thinned=1, **cards):
    """Write a raster of two windows; with ``thinned``, the header says that many times more."""
    header = fits.Header({"TELESCOP": "IRIS", "INSTRUME": "SPEC", "STARTOBS": start, "NWIN": 2})
    header.update({"FOVY": 0.33 * N_Y * thinned, "STEPS_AV": step_x, "OBSID": "1"})
    windows = []
    for k, name in enumerate(NAMES):
        last = STARTS[k] + (N_WAVE * thinned - 1) * STEP
        header.update({f"TDESC{k + 1}": name, f"TDET{k + 1}": ("FUV2", "NUV")[k]})
        header.update({f"TWMIN{k + 1}": STARTS[k], f"TWMAX{k + 1}": last})
        own = fits.Header({"CRVAL1": STARTS[k], "CDELT1": STEP, "CRPIX1": 1.0, "CDELT2": 0.33})
        own.update({"CDELT3": step_x, "PC2_2": 1.0, "PC3_3": 1.0, "PC2_3": -0.1, "PC3_2": 0.1})
        values = np.full((N_X, N_Y, N_WAVE), 20.0, np.float32) if data is None else data
        windows.append(fits.ImageHDU(values.astype(values.dtype.newbyteorder(">")), own))
    header.update(cards)
    auxiliary = np.zeros((N_X, len(COLUMNS)))
    auxiliary[:, 0] = 10.0 * np.arange(N_X) + 0.25
    auxiliary[:, 1:3] = 8.0
    auxiliary[:, 3] = 100 + step_x * np.arange(N_X)
    auxiliary[:, 4] = -50
    last = fits.ImageHDU(auxiliary, fits.Header(COLUMNS))
    fits.HDUList([fits.PrimaryHDU(header=header), *windows, last]).writeto(path)
    return path


@pytest.fixture
def observed(shared):
    return shared / "inversion" / "iris" / FILE


def test_axes_times_and_places(tmp_path):
    data = np.arange(N_X * N_Y * N_WAVE, dtype=np.float32).reshape(N_X, N_Y, N_WAVE)
    cube = read_iris_raster(raster(tmp_path / "a.fits", data=data), window="Si IV 1403")
    np.testing.assert_array_equal(cube.values[:, :, 0], data.swapaxes(0, 1))
    assert cube.values.dtype == np.dtype("float64")  # native, not the file's big-endian
    np.testing.assert_allclose(cube.wavelength, 1402 + 0.025 * np.arange(N_WAVE))
    assert str(cube.times[1]) == "2021-09-05T00:00:10.250"
    np.testing.assert_allclose(cube.pointing[:, 0], [100, 102, 104, 106])
    assert (cube.wcs["CRVAL1"], cube.wcs["CRPIX1"]) == (103.0, 2.5)
    assert (cube.wcs["CDELT1"], cube.wcs["CDELT2"]) == pytest.approx((2.0, 0.33))
    # the header turns x by +0.1 of a step along the slit: PC1_2 of the map, times CDELT2 / CDELT1
    assert cube.wcs["PC2_1"] == pytest.approx(-0.1 * 2.0 / 0.33)
    assert (cube.unit, cube.instrument, cube.line) == ("DN", "IRIS/FUV", "Si IV 1403")


@pytest.mark.parametrize(
    ("window", "line"),
    [("mg ii k", NAMES[1]), ("2", NAMES[1]), (1402.1, NAMES[0]), ("1399", NAMES[0])],
)
def test_windows(tmp_path, window, line):
    assert read_iris_raster(raster(tmp_path / "a.fits"), window=window).line == line


def test_window_errors(tmp_path):
    path = raster(tmp_path / "a.fits")
    with pytest.raises(DataIntegrityError, match=r"one of its 2 windows \(1 Si IV 1403, 2 Mg II k"):
        read_iris_raster(path)
    with pytest.raises(DataIntegrityError, match="it has no such window"):
        read_iris_raster(path, window="C II")
    with pytest.raises(DataIntegrityError, match="several windows have it"):
        read_iris_raster(path, window="i")
    with pytest.raises(DataIntegrityError, match="window '3' is missing"):
        read_iris_raster(path, window="3")
    with pytest.raises(DataIntegrityError, match="lies in no window"):
        read_iris_raster(path, window=1500.0)


def test_fill_stays_out_and_noise_below_zero_stays_in(tmp_path):
    data = np.full((N_X, N_Y, N_WAVE), 20.0, np.float32)
    data[0, 0, :4] = [-200, -1327, -10.5, -9.5]
    cube = read_iris_raster(raster(tmp_path / "a.fits", data=data), window=1)
    np.testing.assert_array_equal(np.isnan(cube.values[0, 0, 0, :4]), [True, True, True, False])
    assert np.isnan(cube.values).sum() == 3
    assert not cube.saturated.any()
    assert "are fill and missing" in cube.summary.mended[0]


@pytest.mark.parametrize("full", [16383.0, 20000.0, np.inf])
def test_saturation(tmp_path, full):
    data = np.full((N_X, N_Y, N_WAVE), 20.0, np.float32)
    data[2, 1, 5] = full
    cube = read_iris_raster(raster(tmp_path / "a.fits", data=data), window=1)
    assert np.isnan(cube.values[1, 2, 0, 5])
    assert np.argwhere(cube.saturated).tolist() == [[1, 2]]


def test_saturation_of_16_bits(tmp_path):
    path = raster(tmp_path / "a.fits", data=np.full((N_X, N_Y, N_WAVE), -31000, np.int16))
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[1].data[0, 0, :2] = 32767, -32768
        hdus[1].header.update({"BSCALE": 0.25, "BZERO": 7992})
    cube = read_iris_raster(path, window=1)
    assert cube.values[1, 1, 0, 0] == 242.0  # -31000 / 4 + 7992
    assert cube.saturated[0, 0]  # 16,183.75 DN is the most that 16 bits hold
    assert np.isnan(cube.values).sum() == 2  # and the least, -200, is fill


@pytest.mark.parametrize(("window", "gain", "readout"), [(1, 4.0, 3.1), (2, 18.0, 1.2)])
def test_noise(tmp_path, window, gain, readout):
    """Numbers of De Pontieu et al. 2014: photons per DN and read-out noise in DN."""
    data = np.full((N_X, N_Y, N_WAVE), 100.0, np.float32)
    data[0] = -5
    cube = read_iris_raster(raster(tmp_path / "a.fits", data=data), window=window)
    np.testing.assert_allclose(cube.sigma[:, 1:], np.sqrt(100 / gain + readout**2))
    np.testing.assert_allclose(cube.sigma[:, 0], readout)


def test_thinned_out_file(tmp_path):
    cube = read_iris_raster(raster(tmp_path / "a.fits", thinned=10), window=1)
    np.testing.assert_allclose(cube.wavelength, 1402 + 0.025 * (4.5 + 10 * np.arange(N_WAVE)))
    assert cube.wcs["CDELT2"] == pytest.approx(3.3)
    assert "thinned out 10 times" in cube.summary.mended[0]
    path = raster(tmp_path / "b.fits", TWMAX1=1402.4)
    with pytest.raises(DataIntegrityError, match="another span"):
        read_iris_raster(path, window=1)


def test_several_files_stand_in_order_of_time(tmp_path):
    late = raster(tmp_path / "r00000.fits", start="2021-09-05T01:00:00")
    early = raster(tmp_path / "r00001.fits", data=np.full((N_X, N_Y, N_WAVE), 7.0))
    other = raster(tmp_path / "r00002.fits", TDESC1="C II 1336")
    small = raster(tmp_path / "r00003.fits", data=np.ones((N_X, N_Y - 1, N_WAVE)))
    broken = tmp_path / "r00004.fits"
    broken.write_bytes(late.read_bytes()[:20000])
    cube = read_iris_raster([late, early, other, small, broken], window="1")
    assert cube.shape == (N_Y, 2 * N_X)
    assert (cube.values[:, :N_X] == 7).all()
    assert (np.diff(cube.times) > np.timedelta64(0)).all()
    assert cube.wcs == {}
    assert cube.summary.n_read == 2
    text = " ".join(cube.summary.left_out)
    assert "expected the window Si IV 1403" in text
    assert "(slit, wavelength)" in text
    assert "r00004.fits: can't be read" in text


def test_sit_and_stare_has_times_not_a_map(tmp_path):
    cube = read_iris_raster(raster(tmp_path / "a.fits", step_x=0.0), window=1)
    assert cube.wcs == {}
    assert "columns are times" in cube.summary.notes[0]


def test_errors(tmp_path):
    path = tmp_path / "a.fits"
    fits.writeto(path, np.ones((2, 3, 4)))
    with pytest.raises(DataIntegrityError, match="a.fits: expected a raster of IRIS"):
        read_iris_raster(path)
    path = raster(tmp_path / "b.fits", NWIN=3)
    with pytest.raises(DataIntegrityError, match="expected NWIN, TDESC"):
        read_iris_raster(path)
    path = raster(tmp_path / "c.fits", data=np.full((N_X, N_Y, N_WAVE), -200.0))
    with pytest.raises(DataIntegrityError, match="got fill alone"):
        read_iris_raster(path, window=1)
    path = raster(tmp_path / "d.fits")
    with fits.open(path, mode="update") as hdus:
        del hdus[3].header["TIME"]
    with pytest.raises(DataIntegrityError, match="expected TIME of 4 raster steps"):
        read_iris_raster(path, window=1)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_iris_raster(tmp_path / "none.fits")


def test_observed_axes(observed):
    """Numbers of PROVENANCE.md: 187 times, 40 slit positions, every 93.2 s, 29 wavelengths."""
    cube = read_spectra(observed, window="Si IV 1403")
    assert cube.values.shape == (40, 187, 1, 29)
    assert np.diff(cube.wavelength) == pytest.approx(0.2544, abs=1e-6)
    steps = np.diff(cube.times) / np.timedelta64(1, "s")
    assert (steps > 92.8).all()
    assert (steps < 93.6).all()
    assert str(cube.times[-1]) == "2021-09-05T05:07:27.470"
    assert cube.wcs == {}
    # -200: 16.1 %, below -10 besides: 2.6 %
    assert np.isnan(cube.values).mean() == pytest.approx(0.187, abs=0.002)
    assert np.nanmin(cube.values) >= -10


@pytest.mark.parametrize(
    ("window", "laboratory"),
    [("Si IV 1394", 1393.755), ("Si IV 1403", 1402.770), ("Mg II k", 2796.352)],
)
def test_observed_lines_lie_where_they_should(observed, window, laboratory):
    cube = read_spectra(observed, window=window)
    mean = np.array([np.nanmedian(v) if np.isfinite(v).any() else 0 for v in cube.values.T[:, 0]])
    k = mean.argmax()
    around = slice(k - 1, k + 2)
    base = np.sort(mean[mean > 0])[:5].mean()
    centroid = np.average(cube.wavelength[around], weights=np.maximum(mean[around] - base, 0))
    # PROVENANCE.md: centroids ask for 0.14 to 0.46 steps; a mean of ten pixels for 0.45
    assert abs(centroid - laboratory) < 0.4 * (cube.wavelength[1] - cube.wavelength[0])
