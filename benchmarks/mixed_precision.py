"""The image network in float32 and with bfloat16 convolutions: speed and accuracy side by side.

Both are trained from the same weights on the same batches of a small virtual Sun (synthetic), then
compared on its test set.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.store import build_store
from dataset_models.streaming import Batches
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record
from network_models.training.fitting import (
    TrainingOptions,
    fit_plainly,
    make_deterministic,
    predict,
)
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.fdl1.aia_network import NetworkShape, build_aia_network
from network_models.xray_flux_forecast.flux_forecast import class_probabilities, flux_bins
from network_models.xray_flux_forecast.forecast_data import default_split
from tools.long_work.processes import usable_processes

_OPTIONS = TrainingOptions(epochs=4, batch_size=64, learning_rate=3e-3, weight_decay=1e-3, seed=0)


def main() -> None:
    """Print one JSON line."""
    virtual = simulate_record(FlareProcessParameters(), years=6.5, seed=5)
    times = VIRTUAL_START + np.arange(672, virtual.n_hours, 24) * np.timedelta64(3600, "s")
    with tempfile.TemporaryDirectory() as folder:
        images = VirtualImages(virtual, times, 64)
        store = build_store(Path(folder) / "store", images, workers=usable_processes())
        dataset = FDL1(store, virtual_flare_record(virtual), HistoryWindow(cadence_h=24))
        split, bins = default_split(dataset), flux_bins(1e-7)
        loss = BinnedLogScore(list(bins.edges))
        figures, outputs = {}, {}
        for precision in ("float32", "mixed_bfloat16"):
            make_deterministic(_OPTIONS.seed)
            network = build_aia_network(
                dataset,
                split.training,
                bins,
                shape=NetworkShape(),
                dropout=0.2,
                precision=precision,
            )
            start = time.perf_counter()
            fit_plainly(network, loss, dataset=dataset, split=split, options=_OPTIONS)
            seconds = time.perf_counter() - start
            outputs[precision] = predict(network, Batches(dataset, split.test, batch_size=256))
            y = dataset.log10_peak_flux[split.test]
            given = np.take_along_axis(outputs[precision], bins.index(y)[:, None], axis=1)
            figures[precision] = {
                "training, s": round(seconds, 1),
                "log score on the test set, nats": round(float(-np.log(given).mean()), 4),
                "CRPS, dex": round(float(bins.crps(outputs[precision], y).mean()), 4),
            }
    chances = [class_probabilities(bins, output)[">=C1"] for output in outputs.values()]
    difference = np.abs(chances[0] - chances[1])
    figures["difference of P(>=C1) between both trainings"] = {
        "mean": round(float(difference.mean()), 4),
        "largest": round(float(difference.max()), 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
