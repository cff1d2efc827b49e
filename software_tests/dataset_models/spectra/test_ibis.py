"""The IBIS scan that mcalf publishes, and that package's results."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.ibis import read_ibis, read_ibis_results
from dataset_models.spectra.read_spectra import read_spectra

WAVELENGTH = np.array([8541.0, 8541.6, 8542.1, 8542.4, 8543.0])


def scan(folder, wavelength=WAVELENGTH):
    """Write a cube that counts its pixels, with its wavelengths."""
    path = folder / "spectra.fits"
    fits.writeto(path, np.arange(5 * 3 * 4, dtype=np.float32).reshape(5, 3, 4))
    np.savetxt(folder / "wavelengths.txt", wavelength)
    return path


def test_axes(tmp_path):
    cube = read_spectra(scan(tmp_path))
    assert cube.values.shape == (3, 4, 1, 5)
    np.testing.assert_array_equal(cube.values[1, 2, 0], 6 + 12 * np.arange(5))
    np.testing.assert_allclose(cube.wavelength, WAVELENGTH)
    assert cube.unit == "counts"


def test_errors(tmp_path):
    path = scan(tmp_path, WAVELENGTH[:4])
    with pytest.raises(DataIntegrityError, match=r"expected \(4 wavelengths, y, x\)"):
        read_ibis(path)
    (tmp_path / "wavelengths.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no such file of wavelengths"):
        read_ibis(path)
    with pytest.raises(DataIntegrityError, match="give results of mcalf"):
        read_ibis_results(path)


def test_real_scan(shared):
    cube = read_spectra(shared / "spectra" / "ibis8542" / "spectra.fits")
    assert cube.values.shape == (60, 50, 1, 27)  # PROVENANCE.md: (27, 60, 50) in the file
    mean = cube.values.mean((0, 1, 2))
    assert abs(cube.wavelength[mean.argmin()] - 8542.09) < 0.05  # NIST, air; steps of 0.025
    assert (cube.wavelength[0], cube.wavelength[-1]) == pytest.approx(
        (8540.944, 8543.344), abs=1e-3
    )


def test_published_results(shared):
    maps = read_ibis_results(shared / "spectra" / "ibis8542" / "results.fits")
    assert {a.shape for a in maps.values()} == {(60, 50)}
    # PROVENANCE.md
    assert np.isnan(maps["VLOSA"]).mean() == pytest.approx(0.47, abs=0.005)
    assert np.nanmax(np.abs(maps["VLOSQ"])) == pytest.approx(5.268, abs=1e-3)
    assert set(np.unique(maps["CLASSIFICATIONS"])) <= {0, 1, 2, 3, 4}
