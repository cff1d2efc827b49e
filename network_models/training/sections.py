"""What every report begins with, and the evaluation of problems without scores of their own."""

from __future__ import annotations

import numpy as np

from dataset_models.solar_data import TARGET, SolarData
from network_models.training.fitting import answer_losses, network_losses
from network_models.training.problem import Evaluation, Trained
from tools.atomic_files import write_json
from tools.bootstrap import EventBootstrap, interval
from tools.plotting.forecasts import plot_learning_curves
from tools.plotting.style import save_figure
from tools.random_streams import random_stream
from tools.report.report import Figure, Section, Table, write_section

__all__ = ["evaluate_plainly", "write_training_section"]

_DRAWS = 1000
_BLOCKS = 20  # of neighbours in time, where samples have no groups


def write_training_section(
    trained: Trained, *, loss: str, text: str = "", sets: str = "the training and validation sets"
) -> None:
    """Show learning curves and architecture.

    Parameters
    ----------
    trained : Trained
    loss : str
        What the loss is, with its unit.
    text : str
        What else there is to say of the training.
    sets : str
        What the curves are of.
    """
    run = trained.run
    folder = run / "performance/training"
    folder.mkdir(parents=True, exist_ok=True)
    axes = plot_learning_curves(trained.progress.history)
    axes.set_ylabel(loss)
    save_figure(axes.figure, folder / "learning_curves.png")
    (folder / "architecture.png").write_bytes((run / "architecture.png").read_bytes())
    best = f"The best epoch by validation is {trained.progress.best_epoch}."
    section = Section(
        title="Network and training",
        order=10,
        text=[f"{text} {best}".strip()],
        figures=[
            Figure("learning_curves.png", f"Loss on {sets}."),
            Figure("architecture.png", "The network; all scaling lies inside."),
        ],
        commands=[trained.command],
    )
    write_section(folder, section)


def evaluate_plainly(trained: Trained) -> Evaluation:
    """Compare the mean loss of the test set with that of the constant answer.

    The constant answer is the mean of the training set's targets. The interval of the difference
    is a bootstrap over the table's groups, or over blocks of neighbours in time.
    """
    data, config = trained.data, trained.config
    dataset, split = data.dataset, data.split
    loss = trained.problem.loss(config, data)
    (target,) = dataset.names(TARGET)
    classes = trained.network.outputs[0].shape[-1] if _are_numbered(trained, target) else 0
    constant = _mean_target(dataset, split.training, target, classes=classes)
    ours = network_losses(trained.network, loss, dataset, split.test)
    theirs = answer_losses(loss, dataset, split.test, lambda _, n: np.stack([constant] * n))
    events = dataset.table.group[split.test]
    if len(np.unique(events)) < 2:
        events = np.arange(len(ours)) * _BLOCKS // len(ours)
    generator = random_stream(config.seed, "plain evaluation")
    difference, low, high = float((ours - theirs).mean()), None, None
    between = "no interval: too few samples"
    if len(np.unique(events)) > 1:
        draws = EventBootstrap(events, generator=generator, n_draws=_DRAWS)
        low, high = (float(end) for end in interval(draws.mean(ours - theirs)))
        between = f"{low:.4g}, {high:.4g}"
    card = {
        "loss": float(ours.mean()),
        "loss of the constant answer": float(theirs.mean()),
        "difference": [difference, low, high],
        "samples": len(ours),
    }
    write_json(trained.run / "performance/skill.json", card)
    name = loss.name.replace("_", " ")
    what = str(dataset.provenance().get("source", "data without a source"))
    lines = [
        f"{trained.network.count_params():,} parameters, best epoch {trained.progress.best_epoch}",
        f"mean {name} of {len(ours)} unseen samples {card['loss']:.4g}; constant answer "
        f"{card['loss of the constant answer']:.4g}; difference {difference:.4g} "
        f"[{between}]",
    ]
    write_training_section(trained, loss=name)
    rows = [
        ["network", f"{card['loss']:.4g}", f"{difference:.4g} [{between}]"],
        ["constant answer", f"{card['loss of the constant answer']:.4g}", ""],
    ]
    table = Table("Mean loss of the test set", ["", name, "difference, 95 % interval"], rows)
    section = Section(title="Scores", order=20, text=[f"Data: {what}."], tables=[table])
    write_section(trained.run / "performance/scores", section)
    return Evaluation(lines, f"{trained.problem.name}: {what}", "; ".join(lines))


def _are_numbered(trained: Trained, target: str) -> bool:
    """Whether truths are numbers of classes, of which the network gives a probability each."""
    output = trained.network.outputs[0].shape
    truth = trained.data.dataset.arrays[target].shape
    return len(output) == 2 and (output[-1] or 0) > 1 and truth in ((), (1,))


def _mean_target(
    dataset: SolarData, rows: np.ndarray, target: str, *, classes: int = 0
) -> np.ndarray:
    """Return the mean truth, or the shares of ``classes`` that truths are the numbers of."""
    parts = np.array_split(rows, max(len(rows) // max(dataset.rows_at_once, 1), 1))
    total: np.ndarray | float = 0.0
    for part in parts:
        truth = dataset.read(part)[target]
        total += (
            np.eye(classes)[truth.astype(int).ravel()].sum(axis=0)
            if classes
            else truth.sum(axis=0, dtype=float)
        )
    return np.asarray(total / len(rows), np.float32)
