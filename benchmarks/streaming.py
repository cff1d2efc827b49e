"""One training epoch of the history network: streamed batches beside arrays held in memory."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.timing import side_by_side
from dataset_models.GOES.flare_history import HistoryWindow
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.flux_forecast import flux_bins
from network_models.xray_flux_forecast.forecast_data import DataOptions, default_split, open_data
from network_models.xray_flux_forecast.history_network import build_history_network


def main() -> None:
    """Print one JSON line."""
    dataset = open_data(DataOptions(virtual_years=22), HistoryWindow()).dataset
    split, bins = default_split(dataset), flux_bins(1e-7)
    networks = []
    for _ in range(2):
        network = build_history_network(
            dataset, split.training, bins, width=128, depth=2, dropout=0.4
        )
        network.compile("adamw", BinnedLogScore(list(bins.edges)))
        networks.append(network)
    arrays = dataset.read(split.training)
    inputs, targets = {"flare_history": arrays["flare_history"]}, arrays["log10_peak_flux"]
    batches = dataset.training_batches(split, batch_size=256, seed=0)
    figures = side_by_side(
        {
            "arrays in memory": lambda: networks[0].fit(inputs, targets, batch_size=256, verbose=0),
            "streamed": lambda: networks[1].fit(batches, shuffle=False, verbose=0),
        },
        rounds=5,
    )
    mebibytes = round(inputs["flare_history"].nbytes / 2**20)
    print(json.dumps({f"epoch of {len(targets)} samples, {mebibytes} MiB": figures}))


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
