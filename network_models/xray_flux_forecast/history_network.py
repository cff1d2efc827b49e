"""The network that forecasts from flare history: summaries over windows, two layers, the head."""

from __future__ import annotations

import keras
import numpy as np

from dataset_models.GOES.flare_history import PeakFluxSamples
from network_models.layers.flux import MultiScaleHistory
from network_models.xray_flux_forecast.flux_head import flux_head
from tools.binned_distribution import FluxBins

__all__ = [
    "WINDOWS_H",
    "build_history_network",
    "history_features",
    "history_input",
    "novelty_features",
    "standardise",
]

WINDOWS_H = (1, 3, 6, 12, 24, 48, 72, 120, 168, 336, 504, 672)
_ROWS_AT_ONCE = 4096


def build_history_network(
    dataset: PeakFluxSamples,
    training: np.ndarray,
    bins: FluxBins,
    *,
    width: int,
    depth: int,
    dropout: float,
) -> keras.Model:
    """Build the network for a dataset; scaling comes from its training rows and lies inside.

    Input ``flare_history`` (batch, hour, channel) in physical units, and ``side`` (batch, column)
    where the dataset has side columns; output (batch, bin) probabilities.

    Parameters
    ----------
    width, depth : int
        Units per hidden layer, and their number.
    dropout : float
        Share of units left out in training.
    """
    history, summary = history_input(dataset, training)
    inputs, scaled = {"flare_history": history}, [summary]
    if dataset.side is not None:
        side = keras.Input(dataset.dimensions()["side"], name="side")
        inputs["side"] = side
        scaled.append(standardise(dataset.side.at(dataset.times[training]), "side_scaling")(side))
    features = keras.layers.Concatenate()(scaled) if len(scaled) > 1 else scaled[0]
    hidden = features
    for layer in range(depth):
        name = f"hidden_{layer + 1}"
        hidden = keras.layers.Dense(width, activation="gelu", name=name)(hidden)
        if dropout:
            hidden = keras.layers.Dropout(dropout, name=f"dropout_{layer + 1}")(hidden)
    both = keras.layers.Concatenate(name="with_direct_path")([hidden, features])
    output = flux_head(bins, dataset.log10_peak_flux[training])(both)
    return keras.Model(inputs, output, name="history_only")


def history_input(dataset: PeakFluxSamples, training: np.ndarray) -> tuple:
    """Return the input ``flare_history`` and its standardised summaries, two Keras tensors."""
    history = keras.Input(dataset.dimensions()["flare_history"], name="flare_history")
    return history, standardise(history_features(dataset, training))(_summary(dataset)(history))


def history_features(dataset: PeakFluxSamples, rows: np.ndarray) -> np.ndarray:
    """Return the summaries over windows that the network starts from, (row, feature) float32."""
    layer = _summary(dataset)
    parts = [
        np.asarray(layer(dataset.histories(rows[start : start + _ROWS_AT_ONCE])))
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def novelty_features(dataset: PeakFluxSamples, rows: np.ndarray) -> np.ndarray:
    """Return what "unlike training" is judged by: summaries and side columns, (row, feature)."""
    features = history_features(dataset, rows)
    if dataset.side is None:
        return features
    return np.concatenate([features, dataset.side.at(dataset.times[rows])], axis=1)


def _summary(dataset: PeakFluxSamples) -> MultiScaleHistory:
    windows = [w for w in WINDOWS_H if w <= dataset.window.history_h]
    return MultiScaleHistory(windows, dataset.window.floor_flux, name="summary")


def standardise(values: np.ndarray, name: str = "scaling") -> keras.layers.Normalization:
    """Make a layer that gives the training rows mean 0 and spread 1."""
    mean, variance = values.mean(axis=0, dtype=float), values.var(axis=0, dtype=float)
    variance = np.where(variance > 1e-12, variance, 1.0)
    return keras.layers.Normalization(
        axis=-1, mean=mean.tolist(), variance=variance.tolist(), name=name
    )
