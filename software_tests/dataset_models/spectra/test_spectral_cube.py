"""What a cube keeps when rows or wavelengths are cut from it, and what it rejects."""

import numpy as np
import pytest

from dataset_models.spectra.spectral_cube import SpectralCube

SHAPE = (4, 3, 1, 6)


def cube(**changes):
    values = np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)
    options = {"sigma": values / 10, "wavelength_shift": values[:, :, 0, 0]}
    options |= {"times": np.arange(3).astype("datetime64[ms]"), "pointing": np.zeros((3, 2))}
    return SpectralCube(values, 6300.0 + np.arange(6), **{**options, **changes})


def test_rows_keep_what_belongs_to_columns():
    part = cube().rows(slice(1, 3))
    np.testing.assert_array_equal(part.wavelength_shift, part.values[:, :, 0, 0])
    np.testing.assert_array_equal(part.sigma, part.values / 10)
    assert part.shape == (2, 3)
    assert (len(part.times), len(part.pointing)) == (3, 3)


def test_range_keeps_the_shift():
    part = cube().in_range(6301, 6304)
    assert part.wavelength.tolist() == [6301, 6302, 6303, 6304]
    np.testing.assert_array_equal(part.sigma, part.values / 10)
    assert part.wavelength_shift.shape == (4, 3)


def test_errors():
    with pytest.raises(ValueError, match=r"expected wavelength_shift \(y, x\) \(4, 3\)"):
        cube(wavelength_shift=np.zeros((3, 4)))
    with pytest.raises(ValueError, match="wavelengths must be finite and increase"):
        SpectralCube(np.zeros(SHAPE), np.full(6, 6300.0))
    with pytest.raises(ValueError, match="0 wavelengths lie between"):
        cube().in_range(1, 2)
