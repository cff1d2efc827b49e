"""Scores of a network that starts fits, compared with the moments' starts and the mean answer."""

from __future__ import annotations

import numpy as np

from network_models.milne_eddington_start.atmosphere_draws import (
    QUANTITIES,
    DrawnPixels,
    atmospheres_of,
    quantities_of,
)
from network_models.training.problem import Evaluation, Trained
from network_models.training.sections import write_training_section
from tools.atomic_files import write_json
from tools.physics.milne_eddington import PARAMETERS, hinode_wavelengths
from tools.physics.milne_eddington_fit import fit_atmospheres
from tools.physics.stokes_starts import moment_starts
from tools.physics.zeeman import FE_6301, FE_6302
from tools.report.report import Section, Table, write_section

__all__ = ["evaluate_starts", "moments_of", "start_errors"]

_FITTED, _REACHED = 500, 1.5


def moments_of(stokes: np.ndarray) -> np.ndarray:
    """Return the moments' starts (pixel, 9) of profiles (pixel, 4, 112) over the continuum."""
    is_valid = np.ones(stokes.shape, bool)
    lines = (FE_6301, FE_6302)
    return moment_starts(hinode_wavelengths(), stokes.astype(float), is_valid, lines)


def start_errors(quantities: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Return the median absolute error (10,) of ``QUANTITIES`` (pixel, 10) of known atmospheres."""
    return np.median(np.abs(quantities - quantities_of(parameters)), axis=0)


def evaluate_starts(trained: Trained) -> Evaluation:
    """Compare starts on the test set, by their errors and by fits of one start."""
    data, run = trained.data, trained.run
    pixels: DrawnPixels = data.more
    known = data.dataset.read(data.split.training[:20000])["atmosphere"]
    given = {"stokes": np.swapaxes(pixels.stokes, 1, 2)}
    answers = trained.network.predict(given, batch_size=4096, verbose=0)
    mean = np.repeat(known.mean(axis=0, keepdims=True), len(answers), axis=0)
    starts = {
        "network": atmospheres_of(answers),
        "moments": moments_of(pixels.stokes),
        "mean": atmospheres_of(mean),
    }
    quantities = {"network": answers, "moments": quantities_of(starts["moments"]), "mean": mean}
    errors = {name: start_errors(one, pixels.parameters) for name, one in quantities.items()}
    reached = {name: _share_reached(pixels, one) for name, one in starts.items()}
    write_json(
        run / "performance/skill.json",
        {
            name: {
                "median absolute errors": dict(zip(QUANTITIES, errors[name].tolist(), strict=True)),
                "share of fits of one start with chi2 below 1.5": reached[name],
            }
            for name in starts
        },
    )
    write_training_section(trained, loss="mean pseudo-Huber loss of ten quantities, no unit")
    _write_scores(run, errors, reached)
    along = {
        name: error[list(QUANTITIES).index("line-of-sight field")] for name, error in errors.items()
    }
    lines = [
        f"{trained.network.count_params():,} parameters, best epoch {trained.progress.best_epoch}",
        "median absolute error of the line-of-sight field of "
        f"{len(answers)} unseen pixels (synthetic) {along['network']:.1f} G; moments "
        f"{along['moments']:.1f} G, mean {along['mean']:.1f} G",
        f"fits of one start reach chi2 {_REACHED}: {100 * reached['network']:.1f} % from the "
        f"network, {100 * reached['moments']:.1f} % from moments, "
        f"{100 * reached['mean']:.1f} % from the mean",
    ]
    return Evaluation(lines, "Starts of Milne-Eddington fits", "; ".join(lines))


def _share_reached(pixels: DrawnPixels, starts: np.ndarray) -> float:
    """Return the share of the first test pixels whose fit from one start has chi2 below 1.5."""
    n = min(_FITTED, len(starts))
    sigma = pixels.sigma[:n, None, None]
    fit = fit_atmospheres(
        hinode_wavelengths(), pixels.stokes[:n], sigma, first=starts[:n], n_starts=1
    )
    return float((fit.chi2 < _REACHED).mean())


def _write_scores(run, errors: dict, reached: dict) -> None:
    """Write the tables of the report."""
    rows = [
        [name, unit, *(f"{error[k]:.3g}" for error in errors.values())]
        for k, (name, (unit, _)) in enumerate(QUANTITIES.items())
    ]
    caption = "Median absolute error of starts, test set."
    table = Table(caption, ["quantity", "unit", *errors], rows)
    shares = [[name, f"{100 * share:.1f}"] for name, share in reached.items()]
    fits = Table("Fits of one start on test pixels.", ["start", "chi2 below 1.5, %"], shares)
    text = (
        "Atmospheres, profiles and noise are drawn from the prior of the training (synthetic). "
        f"Answers become starts in the parameters {', '.join(PARAMETERS)}."
    )
    section = Section(title="Starts", order=20, text=[text], tables=[table, fits])
    write_section(run.path / "performance/scores", section)
