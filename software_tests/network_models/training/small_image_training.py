"""A training of seconds on small images, in a process of its own: ``... RUN STORE``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.splits import chronological
from dataset_models.store import ImageStore, build_store
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record
from network_models.training.fitting import TrainingOptions, train
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.fdl1.aia_network import NetworkShape, build_aia_network
from network_models.xray_flux_forecast.flux_forecast import flux_bins
from tools.run_folder import RunFolder

DAY = np.timedelta64(86400, "s")
OPTIONS = TrainingOptions(
    epochs=24, batch_size=16, learning_rate=3e-3, weight_decay=1e-3, seed=3, keep_epochs=2
)


def small_record():
    """Return a virtual year and a half."""
    return simulate_record(FlareProcessParameters(), years=1.5, seed=8)


def small_store(path: Path) -> ImageStore:
    """Build a store of one image of 16 x 16 pixels every other day."""
    virtual = small_record()
    times = VIRTUAL_START + np.arange(8, 540, 2) * DAY
    return build_store(path, VirtualImages(virtual, times, 16))


def main(run: str, store: str) -> None:
    """Train, or go on, in a folder."""
    dataset = FDL1(
        ImageStore(store),
        virtual_flare_record(small_record()),
        HistoryWindow(history_h=24, cadence_h=48),
    )
    split = chronological(
        dataset.table,
        validation_from=VIRTUAL_START + 300 * DAY,
        test_from=VIRTUAL_START + 420 * DAY,
    )
    folder = Path(run)
    for name in ("epochs", "performance"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    opened = RunFolder(folder)
    if not (folder / "config.json").exists():
        opened.write_config({"identity": "test"})
    bins = flux_bins(1e-7)

    def build():
        shape = NetworkShape(width=8, rates=4, sums_units=16)
        return build_aia_network(dataset, split.training, bins, shape=shape, dropout=0.2)

    loss = BinnedLogScore(list(bins.edges))
    train(build, loss, dataset=dataset, split=split, options=OPTIONS, run=opened)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    main(*sys.argv[1:])
