"""A training of seconds on three virtual years, for tests that train again and again.

As a script it trains in a process of its own, on the backend that KERAS_BACKEND names, from the
same weights for all: ``small_training.py RUN WEIGHTS.npz``.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import keras
import numpy as np

from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
from dataset_models.splits import Split, chronological
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record
from network_models.training.fitting import TrainingOptions, TrainingOutcome, train
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.flux_forecast import flux_bins
from network_models.xray_flux_forecast.history_network import build_history_network
from tools.run_folder import RunFolder

OPTIONS = TrainingOptions(
    epochs=3, batch_size=64, learning_rate=1e-3, weight_decay=1e-3, seed=2, keep_epochs=2
)
BINS = flux_bins(1e-7)


@cache
def small_data() -> tuple[FlareHistory, Split]:
    """Return three virtual years, a sample every 24 h, in three sets."""
    virtual = simulate_record(FlareProcessParameters(), years=3, seed=6)
    window = HistoryWindow(history_h=168, cadence_h=24)
    dataset = FlareHistory(virtual_flare_record(virtual), window)
    day = np.timedelta64(86400, "s")
    borders = {
        "validation_from": VIRTUAL_START + 550 * day,
        "test_from": VIRTUAL_START + 800 * day,
    }
    return dataset, chronological(dataset.table, **borders)


def small_network(dropout: float = 0.0, width: int = 16) -> keras.Model:
    """Build the history network in a small size."""
    dataset, split = small_data()
    return build_history_network(
        dataset, split.training, BINS, width=width, depth=2, dropout=dropout
    )


def small_train(folder: Path, *, options=OPTIONS, dropout=0.3, weights=None) -> TrainingOutcome:
    """Train, or go on, in a folder."""
    dataset, split = small_data()
    folder = Path(folder)
    for name in ("epochs", "performance"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    if not (run / "config.json").exists():
        run.write_config({"identity": "test"})

    def build() -> keras.Model:
        network = small_network(dropout)
        if weights is not None:
            network.set_weights(weights)
        return network

    loss = BinnedLogScore(list(BINS.edges))
    return train(build, loss, dataset=dataset, split=split, options=options, run=run)


def main(run: str, weights: str) -> None:
    """Train from given weights and save what came of it."""
    if not Path(weights).exists():
        np.savez(weights, *small_network().get_weights())
    with np.load(weights) as saved:
        start = [saved[name] for name in saved.files]
    outcome = small_train(Path(run), dropout=0.0, weights=start)
    dataset, split = small_data()
    inputs = {"flare_history": dataset.read(split.test)["flare_history"]}
    losses = [[row["loss"], row["val_loss"]] for row in outcome.progress.history]
    np.savez(
        Path(run) / "outcome.npz",
        *outcome.network.get_weights(),
        losses=np.array(losses),
        output=outcome.network.predict(inputs, verbose=0),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
