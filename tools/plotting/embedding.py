"""Figures of embeddings: thumbnails of the Sun in AIA's colours, samples in the plane."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.colors import PowerNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sunpy.visualization.colormaps import cm as sun_colours

from tools.plotting.style import CLASS_COLOURS, new_figure

__all__ = ["class_colours", "plot_embedding", "thumbnails_of"]

_SIDE = 40
_SHOWN = 60  # thumbnails in the figure


def class_colours(classes: Iterable[str]) -> dict[str, str]:
    """Give a colour for each class that occurs, flare classes first and in their order."""
    found = set(classes)
    known = {c: colour for c, colour in CLASS_COLOURS.items() if c in found}
    return known | {c: to_hex(f"C{k % 10}") for k, c in enumerate(sorted(found - set(known)))}


def thumbnails_of(batches: Iterable[np.ndarray], channels: tuple) -> np.ndarray:
    """Give small pictures in the colours of one channel, 193 angstrom if it is there.

    Parameters
    ----------
    batches : iterable of (sample, y, x, channel) float
        Row 0 is the southern edge.

    Returns
    -------
    (sample, side, side, 3) uint8, north up
    """
    channel = 193 if 193 in channels else channels[0]
    index = channels.index(channel)
    colours = sun_colours.cmlist.get(f"sdoaia{channel}", sun_colours.cmlist["sdoaia193"])
    out = []
    for images in batches:
        for image in images[..., index]:
            top = max(float(np.percentile(image, 99.7)), 1e-6)
            rows = np.linspace(0, len(image) - 1, _SIDE).round().astype(int)[::-1]
            columns = np.linspace(0, image.shape[1] - 1, _SIDE).round().astype(int)
            small = PowerNorm(0.5, vmin=0, vmax=top, clip=True)(image[np.ix_(rows, columns)])
            out.append((colours(small)[..., :3] * 255).astype(np.uint8))
    return np.stack(out)


def plot_embedding(
    places: np.ndarray,
    classes: list[str],
    thumbnails: np.ndarray | None,
    *,
    title: str,
    legend: str,
    like: tuple[str, np.ndarray] | None = None,
) -> Figure:
    """Draw samples in the plane by their class, with some of their pictures.

    Parameters
    ----------
    places : (sample, 2) float
    classes : list of str
        What each sample is coloured by; flare classes have colours of their own.
    thumbnails : (sample, side, side, 3) uint8, optional
    legend : str
        What the classes are.
    like : (text, place), optional
        A sample to mark.
    """
    figure, axes = new_figure(8.0, 6.4)
    for kind, colour in class_colours(classes).items():
        own = np.array([c == kind for c in classes])
        axes.scatter(*places[own].T, s=8, color=colour, label=f"{kind} ({own.sum()})")
    if thumbnails is not None:
        apart = 0.045 * np.ptp(places, axis=0)
        taken: list[np.ndarray] = []
        for k in np.linspace(0, len(places) - 1, min(len(places), 8 * _SHOWN)).astype(int):
            near = [p for p in taken if (np.abs(places[k] - p) < apart).all()]
            if near or len(taken) >= _SHOWN:
                continue
            taken.append(places[k])
            picture = OffsetImage(thumbnails[k], zoom=0.6)  # keeps its shape: the limb stays round
            axes.add_artist(AnnotationBbox(picture, places[k], frameon=False))
    if like is not None:
        axes.scatter(*like[1], marker="*", s=160, color="black", zorder=4, label=like[0])
    margin = 0.05 * np.ptp(places, axis=0)
    axes.set_xlim(places[:, 0].min() - margin[0], places[:, 0].max() + margin[0])
    axes.set_ylim(places[:, 1].min() - margin[1], places[:, 1].max() + margin[1])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("t-SNE 1 (no unit)")
    axes.set_ylabel("t-SNE 2 (no unit)")
    axes.set_title(title)
    axes.legend(title=legend, title_fontsize=8, loc="best", fontsize=8)
    return figure
