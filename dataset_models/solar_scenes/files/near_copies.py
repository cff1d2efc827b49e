"""How alike two frames are: small thumbnails, and their correlation after the best shift."""

from __future__ import annotations

import numpy as np

from dataset_models.solar_scenes.files.resize import area_resize

__all__ = ["THUMBNAIL_SIDE", "largest_aligned_correlation", "thumbnail"]

THUMBNAIL_SIDE = 24
_CANDIDATES = 8  # most alike by two quick measures, then compared at all shifts
_ROWS = 256  # compared at a time, which bounds the memory


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a small version of a frame with mean 0 and spread 1.

    Parameters
    ----------
    image : (y, x) float

    Returns
    -------
    (feature,) float32
        NaN where the frame shows nothing.
    """
    small = area_resize(image, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)).astype(float).ravel()
    small -= small.mean()
    spread = small.std()
    if not spread > 1e-6 * np.abs(image).max():
        return np.full(small.size, np.nan, np.float32)
    return (small / spread).astype(np.float32)


def largest_aligned_correlation(thumbnails: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return each frame's largest correlation with any other frame, at the best circular shift.

    Only the most alike are compared at all shifts: the nearest by their plain correlation and by
    their power spectra, which no shift changes.

    Parameters
    ----------
    thumbnails : (frame, feature) float
    others : (other, feature) float
        Both from ``thumbnail``; rows of NaN are compared with nothing.

    Returns
    -------
    (frame,) float
        NaN where there is nothing to compare.
    """
    out = np.full(len(thumbnails), np.nan)
    others = others[np.isfinite(others).all(axis=1)]
    rows = np.flatnonzero(np.isfinite(thumbnails).all(axis=1))
    if len(others) == 0:
        return out
    other_spectra = _spectra(others)
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        ours = thumbnails[part]
        near = np.concatenate(
            [_nearest(ours @ others.T), _nearest(_spectra(ours) @ other_spectra.T)], axis=1
        )
        for row, image, candidates in zip(part, ours, near, strict=True):
            out[row] = _best_shift(image, others[candidates])
    return out


def _spectra(thumbnails: np.ndarray) -> np.ndarray:
    """Return amplitudes of the Fourier transform as vectors of length 1."""
    amplitude = np.abs(np.fft.rfft2(_squares(thumbnails))).reshape(len(thumbnails), -1)
    return (amplitude / np.linalg.norm(amplitude, axis=1, keepdims=True)).astype(np.float32)


def _nearest(likeness: np.ndarray) -> np.ndarray:
    n = min(_CANDIDATES, likeness.shape[1])
    return np.argpartition(-likeness, n - 1, axis=1)[:, :n]


def _best_shift(image: np.ndarray, others: np.ndarray) -> float:
    product = np.fft.rfft2(_squares(image[None])) * np.conj(np.fft.rfft2(_squares(others)))
    side = THUMBNAIL_SIDE
    return float(np.fft.irfft2(product, s=(side, side)).max() / side**2)


def _squares(thumbnails: np.ndarray) -> np.ndarray:
    return thumbnails.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
