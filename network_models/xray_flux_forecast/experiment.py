"""What every flux forecast is made and judged by: network, loss, folds, scores, report."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from dataset_models.GOES.flare_history import FlareHistory
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.splits import Split, by_years
from dataset_models.streaming import Batches
from network_models.training.fitting import (
    fit_plainly,
    make_deterministic,
    predict,
    training_options,
)
from network_models.training.losses import BinnedLogScore
from network_models.training.problem import Evaluation, ProblemData, Trained, WithoutRun
from network_models.training.targets import Target
from network_models.xray_flux_forecast.evaluation import evaluate
from network_models.xray_flux_forecast.flux_forecast import (
    QUANTILES,
    flux_bins,
    flux_targets,
    write_forecasts,
)
from network_models.xray_flux_forecast.forecast_network import ForecastNetwork, Rival
from network_models.xray_flux_forecast.forecast_problem import ForecastConfig
from network_models.xray_flux_forecast.leak_table import leak_figures, write_leak_section
from network_models.xray_flux_forecast.misses import worst_misses
from network_models.xray_flux_forecast.novelty import Novelty
from network_models.xray_flux_forecast.real_sun_page import write_real_sun_section
from network_models.xray_flux_forecast.report_sections import (
    headline_figures,
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

__all__ = [
    "bins_of",
    "build",
    "check_sanity",
    "evaluate_forecast",
    "log_score",
    "notes_of",
    "rotation_blocks",
    "targets_of",
    "year_folds",
]

logger = logging.getLogger(__name__)

_LEARNED = 0.7  # of the constant's error: a network given the answer has to do better


def targets_of(config: ForecastConfig, data: ProblemData) -> dict[str, Target]:
    """Return the named scalars of a forecast: its expected logarithm and all probabilities."""
    return flux_targets(bins_of(data))


def notes_of(kind: ForecastNetwork, data: ProblemData) -> dict:
    """Return what config.json says of a forecast beside its options."""
    bins = bins_of(data)
    named = {"edges": list(bins.edges), "tail_index": bins.tail_index}
    return {"bins": named, "network": kind.name}


def bins_of(data: ProblemData) -> FluxBins:
    """Return the bins of flux that the data are forecast in."""
    return flux_bins(data.dataset.window.floor_flux)


def build(kind: ForecastNetwork, data: ProblemData) -> keras.Model:
    """Build a forecast's network on its training rows."""
    return kind.build(data.dataset, data.split.training, bins_of(data))


def log_score(config: ForecastConfig, data: ProblemData) -> keras.losses.Loss:
    """Return the log score of the bins."""
    return BinnedLogScore(list(bins_of(data).edges))


def year_folds(config: ForecastConfig, data: ProblemData, k: int, n: int) -> Split:
    """Validate on every n-th year before the test set, purged.

    Raises
    ------
    ValueError
        If there are too few years.
    """
    table, whole = data.dataset.table, data.split
    year = table.time.astype("datetime64[Y]").astype(int) + 1970
    known = np.unique(year[np.concatenate([whole.training, whole.validation])])
    test = np.setdiff1d(np.unique(year[whole.test]), known)
    known = np.setdiff1d(known, test)
    if len(known) < 2 * n:
        raise ValueError(
            f"{n} folds need at least {2 * n} years before the test set; there are {len(known)}"
        )
    split = by_years(table, validation_years=known[k::n].tolist(), test_years=test.tolist())
    inside = np.isin(split.training, whole.test)  # of a test set that begins within a year
    return replace(split, training=split.training[~inside], test=whole.test)


def rotation_blocks(config: ForecastConfig, data: ProblemData, rows: np.ndarray) -> np.ndarray:
    """Return the block of the bootstrap, one solar rotation long, of each sample."""
    times = data.dataset.times
    days = (times[rows] - times[0]) / np.timedelta64(1, "D")
    return (days // config.bootstrap_block_days).astype(int)


def evaluate_forecast(trained: Trained, kind: ForecastNetwork) -> Evaluation:
    """Score a trained forecast beside its rivals and baselines, and write its report's sections.

    Parameters
    ----------
    trained : Trained
    kind : ForecastNetwork
        What was trained.
    """
    config, run, split = trained.config, trained.run, trained.data.split
    dataset, limit = trained.data.dataset, trained.data.more
    bins, options = bins_of(trained.data), training_options(config)
    logger.info("Scoring on the test set")
    features = kind.features(dataset, split.training)
    write_arrays(run / "performance/novelty.npz", Novelty.of_training(features).arrays())
    test_output = predict(
        trained.network, dataset.test_batches(split, batch_size=dataset.rows_at_once)
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
        training_output=predict(trained.network, in_order),
        test_output=test_output,
        rivals=rivals,
        limit=limit,
        n_draws=config.bootstrap_draws,
        block_days=config.bootstrap_block_days,
        seed=config.seed,
    )
    y = dataset.log10_peak_flux[split.test]
    best = evaluation.forecasters[0] if limit is not None else None
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
    if limit is not None:
        write_real_sun_section(place("real_sun"))
        if images is not None:
            write_statistics_section(place("statistics"), images, limit.virtual)
    write_data_section(place("data"), run.config)
    write_training_section(
        place("training"), run.config, trained.progress.history, trained.progress.best_epoch
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
        virtual=limit.virtual if limit else None,
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
    write_repeat_section(place("repeat"), run.config, trained.command)
    what = "virtual Sun (synthetic)" if limit is not None else "real flare record"
    control = "Control run, labels shuffled: " if config.shuffle_labels else ""
    return Evaluation(
        headline_figures(evaluation.card),
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


def check_sanity(config: ForecastConfig, data: ProblemData, kind: ForecastNetwork) -> WithoutRun:
    """Train with the answer among the inputs; say what came of it and whether it was learned.

    A network that can't even repeat the answer is broken. The error is that of the validation set,
    so that nothing that looks like a score is made.
    """
    dataset, split, bins = data.dataset, data.split, bins_of(data)
    options = training_options(config)
    make_deterministic(options.seed)
    network, loss = build(kind, data), log_score(config, data)
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
    return WithoutRun(lines, bool(learned))
