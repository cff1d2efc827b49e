"""Forecasts of a finished run on flare history: from a record to distributions and flags."""

from __future__ import annotations

import numpy as np

from dataset_models.GOES.flare_history import FlareHistory
from dataset_models.streaming import Batches
from network_models.files.safe_loading import load_network
from network_models.training.fitting import predict
from network_models.xray_flux_forecast.forecast_request import (
    ForecastRequest,
    Forecasts,
    window_of_run,
)
from network_models.xray_flux_forecast.history_network import novelty_features
from network_models.xray_flux_forecast.novelty import novelty_of_run

__all__ = ["forecast_history"]

_OBSERVED = 2  # column of the history: share of the hour that was observed


def forecast_history(request: ForecastRequest) -> Forecasts:
    """Forecast from a flare record with a finished run.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run's network or what it saved of its training can't be read.
    """
    run, times = request.run, request.times
    dataset = FlareHistory(
        request.record, window_of_run(run), side=request.side, times=times, need_label=False
    )
    rows = np.arange(len(times))
    output = predict(
        load_network(run.best_network), Batches(dataset, rows, batch_size=dataset.rows_at_once)
    )
    observed = dataset.read(rows)["flare_history"][:, :, _OBSERVED]
    flags = novelty_of_run(run).reasons(novelty_features(dataset, rows), observed)
    return Forecasts(times, output, flags)
