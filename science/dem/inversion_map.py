"""One map: inverted tile by tile into a file, then drawn."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.six_channels import Observation
from science.dem.cube import Cube, open_cube
from science.dem.methods import bounds_of, solver_of
from science.dem.plan import InversionPlan
from tools.emission_measure.pixels import known_of
from tools.emission_measure.response_table import ResponseTable
from tools.emission_measure.status import NOT_FITTED, OK
from tools.long_work.progress import Progress

__all__ = ["TILE_PIXELS", "InvertedMap", "invert_map"]

logger = logging.getLogger(__name__)

TILE_PIXELS = 1 << 20
_DRAWN_SIDE = 512
_DRAWN_CHANNELS = 8  # of an instrument that has more


@dataclass(frozen=True)
class InvertedMap:
    """What became of a map.

    Attributes
    ----------
    n_pixels : int
    seconds : float
        Without reading and drawing.
    counts : (256,) int
        Pixels of each status.
    n_solved : int
    mean_em : (bin,) float
        Over the solved pixels, cm-5; NaN where there are none.
    median_chi2 : float
        Of the solved pixels.
    lacking : tuple
        Channels without any value: the other channels alone say less, or something else.
    """

    n_pixels: int
    seconds: float
    counts: np.ndarray
    n_solved: int
    mean_em: np.ndarray
    median_chi2: float
    lacking: tuple[int | str, ...]


def invert_map(
    given: Observation,
    plan: InversionPlan,
    output: str | Path,
    *,
    n_jobs: int,
    with_figures: bool = True,
    with_array: bool = False,
    header: dict | None = None,
) -> InvertedMap:
    """Invert data tile by tile into a FITS file, which appears last of all, when all is done.

    Parameters
    ----------
    given : Observation
    plan : InversionPlan
    output : str or Path
    n_jobs : int
        Threads at most.
    with_figures : bool
        Whether to draw the bins, the channels and the mean curve beside it.
    with_array : bool
        Whether to write the emission measure as .npy, too.
    header : dict, optional
        Further keywords.

    Raises
    ------
    ValueError
        If the response is not that of the data.
    """
    output = Path(output)
    if output.suffix.lower() not in (".fits", ".fit", ".fts"):
        raise ValueError(f"--output {output}: expected the name of a FITS file, such as map.fits")
    if output.is_dir():
        raise ValueError(f"--output {output} is a folder; give the name of a FITS file")
    table = plan.response_of(given)
    edges = plan.edges
    solve = solver_of(plan.method, table, edges, n_jobs=n_jobs, run=plan.run)
    bounds = bounds_of(plan.method)
    height, width = given.shape
    rows = max(TILE_PIXELS // width, 1)
    counts, total, chi2, seconds = np.zeros(256, int), np.zeros(len(edges) - 1), [], 0.0
    progress = Progress(height, "rows")
    cards = {**_cards(given, plan, table), **(header or {})}
    calibrated = np.nan
    unknown = _summary(np.nan, np.nan, np.full(len(total), np.nan), 0, calibrated)
    is_seen = np.zeros(len(given.channels), bool)
    with open_cube(
        output,
        (height, width),
        edges,
        channels=given.channels,
        unit=given.unit,
        wcs={key: value for key, value in given.wcs.items() if key != "DATE-OBS"},
        header=cards,
        primary=unknown,
        bounds=bounds,
    ) as cube:
        for first in range(0, height, rows):
            part = slice(first, min(first + rows, height))
            dn, sigma, saturated = given.tile(part)
            is_seen |= known_of(dn, sigma).any(axis=(0, 1))
            if plan.model_error:
                sigma = np.hypot(sigma, plan.model_error * np.maximum(dn, 0))
            start = time.monotonic()
            found = solve(dn, sigma, saturated)
            seconds += time.monotonic() - start
            cube.write(
                part,
                em=found.em,
                error=found.error,
                chi2=found.chi2,
                status=found.status,
                model=found.model,
                observed=dn,
                **{name: found.extra[name] for name in bounds},
            )
            if "calibrated" in found.extra:
                calibrated = float(np.all(found.extra["calibrated"]))
            solved = found.status <= NOT_FITTED
            counts += np.bincount(found.status.ravel(), minlength=256)
            total += found.em[solved].sum(axis=0)
            chi2.append(found.chi2[solved].astype(np.float32))
            progress.done(part.stop)
        n_solved = int(counts[OK] + counts[NOT_FITTED])
        mean = total / n_solved if n_solved else np.full(len(total), np.nan)
        median = float(np.median(np.concatenate(chi2))) if n_solved else np.nan
        lacking = tuple(c for c, seen in zip(given.channels, is_seen, strict=True) if not seen)
        share = n_solved / (height * width)
        cube.set_cards(_summary(share, median, mean, len(lacking), calibrated))
        if with_figures:
            try:
                _draw(cube, given, plan, table, output, mean)
            except (ValueError, OverflowError) as error:  # the map is worth more than its picture
                logger.warning("the figures were left out: %s", error)
        if with_array:
            cube.save_array("em", output.with_suffix(".npy"))
    return InvertedMap(height * width, seconds, counts, n_solved, mean, median, lacking)


def _summary(
    solved: float, median_chi2: float, mean: np.ndarray, n_lacking: int, calibrated: float
) -> dict[str, float]:
    """Return the keywords that sum a map up; FITS keywords can't be NaN, so that -1 is unknown."""
    said = {"SOLVED": solved, "CHI2MED": median_chi2, "NLACKING": n_lacking}
    said["ERRCALIB"] = calibrated  # 1 where error bars were stretched to cover simulated truths
    said |= {f"MEANEM{k + 1}": value for k, value in enumerate(mean)}
    return {key: float(value) if np.isfinite(value) else -1.0 for key, value in said.items()}


