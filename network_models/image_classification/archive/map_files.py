"""What is written beside the catalogue for a frame: its probability map, and a bar chart."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.time import Time

from dataset_models.solar_scenes.classes import CLASS_TITLES, CLASSES, NONE, OUTPUTS
from dataset_models.solar_scenes.files.frames import Frame, position_arcsec
from network_models.image_classification.archive.probability_map import map_wcs
from network_models.image_classification.archive.regions import Region
from network_models.image_classification.classifier import Classifier
from tools.atomic_files import write_bytes

__all__ = ["TITLES", "write_bar_chart", "write_map"]

TITLES = dict(zip(OUTPUTS, (*CLASS_TITLES, NONE), strict=True))


def write_map(
    path: Path,
    probability: np.ndarray,
    frame: Frame,
    classifier: Classifier,
    regions: list[Region],
    *,
    tile: int,
    stride: int,
    step: int,
) -> None:
    """Write a probability map as FITS and, beside it, its overlay as PNG; each in one step.

    The FITS file's first image is a cube (class, y, x): the probability of each of the five
    classes given that it is one of them, which sum to 1, then that of none of them. Its coordinates
    are those of the frame, binned.

    Parameters
    ----------
    path : Path
        Ends in ``.fits``.
    probability : (6, y, x) float32
        Of ``probability_map``.
    regions : list of Region
        Marked in the overlay.
    """
    from tools.plotting.classification import plot_map_overlay
    from tools.plotting.style import save_figure

    figure = plot_map_overlay(
        frame.image,
        probability,
        [TITLES[name] for name in CLASSES],
        step=step,
        quiet=CLASSES.index("quiet"),
        grid_arcsec=_grid_arcsec(frame),
        marks=[(TITLES[OUTPUTS[int(r.probability.argmax())]], r.x, r.y) for r in regions],
        title=f"{frame.path.name} {frame.time}".strip(),
    )
    save_figure(figure, path.with_suffix(".png"))
    buffer = io.BytesIO()
    hdu = fits.PrimaryHDU(np.asarray(probability, np.float32))
    hdu.header.update(_cards(frame, classifier, tile, stride, step))
    fits.HDUList([hdu]).writeto(buffer)
    write_bytes(path, buffer.getvalue())  # last: it says that both are there


def write_bar_chart(
    path: Path, probability: np.ndarray, frame: Frame, *, is_log: bool = True
) -> None:
    """Draw the probabilities of a whole frame, (6,), as bars beside its image."""
    from tools.plotting.classification import plot_bar_chart
    from tools.plotting.style import save_figure

    figure = plot_bar_chart(
        probability,
        list(TITLES.values()),
        image=frame.image,
        is_log=is_log,
        title=f"{frame.path.name} {frame.time}".strip(),
    )
    save_figure(figure, path)


def _cards(frame: Frame, classifier: Classifier, tile: int, stride: int, step: int) -> fits.Header:
    header = fits.Header()
    if frame.wcs is not None:
        header.update(map_wcs(frame.wcs, step).to_header())
        header["WCSAXES"] = 2
    if frame.time:
        header["DATE-OBS"] = (frame.time, "UTC")
        header["MJD-OBS"] = Time(frame.time, scale="utc").mjd  # readers warn where it lacks
    for k, name in enumerate(OUTPUTS, 1):
        header[f"CLASS{k}"] = (name, f"plane {k} of the cube")
    header["BUNIT"] = ("", "a probability")
    header["MODEL"] = (classifier.identity, "hash of the network and its settings")
    header["NETWORK"] = classifier.name.encode("ascii", "backslashreplace").decode()
    header["TEMPERAT"] = (classifier.settings.temperature, "of the network's softmax")
    header["TILE"] = (tile, "pixels of the image")
    header["STRIDE"] = (stride, "pixels of the image")
    header["MAPBIN"] = (step, "pixels of the image along a side of a pixel")
    header["IMAGE1"] = (frame.image.shape[1], "columns of the image")
    header["IMAGE2"] = (frame.image.shape[0], "rows of the image")
    header["FROMFILE"] = frame.path.name.encode("ascii", "backslashreplace").decode()
    return header


def _grid_arcsec(frame: Frame) -> tuple[float, float, float] | None:
    """Return the first pixel's place and the size where pixels are square and north is up."""
    if frame.wcs is None or not frame.wcs.wcs.ctype[0].startswith("HPLN"):
        return None
    matrix = frame.wcs.pixel_scale_matrix * 3600  # astropy's are in degrees
    size = abs(matrix[0, 0])
    if not np.allclose(matrix, size * np.eye(2), atol=0.02 * size):
        return None
    return (*position_arcsec(frame, 0, 0), float(size))
