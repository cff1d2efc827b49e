"""Reads an image of FITS or .npy as a cube of one wavelength, with its noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import convolve

from dataset_models.fits_files.cards import hdu_cards
from dataset_models.fits_files.coordinates import celestial_coordinates
from dataset_models.fits_files.opening import image_hdus, opened_hdus
from dataset_models.spectra.spectral_cube import SpectralCube

__all__ = ["image_noise", "read_image_cube"]

# annihilates planes; Immerkaer (1996, Computer Vision and Image Understanding 64, 300)
_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], float)


def image_noise(image: np.ndarray) -> float:
    """Return the noise of an image, one sigma, from second differences in both directions.

    1.4826 times their median absolute value, over 6, the norm of the mask. Structure of the size of
    a pixel counts as noise.

    Raises
    ------
    ValueError
        If the image has no noise, or hardly any value.
    """
    differences = convolve(np.asarray(image, float), _MASK, mode="nearest")[1:-1, 1:-1]
    differences = differences[np.isfinite(differences)]
    noise = 1.4826 * float(np.median(np.abs(differences))) / 6 if len(differences) else 0.0
    if not noise > 0:
        raise ValueError(
            "expected an image with noise to estimate it from, got constant or missing values; "
            "give the noise (--noise)"
        )
    return noise


def read_image_cube(path: str | Path, *, noise: float = 0.0) -> SpectralCube:
    """Read the first image of a FITS file, or a two-dimensional .npy array.

    Parameters
    ----------
    path : path
    noise : float
        One sigma in the image's unit; 0: estimated by ``image_noise``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no image (y, x), or its noise can't be estimated.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected an image, got no such file: {path}; check the path")
    wcs, unit, instrument, time = {}, "", "", ""
    if path.suffix == ".npy":
        try:
            image = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path.name}: can't be read as .npy ({error})") from None
    else:
        with opened_hdus(path) as hdus:
            k = image_hdus(hdus, path.name)[0]
            image, cards = np.array(hdus[k].data), hdu_cards(hdus, k)
        unit, instrument, time = (
            str(cards.get(key, "")).strip() for key in ("BUNIT", "INSTRUME", "DATE-OBS")
        )
        try:
            wcs = celestial_coordinates(cards, image.shape[-2:])
        except (KeyError, ValueError):
            wcs = {}  # places in pixels are all that a field needs
    image = np.squeeze(image)
    if image.ndim != 2 or min(image.shape) < 4 or image.dtype.kind not in "iuf":
        raise ValueError(
            f"{path.name}: expected an image of numbers (y, x) of 4 x 4 or more, got "
            f"{image.dtype} {image.shape}; select one plane"
        )
    image = image.astype(float)
    sigma = noise or image_noise(image)
    return SpectralCube(
        image[:, :, None, None],
        np.array([1.0]),
        sigma=np.full((1, 1, 1, 1), sigma),
        unit=unit,
        instrument=instrument or path.stem,
        time=time,
        wcs=wcs,
    )
