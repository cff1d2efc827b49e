"""Convolution of maps with a point-spread function, as ``tools.physics.point_spread``."""

from __future__ import annotations

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

__all__ = ["spread"]


def spread(maps: object, kernel: np.ndarray) -> object:
    """Return maps as a telescope shows them, of their shape and dtype.

    Maps are continued beyond their edges as their mirror image, by half a kernel, and convolved by
    one Fourier transform of each plane; automatic derivatives are the exact transpose.

    Parameters
    ----------
    maps : (y, x, ...) tensor
    kernel : (y, x) float
        Odd sides, its centre in the middle; is divided by its sum.

    Raises
    ------
    ValueError
        If the kernel has even sides, is not finite or larger than twice the map.
    """
    maps = ops.convert_to_tensor(maps)
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 2 or not all(n % 2 for n in kernel.shape):
        raise ValueError(
            f"expected a point-spread function (y, x) with odd sides and its centre in the middle, "
            f"got {kernel.shape}; pad or cut it"
        )
    if not np.isfinite(kernel).all() or not kernel.sum() > 0:
        raise ValueError(
            "expected a point-spread function with finite values and a sum above 0, got others; "
            "replace missing values by 0"
        )
    margins = [n // 2 for n in kernel.shape]
    shape = tuple(maps.shape)
    if len(shape) < 2 or any(m > n for m, n in zip(margins, shape, strict=False)):
        raise ValueError(
            f"expected maps (y, x, ...) of at least half the sides of the point-spread function "
            f"{kernel.shape}, got {shape}; cut the function"
        )
    planes = ops.transpose(ops.reshape(maps, (*shape[:2], -1)), (2, 0, 1))
    planes = ops.pad(planes, [(0, 0), *((m, m) for m in margins)], mode="symmetric")
    size = tuple(planes.shape[1:])
    placed = np.zeros(size)
    placed[: kernel.shape[0], : kernel.shape[1]] = kernel / kernel.sum()
    transform = np.fft.fft2(np.roll(placed, [-m for m in margins], axis=(0, 1)))
    real, imaginary = (
        ops.convert_to_tensor(np.asarray(part, standardize_dtype(maps.dtype)))
        for part in (transform.real, transform.imag)
    )
    own_real, own_imaginary = ops.fft2((planes, ops.zeros_like(planes)))
    product = (
        own_real * real - own_imaginary * imaginary,
        own_real * imaginary + own_imaginary * real,
    )
    convolved, _ = ops.ifft2(product)
    inner = convolved[:, margins[0] : margins[0] + shape[0], margins[1] : margins[1] + shape[1]]
    return ops.reshape(ops.transpose(inner, (1, 2, 0)), shape)
