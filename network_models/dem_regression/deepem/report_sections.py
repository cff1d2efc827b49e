"""The sections of a DeepEM run's report: data, loss, bins, mean curve, synthesis, its appendix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.plotting.deepem import (
    plot_bins_beside_channels,
    plot_loss_curves,
    plot_solutions_mean,
    plot_synthesis,
)
from tools.plotting.style import save_figure
from tools.report.report import Figure, Section, Table, write_section
from tools.run_folder import RunFolder

if TYPE_CHECKING:
    from network_models.dem_regression.deepem.solved import Solved

__all__ = ["write_sections"]

# each channel beside the bin that it sees best, log10 of K
_SHOWN = {171: 5.9, 211: 6.3, 94: 7.0}
_LOSS = "mean squared error of sqrt(EM / 10$^{25}$ cm$^{-5}$)"
_NETWORK = "DeepEM"


def write_sections(
    run: RunFolder,
    card: dict,
    *,
    history: list[dict],
    test: Solved,
    known: Solved,
    edges: np.ndarray,
    command: str,
) -> None:
    """Write every section with its figures.

    Parameters
    ----------
    run : RunFolder
    card : dict
        The scores.
    history : list of dict
        Of the training.
    test, known : Solved
        The test image and the training image.
    edges : (bin + 1,) float
        log10 of K.
    command : str
        That repeats the run.
    """

    def place(name: str) -> Path:
        folder = run / "performance" / name
        folder.mkdir(exist_ok=True)
        return folder

    teacher = _short(card["teacher"])
    _write_summary(place("summary"), card, run.config)
    _write_data(place("data"), test, edges, run.config, teacher)
    _write_training(place("training"), history, card, run)
    _write_bins(place("bins"), test, edges, teacher)
    _write_mean(place("mean"), test, edges, teacher)
    _write_synthesis(place("synthesis"), test, card["test"], teacher)
    _write_appendix(place("appendix"), known, card, edges, teacher)
    _write_repeat(place("repeat"), run.config, command)


def _write_summary(folder: Path, card: dict, config: dict) -> None:
    rows = []
    for name, title in (("test", "test image"), ("training", "training image")):
        s = card[name]
        rows.append([title, *(_text(s.get(key)) for key in ("loss", "L1", "W1_dex", "total_em"))])
    caption = (
        f"{_NETWORK} against its teacher. Loss: over all pixels, on the scale of the training. "
        "L1 (sum of differences over total EM) and W1 (distance of the curves): medians over the "
        "pixels that the teacher solved. Total EM: sum over these pixels, network over teacher."
    )
    data = config["data"]
    section = Section(
        title="What came out",
        order=10,
        text=[
            f"{card['solutions_per_second']:,.0f} solutions per second on this machine, backend "
            f"{config['backend']}, images of {card['pixels']:,} pixels.",
            f"Bins of exactly 0: teacher {100 * card['test']['zero_bins_teacher']:.1f} %, network "
            f"{100 * card['test']['zero_bins_network']:.1f} % of all. The network squares its "
            "output, so that it can't give a negative emission measure; that says nothing on "
            "whether it is right. It knows neither noise nor errors.",
        ],
        tables=[Table(caption, ["", "loss", "L1", "W1 (dex)", "total EM"], rows)],
        warning="Simulated images (synthetic)." if data["synthetic"] else "",
    )
    write_section(folder, section)


def _write_data(folder: Path, test: Solved, edges: np.ndarray, config: dict, teacher: str) -> None:
    data, split = config["data"], config["split"]
    dn, (taught,) = _channels(test.dn), _shown_bins(edges, test.teacher)
    title = f"Test image {test.time}"
    figure = plot_bins_beside_channels(dn, {teacher: taught}, _middles(edges), title=title)
    save_figure(figure, folder / "teacher.png")
    sets = [
        [name, str(split[name]["samples"]), split[name]["first"][:16], split[name]["last"][:16]]
        for name in ("training", "validation", "test")
    ]
    checks = [
        ["passed" if c["passed"] else "FAILED", c["name"], c["detail"]] for c in config["audit"]
    ]
    section = Section(
        title="Images and the teacher's emission measure",
        order=20,
        text=[
            f"Images: {data['source']}. Teacher: {data['teacher']}. Response for synthesis: "
            f"{data['response']}. {split['purged']} images lie between the sets and are left out.",
            "Every pixel is used, whatever the teacher's status. "
            + "; ".join(f"{name}: {n:,}" for name, n in data["repairs"].items())
            + ". Brightness that is not positive counts as 0 in the network.",
        ],
        figures=[
            Figure(
                "teacher.png",
                "Channels and, beside each, the teacher's emission measure in the bin near the "
                "peak of its response. Dark: no emission measure.",
            )
        ],
        tables=[
            Table(
                "The three sets, a solar rotation apart.", ["set", "images", "first", "last"], sets
            ),
            Table("What the audit checked before training.", ["result", "check", "found"], checks),
        ],
    )
    write_section(folder, section)


def _write_training(folder: Path, history: list[dict], card: dict, run: RunFolder) -> None:
    save_figure(plot_loss_curves(history, label=_LOSS).figure, folder / "loss.png")
    (folder / "architecture.png").write_bytes((run / "architecture.png").read_bytes())
    o, last = run.config["options"], history[-1]
    section = Section(
        title="Network and training",
        order=30,
        text=[
            "A perceptron on every pixel as 1x1 convolutions, 6 - 300 - 300 - 18, LeakyReLU of "
            "slope 0.01 after the first two: 97,818 parameters. Input sqrt(DN s-1 pix-1), output "
            f"y, EM = 1e25 y^2 cm-5. {o['epochs']} epochs, {o['batch_size']} image a step, Adam "
            f"with learning rate {o['learning_rate']:g} and an L2 penalty of "
            f"{o['weight_decay']:g} in the gradient, seed {o['seed']}.",
            f"After the last epoch: training {last['loss']:.4f}, validation "
            f"{last['val_loss']:.4f}. The network shown here is that of the smallest validation "
            f"loss, epoch {card['best_epoch']}.",
        ],
        figures=[
            Figure("loss.png", "Loss of the training and of the validation image."),
            Figure("architecture.png", "The network; all scaling lies inside."),
        ],
    )
    write_section(folder, section)


def _write_bins(folder: Path, test: Solved, edges: np.ndarray, teacher: str) -> None:
    section = Section(
        title="Emission measure of the test image",
        order=40,
        figures=[
            _draw_bins(folder, test, edges, teacher, f"Test image {test.time}"),
        ],
    )
    write_section(folder, section)


def _write_mean(folder: Path, test: Solved, edges: np.ndarray, teacher: str) -> None:
    chosen = test.is_solved if test.is_solved.any() else np.ones_like(test.is_solved)
    curves = {
        teacher: test.teacher[chosen].mean(axis=0, dtype=float),
        _NETWORK: test.network[chosen].mean(axis=0, dtype=float),
    }
    save_figure(plot_solutions_mean(curves, edges).figure, folder / "mean.png")
    rows = [
        [f"{(low + high) / 2:.1f}", *(f"{c[k]:.2e}" for c in curves.values())]
        for k, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]
    section = Section(
        title="Mean emission measure",
        order=50,
        figures=[
            Figure(
                "mean.png",
                f"Mean over the {chosen.sum():,} pixels of the test image that the teacher solved "
                f"({100 * chosen.mean():.1f} %).",
            )
        ],
        tables=[Table("The same in numbers, cm-5.", ["log T", *curves], rows)],
    )
    write_section(folder, section)


def _write_synthesis(folder: Path, test: Solved, score: dict, teacher: str) -> None:
    section = Section(
        title="The channels made again",
        order=60,
        text=[
            "The emission measure times the temperature responses, as a fixed 1x1 convolution "
            "from 18 bins to 6 channels: the responses are its weights, its bias is 0."
        ],
        figures=[_draw_synthesis(folder, test, teacher, f"Test image {test.time}")],
        tables=[_ratio_table(score, teacher)],
    )
    write_section(folder, section)


def _write_appendix(
    folder: Path, known: Solved, card: dict, edges: np.ndarray, teacher: str
) -> None:
    title = f"Training image {known.time}"
    section = Section(
        title="Appendix A: the training image",
        order=70,
        text=[
            "The image that the network was trained on, inverted: what differs here from the "
            "teacher the network could not learn, or had no reason to. Loss "
            f"{card['training']['loss']:.4f}, on the test image {card['test']['loss']:.4f}."
        ],
        figures=[
            _draw_bins(folder, known, edges, teacher, title),
            _draw_synthesis(folder, known, teacher, title),
        ],
        tables=[_ratio_table(card["training"], teacher)],
    )
    write_section(folder, section)


def _write_repeat(folder: Path, config: dict, command: str) -> None:
    section = Section(
        title="Versions and how to repeat this",
        order=90,
        tables=[
            Table("Software.", ["what", "version"], [[k, v] for k, v in config["versions"].items()])
        ],
        commands=[command],
    )
    write_section(folder, section)


def _draw_bins(folder: Path, solved: Solved, edges, teacher: str, title: str) -> Figure:
    taught, found = _shown_bins(edges, solved.teacher, solved.network)
    maps = {teacher: taught, _NETWORK: found}
    figure = plot_bins_beside_channels(_channels(solved.dn), maps, _middles(edges), title=title)
    save_figure(figure, folder / "bins.png")
    return Figure(
        "bins.png",
        "Channels beside the emission measure of the teacher and of the network; both on one "
        "scale, even in the square root.",
    )


def _draw_synthesis(folder: Path, solved: Solved, teacher: str, title: str) -> Figure:
    made = {teacher: _channels(solved.teacher_dn), _NETWORK: _channels(solved.network_dn)}
    save_figure(plot_synthesis(_channels(solved.dn), made, title=title), folder / "synthesis.png")
    return Figure(
        "synthesis.png", "Observed channels beside those that each emission measure gives."
    )


def _ratio_table(score: dict, teacher: str) -> Table:
    """Return synthesised over observed brightness of every channel."""
    rows = []
    for channel in map(str, RESPONSE_CHANNELS):
        cells = [
            _text(score[f"{who}_{what}"][channel])
            for what in ("over_observed", "brightness")
            for who in ("teacher", "network")
        ]
        rows.append([f"{channel} Å", *cells])
    header = ["channel", *(f"{w}, {n}" for w in ("median", "sum") for n in (teacher, _NETWORK))]
    return Table(
        "Synthesised over observed brightness: median over pixels with light, and of the sums.",
        header,
        rows,
    )


def _channels(dn: np.ndarray) -> dict[int, np.ndarray]:
    """Pick the channels that are shown from (y, x, channel)."""
    return {channel: dn[..., RESPONSE_CHANNELS.index(channel)] for channel in _SHOWN}


def _bin_of(edges: np.ndarray, log_t: float) -> int:
    return int(np.searchsorted(edges, log_t, side="right")) - 1


def _shown_bins(edges: np.ndarray, *solutions: np.ndarray) -> list[dict[int, np.ndarray]]:
    """Pick the bins that are shown, by channel, from (y, x, bin)."""
    return [
        {channel: em[..., _bin_of(edges, log_t)] for channel, log_t in _SHOWN.items()}
        for em in solutions
    ]


def _middles(edges: np.ndarray) -> dict[int, float]:
    """Return the middle of each shown bin."""
    rows = {channel: _bin_of(edges, log_t) for channel, log_t in _SHOWN.items()}
    return {channel: float(edges[k] + edges[k + 1]) / 2 for channel, k in rows.items()}


def _short(teacher: str) -> str:
    """Name a teacher in a word or two."""
    if teacher.startswith("the truth"):
        return "truth"
    if " with the response" in teacher:
        return teacher.split(" with ")[0]
    return "teacher"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
