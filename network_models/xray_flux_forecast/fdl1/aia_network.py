"""The network that sees eight AIA channels: where and how hot, added up over the disc."""

from __future__ import annotations

import keras
import numpy as np

from dataset_models.SDO.AIA.fdl_1 import FDL1
from network_models.image_layers import DiscPlaces, LogBrightness, SumOverDisc
from network_models.xray_flux_forecast.flux_head import flux_head
from network_models.xray_flux_forecast.history_network import history_features, history_input
from tools.binned_distribution import FluxBins

__all__ = ["build_aia_network", "image_features"]

_GRID = 32  # the image is brought to so many cells a side, by means and maxima
_HALF_FIELD = 1.28  # of a full AIA image, solar radii
_OFFSETS = (0.05, 0.3, 3.0, 3.0, 1.0, 0.5, 0.1, 1.0)  # DN s-1 pix-1, by channel
_STATISTICS_SAMPLES = 256


def build_aia_network(
    dataset: FDL1,
    training: np.ndarray,
    bins: FluxBins,
    *,
    width: int,
    rates: int,
    dropout: float,
) -> keras.Model:
    """Build the network for a dataset; scaling comes from its training rows and lies inside.

    Inputs ``aia`` (batch, frame, y, x, channel) in DN s-1 pix-1 and ``aia_present`` (batch, frame,
    channel), with ``flare_history`` where the dataset gives it; output (batch, bin) probabilities.

    Each cell of the disc gets a few non-negative rates from its temperatures and its place; their
    sums over the disc, as those of independent regions, go to the forecast head.

    Parameters
    ----------
    width : int
        Feature maps.
    rates : int
        Rates per cell.
    dropout : float
        Share of summed features left out in training.
    """
    shapes = dataset.dimensions()
    image = keras.Input(shapes["aia"], name="aia")
    present = keras.Input(shapes["aia_present"], name="aia_present")
    inputs = {"aia": image, "aia_present": present}
    means, spreads = _log_statistics(dataset, training)
    x = LogBrightness(_OFFSETS, means, spreads, name="log_brightness")([image, present])
    # in training only: north and south are alike to the flare process
    x = keras.layers.RandomFlip("vertical", seed=0, name="north_or_south")(x)
    x = keras.layers.Conv2D(width // 2, 1, activation="gelu", name="temperatures")(x)
    x = _pooled(x, max(shapes["aia"][1] // _GRID, 1), "cells")
    x = keras.layers.Conv2D(width, 3, padding="same", activation="gelu", name="neighbours")(x)
    x = DiscPlaces(_HALF_FIELD, name="places")(x)
    x = keras.layers.Conv2D(width, 1, activation="gelu", name="hidden")(x)
    x = keras.layers.Conv2D(
        rates,
        1,
        activation="softplus",
        bias_initializer=keras.initializers.Constant(-4.0),
        name="rates",
    )(x)
    features = [SumOverDisc(name="sums")(x)]
    features.append(keras.layers.Flatten(name="which_channels")(present))
    if dataset.with_history:
        history, summary = history_input(dataset, training)
        inputs["flare_history"] = history
        features.append(summary)
    x = keras.layers.Concatenate(name="features")(features)
    hidden = keras.layers.Dense(2 * width, activation="gelu", name="hidden_sums")(x)
    if dropout:
        hidden = keras.layers.Dropout(dropout, name="dropout")(hidden)
    both = keras.layers.Concatenate(name="with_direct_path")([hidden, x])
    output = flux_head(bins, dataset.log10_peak_flux[training])(both)
    name = "aia_and_goes" if dataset.with_history else "aia_only"
    return keras.Model(inputs, output, name=name)


def image_features(dataset: FDL1, rows: np.ndarray) -> np.ndarray:
    """Give what "unlike training" is judged by: disc totals, and history where it is used."""
    totals = dataset.disc_totals[rows]
    totals = np.where(np.isfinite(totals), totals, np.nanmedian(totals, axis=0))
    if not dataset.with_history:
        return totals
    return np.concatenate([totals, history_features(dataset, rows)], axis=1)


def _pooled(x, cell: int, name: str):
    """Bring maps to a coarser grid by their means and their maxima."""
    if cell == 1:
        return x
    mean = keras.layers.AveragePooling2D(cell, name=f"{name}_mean")(x)
    largest = keras.layers.MaxPooling2D(cell, name=f"{name}_maximum")(x)
    return keras.layers.Concatenate(name=name)([mean, largest])


def _log_statistics(dataset: FDL1, training: np.ndarray) -> tuple[list[float], list[float]]:
    """Give mean and spread of the logarithms of each channel in some training images."""
    step = max(len(training) // _STATISTICS_SAMPLES, 1)
    logs: list[list[np.ndarray]] = [[] for _ in _OFFSETS]
    for row in training[::step]:
        sample = dataset.read(np.array([row]))
        for k, offset in enumerate(_OFFSETS):
            if sample["aia_present"][0, -1, k]:
                logs[k].append(np.log10(np.maximum(sample["aia"][0, -1, ..., k], 0) + offset))
    if not all(logs):
        raise ValueError("a channel is missing in all training images; the network can't be scaled")
    means = [float(np.mean(values)) for values in logs]
    spreads = [max(float(np.std(values)), 1e-3) for values in logs]
    return means, spreads
