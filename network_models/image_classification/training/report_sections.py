"""Sections of the reports on classifiers of scenes and of regions."""

from __future__ import annotations

import numpy as np

from network_models.image_classification.training.leak_table import write_leak_section
from network_models.training.checkpoint import Progress
from tools.abstention import RiskCoverage
from tools.classification_scores import ClassScores
from tools.plotting.classification import (
    plot_class_reliability,
    plot_confusion,
    plot_montage,
    plot_risk_coverage,
)
from tools.plotting.forecasts import plot_learning_curves
from tools.plotting.style import save_figure
from tools.report.report import Figure, Section, Table, write_section
from tools.run_folder import RunFolder

__all__ = [
    "write_answers_section",
    "write_data_section",
    "write_scores_section",
    "write_splits_section",
    "write_training_section",
]

_SUMS = ("balanced accuracy", "macro F1", "accuracy", "Brier", "log score", "ECE-15")
_EXPLAINED = (
    "Balanced accuracy is the mean recall of the classes; Brier is summed over the classes (0 to "
    "2); log score in nats; ECE-15 compares the probability of the likeliest class with how often "
    "it is right, in 15 bins. In brackets: 95 % interval over whole {events}, which are what is "
    "independent; there is none with fewer than 10."
)


def write_data_section(
    run: RunFolder, images: np.ndarray, labels: list[str], *, what: str, order: int = 5
) -> None:
    """Show some samples, the split and the audit.

    Parameters
    ----------
    run : RunFolder
    images : (sample, y, x) float
        From the training set.
    labels : list of str
    what : str
        Sentences on the data.
    order : int
        Of the section.
    """
    config = run.config
    folder = run / "performance/data"
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(plot_montage(list(images), labels), folder / "samples.png")
    sets = [[name, str(config["split"][name]["samples"])] for name in _SETS]
    checks = [
        ["passed" if c["passed"] else "FAILED", c["name"], c["detail"]] for c in config["audit"]
    ]
    section = Section(
        title="Data, split and audit",
        order=order,
        text=[what, f"Split: {config['split']['scheme']}."],
        figures=[Figure("samples.png", "Samples of the training set.")],
        tables=[
            Table("The three sets.", ["set", "samples"], sets),
            Table("What the audit looked for.", ["", "check", "found"], checks),
        ],
    )
    write_section(folder, section)


_SETS = ("training", "validation", "test")


def write_training_section(run: RunFolder, progress: Progress) -> None:
    """Show learning curves and architecture."""
    folder = run / "performance/training"
    folder.mkdir(parents=True, exist_ok=True)
    axes = plot_learning_curves(progress.history)
    axes.set_ylabel("cross-entropy, nats")
    save_figure(axes.figure, folder / "learning_curves.png")
    (folder / "architecture.png").write_bytes((run / "architecture.png").read_bytes())
    section = Section(
        title="Network and training",
        order=10,
        text=[f"The best epoch by validation is {progress.best_epoch}."],
        figures=[
            Figure("learning_curves.png", "Loss on the training and validation sets."),
            Figure("architecture.png", "The network; all scaling lies inside."),
        ],
        commands=[run.config["command"]],
    )
    write_section(folder, section)


def write_scores_section(
    run: RunFolder,
    scores: dict[str, ClassScores],
    difference: dict,
    *,
    events: str,
    warning: str = "",
) -> None:
    """Show all scores of all ways, the confusion matrix and the reliability.

    Parameters
    ----------
    run : RunFolder
    scores : dict of ClassScores
        By the ways' names, the network first.
    difference : dict of Score
        Network less the other one.
    events : str
        What is independent: observations, images.
    warning : str
        What the reader must not miss.
    """
    folder = run / "performance/scores"
    folder.mkdir(parents=True, exist_ok=True)
    (name, first), *_ = scores.items()
    figure = plot_confusion(
        first.confusion, first.classes, title=f"{name}, test set", n_events=first.n_events
    )
    save_figure(figure, folder / "confusion.png")
    errors = {way: s["ECE-15"].value for way, s in scores.items()}
    curves = {way: s.reliability for way, s in scores.items()}
    save_figure(plot_class_reliability(curves, errors=errors), folder / "reliability.png")
    rows = [[key, *(str(s[key]) for s in scores.values()), str(difference[key])] for key in _SUMS]
    recalls = [key for key in first.scores if key.startswith("recall")]
    rows += [
        [key, *(str(s[key]) for s in scores.values()), str(difference[key])] for key in recalls
    ]
    section = Section(
        title="Scores on the test set",
        order=30,
        text=[
            f"{first.n_frames} samples of {first.n_events} {events} that nothing else in this run "
            "has seen.",
            _EXPLAINED.format(events=events),
        ],
        figures=[
            Figure("confusion.png", "Rows: truth; columns: the likeliest class."),
            Figure("reliability.png", "How often the likeliest class is right, with intervals."),
        ],
        tables=[Table("Scores.", ["", *scores, "difference"], rows)],
        warning=warning,
    )
    write_section(folder, section)


def write_answers_section(run: RunFolder, found: dict, curve: RiskCoverage) -> None:
    """Show prediction sets, and what is left when doubtful frames get no answer."""
    folder = run / "performance/answers"
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(plot_risk_coverage({"chance of error": curve}), folder / "risk_coverage.png")
    rows = [[key, _text(value)] for key, value in found.items() if not isinstance(value, dict)]
    for key in ("coverage", "mean size"):
        value = found[key]
        rows.append(
            [
                f"prediction sets, {key}",
                f"{value['value']:.3f} ({_text(value['low'])} to {_text(value['high'])})",
            ]
        )
    rows += [[f"coverage of {name}", _text(v)] for name, v in found["coverage by class"].items()]
    section = Section(
        title="Prediction sets and abstention",
        order=40,
        text=[
            "A prediction set holds every class whose probability is above a threshold fitted on "
            "validation observations of its own, so that 90 % of the sets hold the truth. A frame "
            "gets no answer where an error is too likely, or none of the classes fits.",
        ],
        figures=[
            Figure("risk_coverage.png", "Share of wrong answers if only the surest are given.")
        ],
        tables=[Table("On the test set.", ["", "share"], rows)],
    )
    write_section(folder, section)


def write_splits_section(run: RunFolder, rows: list[dict], provenance: dict) -> None:
    """Show what other splits would have claimed."""
    write_leak_section(run / "performance/splits", rows, provenance)


def _text(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.3f}"