def _cards(given: Observation, plan: InversionPlan, table: ResponseTable) -> dict:
    """Return the keywords that every extension carries."""
    telescope, _, instrument = given.instrument.rpartition("/")
    corrected = "data corrected" if given.is_corrected else f"response of {table.degraded_to}"
    cards = {
        "TELESCOP": telescope or instrument,
        "INSTRUME": instrument,
        "METHOD": plan.method,
        "RESPONSE": table.name,
        "DEGRADE": corrected,
        "CALIBRAT": given.calibration or "not known",
        "MODELERR": plan.model_error,
        "SYNTHET": given.is_synthetic,
        "QUANTITY": "emission measure in each bin of log10 T (not per K)",
    }
    if given.is_synthetic:
        cards["OBJECT"] = "virtual Sun (synthetic)"
    if given.time:
        cards["DATE-OBS"] = given.time
        since = np.datetime64(given.time, "ms") - np.datetime64("1858-11-17", "ms")
        cards["MJD-OBS"] = float(since / np.timedelta64(86_400_000, "ms"))
    return cards


def _draw(
    cube: Cube,
    given: Observation,
    plan: InversionPlan,
    table: ResponseTable,
    output: Path,
    mean: np.ndarray,
) -> None:
    """Write the figures, of every few pixels of a large map."""
    from tools.plotting.dem import plot_bins, plot_channels, plot_mean_curve
    from tools.plotting.style import save_figure

    every = max(-(-max(given.shape) // _DRAWN_SIDE), 1)
    small = (cube.thumbnail(name, every) for name in ("em", "model", "observed"))
    em, model, observed = (np.where(np.isfinite(values), values, np.nan) for values in small)
    what = "virtual Sun (synthetic), " if given.is_synthetic else ""
    when = f"{given.time[:19]}, " if given.time else ""
    title = f"{output.name}: {what}{when}{plan.method}, {table.name}"
    stem = output.with_suffix("")
    places = {name: cube.place(f"{stem}_{name}.png") for name in ("bins", "channels", "mean")}
    save_figure(plot_bins(em, plan.edges, title=title), places["bins"])
    shown = np.unique(np.linspace(0, len(observed) - 1, _DRAWN_CHANNELS).astype(int))
    names = tuple(given.channels[k] for k in shown)
    figure = plot_channels(observed[shown], model[shown], names, title=title, unit=given.unit)
    save_figure(figure, places["channels"])
    if np.isfinite(mean).all():
        label = f"{plan.method}{' (synthetic)' if given.is_synthetic else ''}"
        save_figure(plot_mean_curve({label: mean}, plan.edges), places["mean"])
