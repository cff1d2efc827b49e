"""Packed scans of FISS: profiles, the axis of wavelengths in COMMENT, pairs, errors.

Small pairs are written here from known profiles; the real scans are compared with PROVENANCE.md.
"""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.fiss import read_fiss
from dataset_models.spectra.read_spectra import read_spectra

N_X, N_Y, N_WAVELENGTH, N_VECTORS = 3, 5, 60, 4
CORE = 30  # pixel, counted from 0


def line(depth=0.6):
    pixel = np.arange(N_WAVELENGTH)
    return 1 - depth * np.exp(-((pixel - CORE) ** 2) / 50)


def pair(folder, *, step=-0.025, pixel=float(CORE), skipped=(), vectors=None):
    """Write a pair whose profiles are (1 + x) 10^(y / 10) times one line."""
    basis = np.zeros((20, N_WAVELENGTH), np.float32)
    basis[0] = line()
    x, y = np.ogrid[:N_X, :N_Y]
    packed = np.zeros((N_X, N_Y, 21), np.float32)
    packed[..., 0] = 1 + x
    packed[..., 20] = y / 10
    header = fits.Header({"PFILE": "FISS_A1_p.fts"})
    cards = {
        "CRVAL1": "8542.09",
        "CDELT1": f"{step}",
        "CRPIX1": f"{pixel}",
        "STRTIME": "'2014.06.03-17:08:24'",
        "TARGET": "'Sunspot '",
    }
    for key, text in cards.items():
        if key not in skipped:
            header["COMMENT"] = f"{key:8}= {text:>20} / a note"
    fits.writeto(folder / "FISS_A1_c.fts", packed, header)
    fits.writeto(folder / "FISS_A1_p.fts", basis if vectors is None else vectors)
    return folder / "FISS_A1_c.fts"


@pytest.mark.parametrize("ending", ["c", "p"])
def test_profiles_from_either_file(tmp_path, ending):
    pair(tmp_path)
    cube = read_spectra(tmp_path / f"FISS_A1_{ending}.fts")
    assert cube.values.shape == (N_Y, N_X, 1, N_WAVELENGTH)
    # a decreasing axis is turned
    expected = 3 * 10**0.4 * line()[::-1]
    np.testing.assert_allclose(cube.values[4, 2, 0], expected, rtol=1e-6)  # float32
    assert cube.wavelength[N_WAVELENGTH - 1 - CORE] == pytest.approx(8542.09)
    assert np.diff(cube.wavelength) == pytest.approx(0.025)
    assert (cube.unit, cube.line) == ("counts", "Ca II 8542")
    assert cube.time == "2014-06-03T17:08:24.000"
    assert cube.header["TARGET"] == "Sunspot"
    assert cube.summary.mended == ()


def test_axis_that_misses_the_core_is_moved(tmp_path):
    cube = read_fiss(pair(tmp_path, pixel=CORE + 12.0))
    core = cube.values.mean((0, 1, 2)).argmin()
    # a parabola through seven values of a Gaussian 7 pixels wide
    assert cube.wavelength[core] == pytest.approx(8542.09, abs=0.1 * 0.025)
    assert "misses the core of the mean profile by -12.0 pixels" in cube.summary.mended[0]


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_fiss(tmp_path / "FISS_A1_c.fts")
    path = pair(tmp_path)
    path.with_name("FISS_A1_p.fts").rename(tmp_path / "other_p.fts")
    with pytest.raises(FileNotFoundError, match="FISS_A1_p.fts"):
        read_fiss(path)
    with pytest.raises(FileNotFoundError, match="come in pairs"):
        read_fiss(tmp_path / "other_p.fts")


def test_pairs_that_do_not_fit(tmp_path):
    path = pair(tmp_path, vectors=np.ones((3, N_WAVELENGTH)))
    with pytest.raises(DataIntegrityError, match="expected 20 eigenvectors"):
        read_fiss(path)


def test_lost_axis(tmp_path):
    with pytest.raises(DataIntegrityError, match="CRVAL1, CDELT1 and CRPIX1 in its COMMENT"):
        read_fiss(pair(tmp_path, skipped=("CDELT1",)))


def test_other_files(tmp_path):
    path = tmp_path / "a_c.fts"
    fits.writeto(path, np.ones((3, 4, 5)))
    with pytest.raises(DataIntegrityError, match="read it as plain spectra"):
        read_fiss(path)


@pytest.mark.parametrize(
    ("name", "shape", "rest"),
    [
        ("FISS_20140603_170841_A1_c.fts", (256, 130, 1, 512), 6562.817),
        ("FISS_20140603_170901_B1_c.fts", (250, 130, 1, 502), 8542.09),
    ],
)
def test_real_scans(shared, name, shape, rest):
    cube = read_spectra(shared / "spectra" / "fiss" / name)
    assert cube.values.shape == shape
    core = cube.wavelength[cube.values[::8, ::8, 0].mean((0, 1)).argmin()]
    assert abs(core - rest) < 0.06  # two to three pixels, 3 km/s
    assert cube.time.startswith("2014-06-03T17:08")
    assert np.isfinite(cube.values).all()
