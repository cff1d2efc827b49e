"""How sure a measured brightness is: photons, read noise, the converter's steps."""

from __future__ import annotations

import numpy as np

from tools.channels import CAMERA

__all__ = ["aia_noise"]

_QUANTISATION_DN2 = 1 / 12


def aia_noise(
    rate: np.ndarray,
    channels: tuple[int, ...],
    *,
    exposure_s: np.ndarray | None = None,
    throughput: np.ndarray | None = None,
    pixels_averaged: float = 1.0,
) -> np.ndarray:
    """Give the error of AIA's brightness.

    ``sigma^2 = (max(DN, 0) g + read^2 + 1/12) / n``, with g DN per photon, of an exposure.

    Parameters
    ----------
    rate : (..., channel) float
        DN s-1 pix-1, corrected for degradation.
    channels : tuple of int
        Angstrom.
    exposure_s : (channel,) float, optional
        The usual ones if left out.
    throughput : (channel,) float, optional
        What was left of each channel's throughput, by which the rate was divided; 1 if left out.
    pixels_averaged : float
        Full-resolution pixels in a pixel.

    Returns
    -------
    (..., channel) float64
        DN s-1 pix-1, of one sigma.
    """
    cameras = [CAMERA[channel] for channel in channels]
    seconds = np.array([c.exposure_s for c in cameras]) if exposure_s is None else exposure_s
    left = np.ones(len(cameras)) if throughput is None else np.asarray(throughput, float)
    dn = np.maximum(np.asarray(rate, float) * seconds * left, 0)
    variance = dn * [c.dn_per_photon for c in cameras]
    variance += np.array([c.read_noise_dn for c in cameras]) ** 2 + _QUANTISATION_DN2
    return np.sqrt(variance / pixels_averaged) / seconds / left
