"""Invert pixels with a trained DeepEM: the packaged one, or one of your own runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from network_models.dem_regression.deepem.network import invert_map
from network_models.dem_regression.pixel_results import LARGEST_BEYOND, LARGEST_DN, MODEL_ERROR
from network_models.files.safe_loading import load_network
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import EmissionMeasure
from tools.emission_measure.pixels import known_of
from tools.emission_measure.status import LACKS_CHANNEL, NO_DATA, NO_SIGNAL, NOT_FITTED, OK

__all__ = ["PACKAGED_DEEPEM", "invert_with_deepem"]

PACKAGED_DEEPEM = Path(__file__).parents[1] / "packaged/deepem/network.keras"


def invert_with_deepem(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    *,
    network: str | Path = PACKAGED_DEEPEM,
    saturated: np.ndarray | None = None,
) -> EmissionMeasure:
    """Invert every pixel with DeepEM, which knows neither errors nor the response.

    Parameters
    ----------
    dn, sigma : (..., 6) float
        DN s-1 pix-1, corrected for degradation. The errors enter chi2 alone.
    response : (6, 18) float
        DN cm5 s-1 pix-1, for the synthesised channels.
    network : path
        A ``.keras`` file of ``train.py``, whose output is in cm-5.
    saturated : (..., 6) bool, optional

    Returns
    -------
    EmissionMeasure
        float32, without error bars. DeepEM can't leave a channel out: a pixel that lacks one gets
        no answer.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such network, or the shapes don't agree.
    """
    with np.errstate(over="ignore"):  # infinite in this type is not observed
        dn, sigma = np.asarray(dn, np.float32), np.asarray(sigma, np.float32)
    if dn.ndim < 1 or dn.shape[-1] != 6 or sigma.shape != dn.shape:
        raise ValueError(
            f"expected brightness and error of six channels in the last axis, got {dn.shape} and "
            f"{sigma.shape}"
        )
    whole = known_of(dn, sigma) & (np.abs(dn) < LARGEST_DN)
    if saturated is not None:
        whole &= ~np.asarray(saturated, bool)
    is_seen = whole.all(axis=-1)
    flat = np.where(is_seen[..., None], dn, 0).reshape(-1, 1, 6)
    em = invert_map(_opened(Path(network)), flat).reshape(*dn.shape[:-1], -1)
    em = np.where(is_seen[..., None], em, 0)
    model = em @ np.asarray(response, np.float32).T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        away = (model - dn).astype(float)
        chi2 = ((away / sigma) ** 2).mean(axis=-1)
        beyond = (away**2 / (sigma**2 + (MODEL_ERROR * dn.astype(float)) ** 2)).mean(axis=-1)
    status = np.where(beyond > LARGEST_BEYOND, NOT_FITTED, OK).astype(np.uint8)
    status[(dn <= 0).all(axis=-1)] = NO_SIGNAL
    status[~is_seen] = LACKS_CHANNEL
    status[~whole.any(axis=-1)] = NO_DATA
    return EmissionMeasure(
        em,
        np.broadcast_to(np.float32(np.nan), em.shape),
        np.where(is_seen, chi2, np.nan),
        status,
        model,
        LOG_T_EDGES,
        "DeepEM",
    )


@lru_cache(maxsize=2)
def _opened(path: Path) -> keras.Model:
    return load_network(path)
