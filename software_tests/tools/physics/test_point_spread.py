"""Convolution with a telescope's point-spread function: algebra and scipy as the other method."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import convolve

from tools.physics.point_spread import PointSpread, gaussian_point_spread, read_point_spread


@pytest.fixture
def lopsided(generator):
    return PointSpread(generator.uniform(0.1, 1, (7, 5)) ** 3)


def test_it_is_the_convolution_with_mirrored_edges(lopsided, generator):
    maps = generator.normal(size=(20, 17, 3))
    expected = [convolve(maps[..., k], lopsided.kernel, mode="reflect") for k in range(3)]
    assert np.allclose(lopsided.apply(maps), np.stack(expected, -1), atol=1e-13)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_transpose_is_the_transpose(lopsided, generator, kind):
    x, y = (generator.normal(size=(12, 15, 2)).astype(kind) for _ in range(2))
    left, right = np.sum(lopsided.apply(x) * y), np.sum(x * lopsided.transpose(y))
    assert lopsided.apply(x).dtype == kind
    # rounding of each precision over 360 products
    assert left == pytest.approx(right, rel=1e-12 if kind == np.float64 else 1e-4)


def test_a_constant_stays_and_light_is_kept(lopsided, generator):
    assert np.allclose(lopsided.apply(np.full((9, 9), 4.0)), 4.0, rtol=1e-13)
    maps = generator.uniform(size=(30, 30))
    maps[:8], maps[-8:], maps[:, :8], maps[:, -8:] = 0, 0, 0, 0
    assert lopsided.apply(maps).sum() == pytest.approx(maps.sum(), rel=1e-12)


def test_energy_is_what_is_left_of_white_noise(generator):
    spread = gaussian_point_spread(0.5, 0.1)
    noise = generator.normal(size=(400, 400))
    # 160,000 values of which some twenty share a neighbourhood: 1 % or so
    assert spread.apply(noise).var() == pytest.approx(spread.energy, rel=0.05)


def test_a_gaussian_has_its_width():
    kernel = gaussian_point_spread(0.8, 0.1).kernel
    middle = len(kernel) // 2
    assert kernel[middle, middle + 4] / kernel[middle, middle] == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("scale", ["0.08", "0.11", "0.16"])
def test_hinode_s_function(shared, scale):
    spread = read_point_spread(shared / f"inversion/hinode_psf/hinode_psf_{scale}.fits")
    assert spread.kernel.sum() == pytest.approx(1, abs=1e-12)
    centre = {"0.08": 0.0561, "0.11": 0.0964, "0.16": 0.1975}[scale]
    assert spread.kernel.max() == pytest.approx(centre, abs=1e-4)
    assert spread.kernel[tuple(n // 2 for n in spread.kernel.shape)] == spread.kernel.max()


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (np.ones((4, 5)), "odd sides"),
        (np.zeros((3, 3)), "sum > 0"),
        (np.full((3, 3), np.nan), "finite"),
        (np.array([[1.0, -0.5, 1.0]] * 3), "negative"),
    ],
)
def test_what_is_no_point_spread_function(kernel, said):
    with pytest.raises(ValueError, match=said):
        PointSpread(kernel)


def test_pixels_of_another_size_and_small_maps():
    spread = gaussian_point_spread(0.32, 0.08)
    with pytest.raises(ValueError, match=r"0\.08 arcsec, the map of 0\.16"):
        spread.require_scale(0.16)
    spread.require_scale(0.0801)
    with pytest.raises(ValueError, match="cut the function"):
        spread.apply(np.ones((3, 40)))


def test_files(tmp_path):
    header = fits.Header({"CDELT1": 0.16, "CUNIT1": "arcsec"})
    fits.writeto(tmp_path / "own.fits", np.ones((3, 3)), header)
    assert read_point_spread(tmp_path / "own.fits").pixel_arcsec == 0.16
    np.save(tmp_path / "own.npy", np.ones((3, 5)))
    assert read_point_spread(tmp_path / "own.npy", pixel_arcsec=0.1).kernel.shape == (3, 5)
    (tmp_path / "text.fits").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.fits"):
        read_point_spread(tmp_path / "text.fits")
    with pytest.raises(FileNotFoundError, match=r"none\.fits"):
        read_point_spread(tmp_path / "none.fits")
