"""The forecast head on the bins that all flux forecasts share."""

from __future__ import annotations

import numpy as np

from network_models.layers.flux import BinnedFluxHead
from tools.binned_distribution import FluxBins

__all__ = ["flux_head"]

_KNOTS = (-6.5, -6.0, -5.5, -5.0)  # log10 W m-2; above M1 all classes share their weights


def flux_head(bins: FluxBins, training_log10_flux: np.ndarray) -> BinnedFluxHead:
    """Make the forecast head, starting from the training set's climatology.

    Parameters
    ----------
    training_log10_flux : (sample,) float
        Targets of the training set, log10 of W m-2.
    """
    counts = bins.climatology(training_log10_flux) * len(training_log10_flux) + 0.5
    return BinnedFluxHead(
        list(bins.edges),
        list(counts / counts.sum()),
        knots=[bins.floor, *(k for k in _KNOTS if k > bins.floor)],
        name="flux_distribution",
    )
