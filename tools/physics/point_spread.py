"""Convolution of maps with a telescope's point-spread function, and its transpose.

The map is continued beyond its edges as its mirror image, so that a constant stays constant. Both
directions use one Fourier transform of each plane; the transpose folds the margins back, so that
<A x, y> = <x, A^T y> to rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import fft

__all__ = ["PointSpread", "gaussian_point_spread", "read_point_spread"]

_LARGEST_SCALE_ERROR = 0.02
_LARGEST_NEGATIVE = 1e-3


class PointSpread:
    """A point-spread function on the pixels of a map.

    Parameters
    ----------
    kernel : (y, x) float
        Odd sides, its centre in the middle; is divided by its sum.
    pixel_arcsec : float, optional
        Of the kernel's pixels, where known.

    Raises
    ------
    ValueError
        If it has even sides, is not finite, or does not have a positive sum.
    """

    def __init__(self, kernel: np.ndarray, *, pixel_arcsec: float | None = None):
        kernel = np.asarray(kernel, float)
        if kernel.ndim != 2 or not all(n % 2 for n in kernel.shape):
            raise ValueError(
                f"expected a point-spread function (y, x) with odd sides and its centre in the "
                f"middle, got {kernel.shape}; pad or cut it"
            )
        if not np.isfinite(kernel).all() or kernel.sum() <= 0:
            raise ValueError("expected a point-spread function with finite values and a sum > 0")
        if kernel.min() < -_LARGEST_NEGATIVE * kernel.max():
            raise ValueError(
                f"the point-spread function has negative values down to {kernel.min():.2g}; "
                "expected an intensity, 0 or more"
            )
        self.kernel = np.maximum(kernel, 0) / np.maximum(kernel, 0).sum()
        self.pixel_arcsec = pixel_arcsec
        self._transforms: dict[tuple, np.ndarray] = {}

    @property
    def energy(self) -> float:
        """Sum of the squares: what is left of the variance of white noise."""
        return float(np.sum(self.kernel**2))

    def require_scale(self, pixel_arcsec: float) -> None:
        """Raise a ValueError if the map's pixels are of another size than the function's."""
        own = self.pixel_arcsec
        if own is not None and abs(own / pixel_arcsec - 1) > _LARGEST_SCALE_ERROR:
            raise ValueError(
                f"the point-spread function has pixels of {own:g} arcsec, the map of "
                f"{pixel_arcsec:g}; resample one of them"
            )

    def apply(self, maps: np.ndarray) -> np.ndarray:
        """Return maps (y, x, ...) as the telescope shows them; float32 stays float32."""
        padded = np.pad(maps, self._margins(maps), mode="symmetric")
        return self._inner(self._product(padded, conjugate=False), maps.shape)

    def transpose(self, maps: np.ndarray) -> np.ndarray:
        """Return the transpose applied to maps (y, x, ...)."""
        margins = self._margins(maps)
        padded = np.pad(maps, margins)
        spread = self._product(padded, conjugate=True)
        for axis, (margin, _) in enumerate(margins[:2]):
            spread = _folded(spread, axis, margin, maps.shape[axis])
        return spread

    def _margins(self, maps: np.ndarray) -> list[tuple[int, int]]:
        own = [(n // 2, n // 2) for n in self.kernel.shape]
        for (margin, _), n in zip(own, maps.shape, strict=False):
            if margin > n:
                raise ValueError(
                    f"the map has {maps.shape[0]} x {maps.shape[1]} pixels, fewer than half of the "
                    f"point-spread function's {self.kernel.shape}; cut the function"
                )
        return own + [(0, 0)] * (maps.ndim - 2)

    def _product(self, padded: np.ndarray, *, conjugate: bool) -> np.ndarray:
        """Return the circular convolution (or correlation) of padded maps."""
        size = tuple(fft.next_fast_len(n, real=True) for n in padded.shape[:2])
        planes = np.moveaxis(padded.reshape(*padded.shape[:2], -1), -1, 0)
        transform = self._transform(size, padded.dtype)
        if conjugate:
            transform = transform.conj()
        out = np.empty_like(padded.reshape(*padded.shape[:2], -1))
        step = max((1 << 24) // (size[0] * size[1]), 1)  # planes at once: bounds the memory
        for first in range(0, len(planes), step):
            part = fft.rfft2(np.ascontiguousarray(planes[first : first + step]), size, workers=-1)
            part *= transform
            back = fft.irfft2(part, size, workers=-1)
            out[..., first : first + step] = np.moveaxis(
                back[:, : padded.shape[0], : padded.shape[1]], 0, -1
            )
        return out.reshape(padded.shape)

    def _transform(self, size: tuple[int, int], kind: np.dtype) -> np.ndarray:
        key = (size, np.dtype(kind))
        if key not in self._transforms:
            placed = np.zeros(size)
            placed[: self.kernel.shape[0], : self.kernel.shape[1]] = self.kernel
            shift = [-(n // 2) for n in self.kernel.shape]
            own = fft.rfft2(np.roll(placed, shift, axis=(0, 1)))
            single = np.dtype(kind) == np.float32
            self._transforms[key] = own.astype(np.complex64 if single else np.complex128)
        return self._transforms[key]

    def _inner(self, padded: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        top, left = (n // 2 for n in self.kernel.shape)
        return padded[top : top + shape[0], left : left + shape[1]]


def _folded(padded: np.ndarray, axis: int, margin: int, n: int) -> np.ndarray:
    """Return the transpose of mirrored padding along an axis."""
    moved = np.moveaxis(padded, axis, 0)
    inner = moved[margin : margin + n].copy()
    if margin:
        inner[:margin] += moved[:margin][::-1]
        inner[n - margin :] += moved[margin + n :][::-1]
    return np.moveaxis(inner, 0, axis)


def gaussian_point_spread(
    fwhm_arcsec: float, pixel_arcsec: float, *, reach: float = 3.0
) -> PointSpread:
    """Return a Gaussian of a full width at half maximum, cut after ``reach`` times it.

    Raises
    ------
    ValueError
        If a width is not positive.
    """
    if not (fwhm_arcsec > 0 and pixel_arcsec > 0):
        raise ValueError(f"expected widths above 0, got {fwhm_arcsec} and {pixel_arcsec} arcsec")
    sigma = fwhm_arcsec / pixel_arcsec / 2.3548200450309493
    half = max(int(np.ceil(reach * sigma * 2.3548 / 2)), 1)
    along = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return PointSpread(np.outer(along, along), pixel_arcsec=pixel_arcsec)


def read_point_spread(path: str | Path, *, pixel_arcsec: float | None = None) -> PointSpread:
    """Read a point-spread function from a FITS file or an .npy array.

    Parameters
    ----------
    path : str or Path
    pixel_arcsec : float, optional
        Of its pixels; by default CDELT1 of the header where that is in arcsec, else not known.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no point-spread function.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix == ".npy":
        try:
            return PointSpread(np.load(path), pixel_arcsec=pixel_arcsec)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path.name}: {error}") from None
    try:
        with fits.open(path, memmap=False) as hdus:
            data, header = hdus[0].data, hdus[0].header
            unit = str(header.get("CUNIT1", "")).strip().lower()
            if pixel_arcsec is None and unit in ("arcsec", "arcs"):
                pixel_arcsec = abs(float(header["CDELT1"]))
    except (OSError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}: can't be read as FITS ({error})") from None
    if data is None:
        raise ValueError(f"{path.name}: its primary holds no image")
    try:
        return PointSpread(np.asarray(data, float), pixel_arcsec=pixel_arcsec)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
