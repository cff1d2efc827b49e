"""Sections of the report on a network of emission measure."""

from __future__ import annotations

import keras
import numpy as np

from network_models.dem_regression.calibration import ONE_SIGMA, Calibration, outputs_of
from network_models.dem_regression.simulated_pixels import N_BINS
from network_models.training.checkpoint import Progress
from tools.emission_measure.families import LOG_T_EDGES, OUT_OF_PRIOR
from tools.emission_measure.inversion import UNIT_CM5, invert
from tools.emission_measure.response import RESPONSE_VERSIONS, bin_response
from tools.emission_measure.scores import relative_l1, temperature_distance
from tools.emission_measure.simulated_maps import MAP_FAMILIES, SimulatedMap, simulated_map
from tools.plotting.forecasts import plot_learning_curves
from tools.plotting.style import save_figure
from tools.report.report import Figure, Section, Table, write_section
from tools.run_folder import RunFolder

__all__ = ["write_coverage_section", "write_scores_section", "write_training_section"]

_VERSION = "v10_evenorm_chiantifix"
_LEVELS = {"64 pixels averaged": 64, "one exposure": 1}
_SIDE, _SEED = 64, 2001


def write_training_section(run: RunFolder, progress: Progress) -> None:
    """Show learning curves and architecture."""
    folder = run / "performance/training"
    folder.mkdir(exist_ok=True)
    axes = plot_learning_curves(progress.history)
    axes.set_ylabel("loss")
    save_figure(axes.figure, folder / "learning_curves.png")
    (folder / "architecture.png").write_bytes((run / "architecture.png").read_bytes())
    options = run.config["options"]
    text = (
        f"{options['epochs']} epochs of {options['steps_per_epoch']} batches of "
        f"{options['blocks'] * options['block_pixels']} simulated pixels (synthetic), none of them "
        f"seen twice; Muon, largest learning rate {options['learning_rate']:g}. The best epoch by "
        f"validation is {progress.best_epoch}."
    )
    section = Section(
        title="Network and training",
        order=10,
        text=[text],
        figures=[
            Figure("learning_curves.png", "Loss on training and validation pixels."),
            Figure("architecture.png", "The network; all scaling lies inside."),
        ],
        commands=[run.config["command"]],
    )
    write_section(folder, section)


def write_coverage_section(run: RunFolder, found: Calibration, shares: np.ndarray) -> None:
    """Show how often calibrated intervals hold the truth, bin by bin."""
    rows = [
        [
            f"{low:.2f}-{up:.2f}",
            f"{100 * before:.1f}",
            *(f"{factor:.2f}" for factor in factors),
            f"{100 * share:.1f}",
        ]
        for low, up, before, factors, share in zip(
            LOG_T_EDGES,
            LOG_T_EDGES[1:],
            found.coverage_before,
            found.factors[[0, 2]].T,
            shares,
            strict=False,
        )
    ]
    text = (
        f"Intervals are to hold {100 * ONE_SIGMA:.0f} % of the true emission measures (the truth, "
        "not a smoothed one). They were stretched on pixels that no batch had, and counted on "
        "others, all drawn like the training."
    )
    header = ["log T", "inside before, %", "stretched by", "by, from 0", "inside, %"]
    table = Table("Share of the truths inside the intervals.", header, rows)
    write_section(
        run / "performance/coverage",
        Section(title="Intervals", order=30, text=[text], tables=[table]),
    )


def write_scores_section(run: RunFolder, network: keras.Model) -> None:
    """Score the network beside basis pursuit on maps that it never learned from."""
    response, tables = bin_response(LOG_T_EDGES, version=_VERSION), []
    for level, averaged in _LEVELS.items():
        rows = []
        for family in MAP_FAMILIES:
            given = simulated_map(family, _SIDE, averaged, seed=_SEED, version=_VERSION)
            found = invert(given.dn, given.sigma, response, LOG_T_EDGES, n_jobs=2)
            own, exact = _scores(_network_em(network, given), given), _scores(found.em, given)
            name = family + (" (out of prior)" if family in OUT_OF_PRIOR else "")
            rows.append(
                [name, *(f"{v:.3f}" for pair in zip(own, exact, strict=True) for v in pair)]
            )
        header = ["family", "L1, network", "L1, basis pursuit", "W1, network", "W1, basis pursuit"]
        tables.append(Table(f"Medians, {level}; W1 in dex.", header, rows))
    text = (
        "Maps of known emission measure (synthetic). Out of prior are shapes that the network "
        "never learned from; of the others it learned from other pixels. L1 is the summed "
        "difference over the true total, W1 the earth mover's distance along log T."
    )
    write_section(
        run / "performance/scores",
        Section(title="Against the truth", order=20, text=[text], tables=tables),
    )


def _network_em(network: keras.Model, given: SimulatedMap) -> np.ndarray:
    """Return the network's emission measure, cm-5."""
    chosen = np.zeros((len(given.dn), len(RESPONSE_VERSIONS)))
    chosen[:, RESPONSE_VERSIONS.index(_VERSION)] = 1
    inputs = np.concatenate([given.dn, given.sigma, chosen], axis=1).astype(np.float32)
    return outputs_of(network, inputs)[:, :N_BINS] * UNIT_CM5


def _scores(em: np.ndarray, given: SimulatedMap) -> tuple[float, float]:
    """Return the medians of L1 and W1."""
    l1 = relative_l1(em, given.em)
    w1 = temperature_distance(em, given.em, LOG_T_EDGES)
    return float(np.median(l1)), float(np.median(w1))
