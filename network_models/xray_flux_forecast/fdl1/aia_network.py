"""The network that sees eight AIA channels: where and how hot, added up over the disc."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from dataset_models.SDO.AIA.fdl_1 import FDL1
from network_models.layers.images import (
    DiscPlaces,
    LocalShare,
    LogBrightness,
    SumOverDisc,
    TemperatureFilters,
    signed_log10,
)
from network_models.xray_flux_forecast.flux_head import flux_head
from network_models.xray_flux_forecast.history_network import (
    history_features,
    history_input,
    standardise,
)
from tools.binned_distribution import FluxBins
from tools.channels import AIA_CHANNELS
from tools.emission_measure.response import (
    FILTER_LOG_T,
    RESPONSE_CHANNELS,
    temperature_filters,
)

__all__ = ["NetworkShape", "build_aia_network", "image_features"]

_GRID = 32  # the image is brought to about so many cells a side, by means and maxima
_HALF_FIELD = 1.28  # of a full AIA image, solar radii
# below these noise rules: DN s-1 pix-1, G, DN s-1
_OFFSETS = dict(zip(AIA_CHANNELS, (0.05, 0.3, 3.0, 3.0, 1.0, 0.5, 0.1, 1.0), strict=True))
_OFFSETS |= {"B_los": 10.0, "continuum": 500.0}
# log10 of usual disc means, for channels that are missing: SDOMLv2, HMI's quiet Sun
_LOG_TOTAL = dict(zip(AIA_CHANNELS, (-0.3, 0.5, 2.0, 2.1, 1.5, 1.5, 0.3, 1.6), strict=True))
_LOG_TOTAL |= {"B_los": 0.0, "continuum": 4.5}
_SIGNED = ("B_los",)
_FILTERS = {6.35: 0.5, 6.60: 0.3, 6.85: 0.1, 7.10: 0.1}  # log T: offset of its logarithm, DN s-1
_STATISTICS_SAMPLES = 256


@dataclass(frozen=True)
class NetworkShape:
    """What an architecture search may change of the network.

    Attributes
    ----------
    width : int
        Feature maps.
    pixel_layers : int
        Convolutions of 1 x 1 pixel in full resolution.
    neighbour_layers, neighbour_side : int
        Convolutions of the cells with their neighbours, and their side, odd.
    region_size : float
        Solar radii within which cells share one vote; about the size of an active region.
    rates : int
        Rates per cell.
    sums_layers, sums_units : int
        Dense layers behind the sums over the disc, beside a direct path; 0 units: twice ``width``.
    """

    width: int = 48
    pixel_layers: int = 2
    neighbour_layers: int = 1
    neighbour_side: int = 3
    region_size: float = 0.4
    rates: int = 16
    sums_layers: int = 1
    sums_units: int = 0


def build_aia_network(
    dataset: FDL1,
    training: np.ndarray,
    bins: FluxBins,
    *,
    shape: NetworkShape,
    dropout: float,
    precision: str = "float32",
) -> keras.Model:
    """Build the network for a dataset; scaling comes from its training rows and lies inside.

    Inputs ``aia`` (batch, frame, y, x, channel) in DN s-1 pix-1 and ``aia_present`` (batch, frame,
    channel), with ``flare_history`` where the dataset gives it; output (batch, bin) probabilities.

    Each cell of the disc gets a few non-negative rates from its temperatures and its place. Cells
    of one neighbourhood share one vote, as those of one region; the sums over the disc, as those
    of independent regions, go to the forecast head.

    Parameters
    ----------
    shape : NetworkShape
    dropout : float
        Share of the last hidden units behind the sums left out in training.
    precision : {"float32", "mixed_bfloat16"}
        Of the convolutions; all else stays in float32.
    """
    shapes = dataset.dimensions()
    image = keras.Input(shapes["aia"], name="aia")
    present = keras.Input(shapes["aia_present"], name="aia_present")
    inputs = {"aia": image, "aia_present": present}
    channels = dataset.store.channels
    statistics = _log_statistics(dataset, training)
    offsets, means, spreads = zip(*statistics[: len(channels)], strict=True)
    signed = [channel in _SIGNED for channel in channels]
    x = LogBrightness(offsets, means, spreads, signed, name="log_brightness")([image, present])
    filters = TemperatureFilters(
        _filter_rows(channels),
        *zip(*statistics[len(channels) :], strict=True),
        name="temperature_filters",
    )
    x = keras.layers.Concatenate(name="with_filters")([x, filters([image, present])])
    if not any(signed):
        # in training only: north and south are alike to the flare process, but not to polarities
        x = keras.layers.RandomFlip("vertical", seed=0, name="north_or_south")(x)

    def convolution(maps: int, side: int, activation: str | None, name: str, **options):
        return keras.layers.Conv2D(
            maps,
            side,
            padding="same",
            activation=activation,
            dtype=keras.DTypePolicy(precision),
            name=name,
            **options,
        )

    for k in range(shape.pixel_layers):
        x = convolution(shape.width // 2, 1, "relu", _numbered("temperatures", k))(x)
    x = _pooled(x, _cell(shapes["aia"][1]), "cells")
    for k in range(shape.neighbour_layers):
        x = convolution(shape.width, shape.neighbour_side, "gelu", _numbered("neighbours", k))(x)
    x = DiscPlaces(_HALF_FIELD, name="places")(x)
    x = convolution(shape.width, 1, "gelu", "hidden")(x)
    few = keras.initializers.Constant(-3.0)
    rate = convolution(shape.rates, 1, "softplus", "rates", bias_initializer=few)(x)
    cells = int(round(shape.region_size / (2 * _HALF_FIELD) * x.shape[1]))
    share = LocalShare(max(cells // 2 * 2 + 1, 3), name="shares")(
        convolution(shape.rates, 1, None, "scores")(x)
    )
    x = keras.layers.Multiply(dtype="float32", name="rates_of_regions")([rate, share])
    features = [SumOverDisc(name="sums")(x)]
    features.append(keras.layers.Flatten(name="which_channels")(present))
    if dataset.with_history:
        history, summary = history_input(dataset, training)
        inputs["flare_history"] = history
        features.append(summary)
    if dataset.side is not None:
        side = keras.Input(shapes["side"], name="side")
        inputs["side"] = side
        known = dataset.side.at(dataset.times[training])
        features.append(standardise(known, "side_scaling")(side))
    x = keras.layers.Concatenate(name="features")(features)
    hidden = x
    units = shape.sums_units or 2 * shape.width
    for k in range(shape.sums_layers):
        name = _numbered("hidden_sums", k)
        hidden = keras.layers.Dense(units, activation="gelu", name=name)(hidden)
    if shape.sums_layers:
        if dropout:
            hidden = keras.layers.Dropout(dropout, name="dropout")(hidden)
        x = keras.layers.Concatenate(name="with_direct_path")([hidden, x])
    output = flux_head(bins, dataset.log10_peak_flux[training])(x)
    name = "aia_and_goes" if dataset.with_history else "aia_only"
    return keras.Model(inputs, output, name=name)


def _numbered(name: str, k: int) -> str:
    return name if k == 0 else f"{name}_{k + 1}"


def image_features(dataset: FDL1, rows: np.ndarray) -> np.ndarray:
    """Return what "unlike training" is judged by: disc totals, and history where it is used."""
    totals = dataset.disc_totals[rows]
    usual = np.array([_LOG_TOTAL[c] for c in dataset.store.channels])
    parts = [np.where(np.isfinite(totals), totals, usual)]
    if dataset.with_history:
        parts.append(history_features(dataset, rows))
    if dataset.side is not None:
        parts.append(dataset.side.at(dataset.times[rows]))
    return np.concatenate(parts, axis=1)


def _cell(size: int) -> int:
    """Return how many pixels a side make a cell: a divisor that leaves about 32 cells."""
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    return min(divisors, key=lambda d: abs(np.log(size / d / _GRID)))


def _pooled(x, cell: int, name: str):
    """Bring maps to a coarser grid by their means and their maxima."""
    if cell == 1:
        return x
    mean = keras.layers.AveragePooling2D(cell, name=f"{name}_mean")(x)
    largest = keras.layers.MaxPooling2D(cell, name=f"{name}_maximum")(x)
    return keras.layers.Concatenate(name=name)([mean, largest])


def _filter_rows(channels: tuple[int | str, ...]) -> list[list[float]]:
    """Return the factors of all channels in each temperature filter."""
    rows = []
    for log_t in _FILTERS:
        row = temperature_filters()[np.argmin(np.abs(FILTER_LOG_T - log_t))]
        factors = dict(zip(RESPONSE_CHANNELS, row, strict=True))
        rows.append([float(factors.get(channel, 0.0)) for channel in channels])
    return rows


def _log_statistics(dataset: FDL1, training: np.ndarray) -> list[tuple[float, float, float]]:
    """Return offset, mean and spread of the logarithms of each channel, then of each filter.

    From some training images; a channel that is missing in all of them gets mean 0 and spread 1.
    """
    channels = dataset.store.channels
    rows = np.array(_filter_rows(channels))
    logs: list[list[np.ndarray]] = [[] for _ in range(len(channels) + len(rows))]
    offsets = [*(_OFFSETS[c] for c in channels), *_FILTERS.values()]
    for row in training[:: max(len(training) // _STATISTICS_SAMPLES, 1)]:
        sample = dataset.read(np.array([row]))
        image, there = sample["aia"][0, -1], sample["aia_present"][0, -1] > 0
        for k, channel in enumerate(channels):
            if there[k]:
                values, offset = image[..., k], offsets[k]
                logs[k].append(
                    signed_log10(values, offset)
                    if channel in _SIGNED
                    else np.log10(np.maximum(values, 0) + offset)
                )
        for k, factors in enumerate(rows, start=len(channels)):
            if there[factors != 0].all():
                logs[k].append(np.log10(np.maximum(image @ factors, 0) + offsets[k]))
    if not any(logs[: len(channels)]):
        raise ValueError("no channel is there in any training image; the network can't be scaled")
    return [
        (offset, float(np.mean(v)), max(float(np.std(v)), 1e-3)) if v else (offset, 0.0, 1.0)
        for offset, v in zip(offsets, logs, strict=True)
    ]
