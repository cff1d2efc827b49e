"""Random fields: spectra and cells against algebra and SciPy, slow change, movement."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from dataset_models.solar_scenes.painting.noise import (
    View,
    _nearest_cells,
    band_pass,
    cells,
    oriented,
)


def view(shape=(96, 96), *, seed=1, offset=(0.0, 0.0), elapsed_s=0.0):
    return View(shape, 0.5, np.random.default_rng(seed), offset, elapsed_s)


def test_band_passed_noise_has_unit_variance_and_its_own_scale():
    fields = np.array([band_pass(view(seed=k), 1.5, 6.0) for k in range(60)])
    # 60 fields of some 96^2 / (4 pi 1.5^2 2) independent places each: 1 % is three deviations
    assert fields.var() == pytest.approx(1, abs=0.03)
    assert abs(fields.mean()) < 1e-6  # the filter has no response at zero
    k = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96))
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(0)
    response = np.exp(-2 * np.pi**2 * 1.5**2 * k**2) - np.exp(-2 * np.pi**2 * 6**2 * k**2)
    inside = response > 0.2
    ratio = power[inside] / response[inside] ** 2
    # each value is a mean of 60 exponential ones: relative spread 1 / sqrt(60)
    assert ratio.std() / ratio.mean() == pytest.approx(60**-0.5, rel=0.15)


def test_noise_moves_with_the_offset():
    still, moved = band_pass(view(), 1.0, 5.0), band_pass(view(offset=(3.0, -2.0)), 1.0, 5.0)
    np.testing.assert_allclose(moved, np.roll(still, (3, -2), (0, 1)), atol=1e-4)


def test_noise_changes_within_its_lifetime():
    first = band_pass(view(), 1.0, 5.0, lifetime_s=100)
    for elapsed in (10, 50, 100):
        later = band_pass(view(elapsed_s=elapsed), 1.0, 5.0, lifetime_s=100)
        # every Fourier phase turns at a normal rate: the mean cosine is exp(-t^2 / 2)
        expected = np.exp(-((elapsed / 100) ** 2) / 2)
        assert (first * later).mean() == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("angle", [0.0, np.pi / 3, np.pi / 2])
def test_threads_run_along_their_direction(angle):
    field = oriented(view((192, 192)), 1.0, 6.0, np.full((192, 192), angle))
    down, right = np.gradient(field)
    # the direction of least change, from the structure tensor
    across = 0.5 * np.arctan2(2 * (down * right).mean(), (right**2 - down**2).mean())
    difference = (across + np.pi / 2 - angle + np.pi / 2) % np.pi - np.pi / 2
    assert abs(difference) < 0.1


def test_cells_are_the_nearest_centres():
    generator = np.random.default_rng(3)
    centres = generator.random((64, 64, 2)).astype(np.float32)
    values = generator.random((64, 64)).astype(np.float32)
    y, x = (generator.uniform(2, 62, (20, 20)).astype(np.float32) for _ in "yx")
    inside, value = _nearest_cells(y, x, centres, values)
    rows, columns = np.mgrid[:64, :64]
    places = np.stack([rows + centres[..., 0], columns + centres[..., 1]], -1).reshape(-1, 2)
    distance, index = cKDTree(places).query(np.stack([y.ravel(), x.ravel()], 1), k=2)
    same = value.ravel() == values.ravel()[index[:, 0]]
    assert same.all()
    # a second neighbour may lie beyond the 3 x 3 cells that are searched
    close = distance[:, 1] < 1
    expected = (distance[:, 1] - distance[:, 0])[close]
    np.testing.assert_allclose(inside.ravel()[close], expected, atol=2e-5)


def test_cells_move_with_the_offset():
    still, _ = cells(view(), 9.0, warp=0.2)
    moved, _ = cells(view(offset=(4.0, 0.0)), 9.0, warp=0.2)
    np.testing.assert_allclose(moved[10:], still[6:-4], atol=2e-3)
