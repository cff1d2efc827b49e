"""Images of one time brought onto one grid of pixels, by what their headers say of their places."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform, distance_transform_edt

from dataset_models.fits_files.coordinates import astropy_wcs
from dataset_models.solar_data import DataIntegrityError

__all__ = ["corner_offset", "resampled"]

_LARGEST_SHIFT = 0.1  # of the longer side
_LARGEST_RESCALING = 1.25
_SPLINE = 3  # order; as is usual for AIA's level 1.5
_CURVED_PIXELS = 0.1  # how far the map between the grids may be from affine


def corner_offset(shape: tuple[int, int], wcs: dict, other: dict) -> float:
    """Give how far the corners of an image lie from where another's coordinates put them, pixels.

    Parameters
    ----------
    shape : (y, x)
        Of the image whose pixels are counted.
    wcs, other : dict
        FITS keywords of its coordinates, and of the other's.
    """
    corners = np.array([[0, 0], [0, shape[0] - 1], [shape[1] - 1, 0], np.subtract(shape[::-1], 1)])
    return float(np.abs(_onto(corners, wcs, other) - corners).max())


def resampled(
    data: np.ndarray, wcs: dict, target_shape: tuple[int, int], target: dict, name: str
) -> np.ndarray:
    """Interpolate an image at the pixels of another: shift, turn and small change of scale.

    Values are brightness per pixel and stay so. Cubic splines lower the noise of a pixel by up to a
    third and link neighbours; errors are not changed. What has no value spreads by one pixel.

    Parameters
    ----------
    data : (y, x) float
        NaN where there is no value.
    wcs, target : dict
        FITS keywords of the coordinates of the image, and of the grid asked for.
    target_shape : (y, x)
    name : str
        What the image is called in messages.

    Returns
    -------
    target_shape float64
        NaN beyond the image.

    Raises
    ------
    DataIntegrityError
        If the grids are too different for that.
    """
    matrix, shift = _affine(target_shape, target, wcs, name)
    scale = np.sqrt(abs(np.linalg.det(matrix)))
    middle = (np.array(target_shape) - 1) / 2
    away = np.abs(matrix @ middle + shift - (np.array(data.shape) - 1) / 2).max()
    most = _LARGEST_SHIFT * max(*data.shape, *target_shape) + 1e-3  # a tenth itself is allowed
    if not 1 / _LARGEST_RESCALING <= scale <= _LARGEST_RESCALING or away > most:
        raise DataIntegrityError(
            f"{name}: to bring it onto the first file's grid it would be moved by {away:.0f} "
            f"pixels and rescaled by {scale:.2f}; --coregister does a tenth of the side and "
            f"{_LARGEST_RESCALING:g} at most. Use reproject or aiapy.calibrate.register"
        )
    missing = ~np.isfinite(data)
    if missing.any():
        nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        data = data[tuple(nearest)]
    options = {"offset": shift, "output_shape": target_shape, "cval": np.nan, "mode": "constant"}
    out = affine_transform(np.asarray(data, float), matrix, order=_SPLINE, **options)
    if missing.any():
        share = affine_transform(missing.astype(float), matrix, order=1, **options)
        out[share > 1e-3] = np.nan
    return out


def _affine(
    shape: tuple[int, int], wcs: dict, other: dict, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Give matrix and shift from an image's pixels (row, column) to another's."""
    column, row = np.meshgrid(*(np.linspace(0, side - 1, 5) for side in shape[::-1]))
    places = np.stack([column.ravel(), row.ravel()], axis=1)
    found = _onto(places, other, wcs)
    terms = np.column_stack([places[:, ::-1], np.ones(len(places))])
    solved, *_ = np.linalg.lstsq(terms, found[:, ::-1], rcond=None)
    off = np.abs(terms @ solved - found[:, ::-1]).max()
    if not off < _CURVED_PIXELS:
        raise DataIntegrityError(
            f"{name}: its coordinates differ from the first file's by more than shift, turn and "
            f"scale ({off:.1f} pixels); use reproject"
        )
    return solved[:2].T, solved[2]


def _onto(places: np.ndarray, wcs: dict, other: dict) -> np.ndarray:
    """Give the pixels (column, row) of an image at the places of another's pixels."""
    sky = astropy_wcs(other).wcs_pix2world(places, 0)
    return astropy_wcs(wcs).wcs_world2pix(sky, 0)
