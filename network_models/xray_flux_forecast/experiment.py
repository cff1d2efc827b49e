"""One forecast experiment from data to report; every flux network goes through it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from dataset_models.GOES.flare_history import FlareHistory
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.splits import Split
from dataset_models.streaming import Batches
from network_models.training.fitting import (
    TrainingOptions,
    fit_plainly,
    make_deterministic,
    open_run,
    predict,
    train,
)
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.evaluation import evaluate
from network_models.xray_flux_forecast.flux_forecast import (
    QUANTILES,
    flux_bins,
    flux_targets,
    write_forecasts,
)
from network_models.xray_flux_forecast.forecast_data import ForecastData
from network_models.xray_flux_forecast.leak_table import leak_figures, write_leak_section
from network_models.xray_flux_forecast.misses import worst_misses
from network_models.xray_flux_forecast.novelty import Novelty
from network_models.xray_flux_forecast.real_sun_page import write_real_sun_section
from network_models.xray_flux_forecast.report_sections import (
    write_band_section,
    write_data_section,
    write_misses_section,
    write_repeat_section,
    write_scores_section,
    write_training_section,
)
from network_models.xray_flux_forecast.virtual_statistics import write_statistics_section
from tools.atomic_files import write_arrays, write_json
from tools.binned_distribution import FluxBins
from tools.command_line import part_of
from tools.report.report import write_report
from tools.run_folder import RunFolder

__all__ = ["ForecastNetwork", "Rival", "run_experiment", "sanity_check"]

logger = logging.getLogger(__name__)

_LEARNED = 0.7  # of the constant's error: a network given the answer has to do better


@dataclass(frozen=True)
class Rival:
    """A network on the flare history alone that a network on images has to beat.

    Attributes
    ----------
    build : callable
        ``build(dataset, training rows, bins)`` gives the network.
    options : TrainingOptions
    """

    build: Callable[[FlareHistory, np.ndarray, FluxBins], keras.Model]
    options: TrainingOptions


@dataclass(frozen=True)
class ForecastNetwork:
    """What distinguishes one forecast network from another.

    Attributes
    ----------
    name : str
        Shown in the report.
    build : callable
        ``build(dataset, training rows, bins)`` gives the network.
    features : callable
        ``features(dataset, rows)`` gives the vectors that "unlike training" is judged by.
    rival : Rival, optional
        Trained and scored beside it; it also shows what a leak is worth.
    """

    name: str
    build: Callable[[FlareHistory, np.ndarray, FluxBins], keras.Model]
    features: Callable[[FlareHistory, np.ndarray], np.ndarray]
    rival: Rival | None = None


def run_experiment(
    config: object,
    data: ForecastData,
    split: Split,
    kind: ForecastNetwork,
    *,
    script: str,
    command: str,
    started: float,
) -> RunFolder:
    """Train, score and report, or go on where an earlier process stopped.

    Parameters
    ----------
    config : dataclass
        All options of the training script.
    data : ForecastData
    split : Split
    kind : ForecastNetwork
    script : str
        Path of the training script in the suite: from it a run's data are opened again.
    command : str
        The command line that repeats the run.
    started : float
        ``time.time()`` at the start of the process.

    Returns
    -------
    RunFolder
        Finished: with scores and report.
    """
    run = open_run(config.output, config, data.dataset, always_new=config.new_run, started=started)
    try:
        if run.is_finished:
            logger.info("This run was made before: %s (train again with --new-run)", run.path)
        else:
            logger.info("Run folder %s", run.path)
            _note(run, script=script)
            _train_and_report(config, data, split, kind, run=run, command=command)
    finally:
        run.unlock()
    return run


def _train_and_report(
    config: object,
    data: ForecastData,
    split: Split,
    kind: ForecastNetwork,
    *,
    run: RunFolder,
    command: str,
) -> None:
    """Do what is left to do in a run folder."""
    dataset, bins = data.dataset, flux_bins(data.dataset.window.floor_flux)
    _note(run, bins={"edges": list(bins.edges), "tail_index": bins.tail_index})
    _note(run, targets=flux_targets(bins), network=kind.name)
    options = part_of(config, TrainingOptions)
    outcome = train(
        lambda: kind.build(dataset, split.training, bins),
        BinnedLogScore(list(bins.edges)),
        dataset=dataset,
        split=split,
        options=options,
        run=run,
    )
    logger.info("Scoring on the test set")
    features = kind.features(dataset, split.training)
    write_arrays(run / "performance/novelty.npz", Novelty.of_training(features).arrays())
    test_output = predict(
        outcome.network, dataset.test_batches(split, batch_size=dataset.rows_at_once)
    )
    in_order = Batches(dataset, split.training, batch_size=dataset.rows_at_once)
    history = dataset
    rivals = {}
    if kind.rival is not None:
        logger.info("Training the history network beside it")
        history = FlareHistory(dataset.record, dataset.window, times=dataset.times)
        rivals["history network"] = _rival_output(kind.rival, history, split, bins)
    evaluation = evaluate(
        dataset,
        split,
        bins,
        training_output=predict(outcome.network, in_order),
        test_output=test_output,
        rivals=rivals,
        limit=data.limit,
        n_draws=config.bootstrap_draws,
        block_days=config.bootstrap_block_days,
        seed=config.seed,
    )
    y = dataset.log10_peak_flux[split.test]
    best = evaluation.forecasters[0] if data.limit is not None else None
    more = {"observed_log10_flux": y}
    if best is not None:
        more |= {f"{best.name} P({event})": p for event, p in best.probability.items()}
    write_forecasts(
        run / "performance/predictions.csv",
        dataset.times[split.test],
        bins,
        test_output,
        more=more,
    )
    write_json(run / "performance/skill.json", evaluation.card)

    def place(name: str) -> Path:
        folder = run / "performance" / name
        folder.mkdir(exist_ok=True)
        return folder

    images = dataset if isinstance(dataset, FDL1) else None
    if data.limit is not None:
        write_real_sun_section(place("real_sun"))
        if images is not None:
            write_statistics_section(place("statistics"), images, data.limit.virtual)
    write_data_section(place("data"), run.config)
    write_training_section(
        place("training"), run.config, outcome.progress.history, outcome.progress.best_epoch
    )
    write_scores_section(place("scores"), evaluation)
    quantiles = np.stack([bins.quantile(test_output, q) for q in QUANTILES], axis=1)
    write_band_section(place("band"), dataset.times[split.test], quantiles, y, bins)
    given = np.take_along_axis(test_output, bins.index(y)[:, None], axis=1)[:, 0]
    misses = worst_misses(
        dataset,
        split.test,
        quantiles[:, 2],
        -np.log(np.maximum(given, 1e-12)),
        virtual=data.limit.virtual if data.limit else None,
    )
    write_misses_section(place("misses"), misses, dataset=images)
    if not config.skip_leak_table:
        logger.info("Demonstrating what a random split would have claimed")
        rival = kind.rival or Rival(kind.build, options)
        figures = leak_figures(
            history,
            split,
            bins,
            build_network=lambda d, rows: rival.build(d, rows, bins),
            loss=BinnedLogScore(list(bins.edges)),
            options=rival.options,
        )
        write_json(run / "performance/leak.json", figures)
        write_leak_section(place("leak"), figures)
    write_repeat_section(place("repeat"), run.config, command)
    what = "virtual Sun (synthetic)" if data.limit is not None else "real flare record"
    control = "Control run, labels shuffled: " if config.shuffle_labels else ""
    write_report(
        run.path,
        title=f"{control}X-ray flux forecast: {kind.name} on the {what}",
        subtitle=f"{dataset.record.source}. Run {run.path.name}. Not for operations.",
    )


def _rival_output(
    rival: Rival, history: FlareHistory, split: Split, bins: FluxBins
) -> tuple[np.ndarray, np.ndarray]:
    """Train a rival; give its distributions on the training and on the test set."""
    make_deterministic(rival.options.seed)
    network = rival.build(history, split.training, bins)
    loss = BinnedLogScore(list(bins.edges))
    fit_plainly(network, loss, dataset=history, split=split, options=rival.options)
    known, test = (
        predict(network, Batches(history, rows, batch_size=history.rows_at_once))
        for rows in (split.training, split.test)
    )
    return known, test


def sanity_check(
    config: object, dataset: FlareHistory, split: Split, kind: ForecastNetwork
) -> tuple[list[str], bool]:
    """Train with the answer among the inputs; say what came of it and whether it was learned.

    A network that can't even repeat the answer is broken. The error is that of the validation set,
    so that nothing that looks like a score is made.
    """
    bins, options = flux_bins(dataset.window.floor_flux), part_of(config, TrainingOptions)
    make_deterministic(options.seed)
    network = kind.build(dataset, split.training, bins)
    loss = BinnedLogScore(list(bins.edges))
    fit_plainly(network, loss, dataset=dataset, split=split, options=options)
    rows = split.validation
    output = predict(network, Batches(dataset, rows, batch_size=dataset.rows_at_once))
    y = dataset.log10_peak_flux
    found = np.abs(bins.quantile(output, 0.5) - y[rows]).mean()
    usual = np.abs(np.median(y[split.training]) - y[rows]).mean()
    learned = found < _LEARNED * usual
    verdict = (
        "The network can learn."
        if learned
        else (
            f"The network did NOT learn the answer (expected below {_LEARNED:g} of that error): "
            "train longer, or look for a fault in the network or its inputs."
        )
    )
    lines = [
        "Sanity mode: the answer was among the inputs, so this is no forecast.",
        f"Mean error of the median, validation set: {found:.3f} dex; always the same: "
        f"{usual:.3f} dex.",
        "No run folder and no score were written.",
        verdict,
    ]
    return lines, bool(learned)


def _note(run: RunFolder, **entries) -> None:
    """Add entries to config.json, once."""
    config = run.config
    if any(config.get(name) != value for name, value in entries.items()):
        run.write_config(config | entries)
