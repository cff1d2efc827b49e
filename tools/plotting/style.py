"""One look for all figures, and saving them in one step."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only; no display is needed

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.atomic_files import write_bytes

__all__ = ["CLASS_COLOURS", "CLASS_LINES", "COLOURS", "class_lines", "new_figure", "save_figure"]

# this module's figures only: nothing else in the suite imports matplotlib
plt.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "legend.frameon": False,
    }
)

# colour-blind safe (Okabe & Ito 2008)
COLOURS = {
    "network": "#0072B2",
    "logistic": "#E69F00",
    "persistence": "#CC79A7",
    "climatology": "#999999",
    "chance": "#BBBBBB",
    "exact": "#000000",
    "observed": "#D55E00",
    "band": "#56B4E9",
}
CLASS_COLOURS = {"A": "#999999", "B": "#56B4E9", "C": "#009E73", "M": "#E69F00", "X": "#D55E00"}
CLASS_LINES = {"B": -7, "C": -6, "M": -5, "X": -4}  # log10 of W m-2


def new_figure(width: float = 7.0, height: float = 4.0, **subplots) -> tuple[Figure, Axes]:
    """Make a figure with the suite's look; sizes in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained", **subplots)


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 110) -> Path:
    """Write a PNG in one step and close the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    write_bytes(path, buffer.getvalue())
    return Path(path)


def class_lines(axes: Axes, *, horizontal: bool = True) -> None:
    """Mark the flare classes on an axis of log10 flux."""
    low, high = axes.get_ylim() if horizontal else axes.get_xlim()
    for letter, level in CLASS_LINES.items():
        if not low <= level <= high:
            continue
        if horizontal:
            axes.axhline(level, color="0.85", linewidth=0.8, zorder=0)
            axes.annotate(
                f"{letter}1",
                (1.0, level),
                xycoords=("axes fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color="0.4",
            )
        else:
            axes.axvline(level, color="0.85", linewidth=0.8, zorder=0)
