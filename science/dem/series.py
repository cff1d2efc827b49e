"""A series of maps: a Dask map over times that goes on where it was stopped."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
from astropy.io import fits
from dask.callbacks import Callback

from dataset_models.SDO.AIA.six_channel_series import SixChannelTime, SixChannelTimes
from science.dem.inversion_map import invert_map
from science.dem.plan import InversionPlan
from tools.atomic_files import write_text
from tools.code_dependencies import fingerprint_of_code
from tools.long_work.processes import spawned_pool
from tools.long_work.progress import Progress
from tools.long_work.resumable import resumable_folder
from tools.options import part_of

__all__ = ["Outcome", "invert_series", "invert_time", "series_tasks"]

logger = logging.getLogger(__name__)

_PACKAGED = "network_models/dem_regression/packaged/*/*"  # their weights decide, too


@dataclass(frozen=True)
class Outcome:
    """What became of a time.

    Attributes
    ----------
    time : str
        UTC.
    file : str
        Name of its FITS file; empty if it failed.
    reason : str
        Why it failed; empty if it did not.
    is_new : bool
        Whether it was inverted now; else it was there.
    solved : float
        Share of the pixels.
    median_chi2 : float
    mean_em : tuple of float
        Over the solved pixels, cm-5 in each bin.
    n_lacking : int
        Channels without any value.
    """

    time: str
    file: str = ""
    reason: str = ""
    is_new: bool = True
    solved: float = np.nan
    median_chi2: float = np.nan
    mean_em: tuple[float, ...] = ()
    n_lacking: int = 0


def invert_series(
    times: SixChannelTimes,
    plan: InversionPlan,
    folder: str | Path,
    *,
    workers: int = 1,
    n_jobs: int = 1,
) -> list[Outcome]:
    """Invert all times into a folder, or what an earlier call has left to invert.

    Each time becomes ``YYYYMMDDTHHMMSS.fits`` in one step. At the end ``series.csv`` lists what
    became of each of them and ``series.png`` shows their mean emission measure. A time that fails
    is listed with its reason and stops nothing.

    Parameters
    ----------
    times : SixChannelTimes
    plan : InversionPlan
    folder : str or Path
    workers : int
        Times inverted at once, each in its own process; 1 stays in this one.
    n_jobs : int
        Threads of each.

    Raises
    ------
    ValueError
        If the folder holds a series of other options, is being written by another process, or the
        response is none.
    ChildProcessError
        If a process was killed, by lack of memory for instance.
    """
    plan = part_of(plan, InversionPlan)
    table = plan.table()  # a bad response stops the series before it begins
    own = {**dataclasses.asdict(plan), "response_values": _table_hash(table.response)}
    with resumable_folder(
        folder, lock="series.lock", options_file="series.json", options=own, what="series"
    ) as place:
        tasks = series_tasks(times, plan, place, n_jobs=n_jobs)
        news = _News(len(tasks))
        outcomes = _computed(tasks, workers, news.tell)
        write_text(place / "series.csv", _listed(outcomes, plan))
        _draw(outcomes, plan, times.source, place / "series.png")
    return outcomes


def series_tasks(
    times: SixChannelTimes, plan: InversionPlan, folder: str | Path, *, n_jobs: int = 1
) -> list:
    """Return one ``dask.delayed`` task for each time, which gives an ``Outcome``.

    For Dask clusters: ``dask.compute(*series_tasks(...))`` under a ``distributed.Client`` whose
    workers see the same files.
    """
    # a time that other code inverted is inverted anew
    code = fingerprint_of_code([__file__], data=[_PACKAGED])
    asked = repr(part_of(plan, InversionPlan)) + _table_hash(plan.table().response)
    names = _file_names(times.times)
    task = dask.delayed(invert_time, pure=False, traverse=False)
    return [
        task(times.item(k), plan, str(Path(folder) / name), n_jobs, f"{asked} {code}")
        for k, name in enumerate(names)
    ]


def invert_time(
    item: SixChannelTime, plan: InversionPlan, path: str, n_jobs: int, asked: str
) -> Outcome:
    """Invert one time, unless it is there; whatever goes wrong becomes the outcome's reason."""
    path, when = Path(path), item.time
    try:
        text = f"{asked} {item.identity()}"
        identity = hashlib.sha256(text.encode()).hexdigest()[:32]
        found = _finished(path, identity)
        if found is not None:
            return dataclasses.replace(found, time=when, is_new=False)
        given = item.read()
        done = invert_map(
            given,
            plan,
            path,
            n_jobs=n_jobs,
            with_figures=False,
            header={"IDENTITY": identity},
        )
        return Outcome(
            when,
            path.name,
            solved=done.n_solved / done.n_pixels,
            median_chi2=done.median_chi2,
            mean_em=tuple(done.mean_em.tolist()),
            n_lacking=len(done.lacking),
        )
    except (ValueError, OSError) as error:
        return Outcome(when, reason=str(error))
    except Exception as error:
        logger.exception("%s", when)
        return Outcome(when, reason=f"a defect, please report it: {error!r}")


def _finished(path: Path, identity: str) -> Outcome | None:
    """Return the outcome in a finished file, if it is of the same data, options and code."""
    try:
        header = fits.getheader(path)
        if header.get("IDENTITY") != identity:
            return None
        n = header["NAXIS3"]
        told = [header[f"MEANEM{k + 1}"] for k in range(n)]
        mean = tuple(float(value) if value >= 0 else np.nan for value in told)
        chi2 = float(header["CHI2MED"])
        return Outcome(
            "",
            path.name,
            solved=float(header["SOLVED"]),
            median_chi2=chi2 if chi2 >= 0 else np.nan,
            mean_em=mean,
            n_lacking=int(header["NLACKING"]),
        )
    except (OSError, KeyError, ValueError, TypeError):
        return None


def _file_names(times: np.ndarray) -> list[str]:
    """Return a file name for each time, with milliseconds where seconds don't tell them apart."""
    for unit in ("s", "ms"):
        texts = [str(np.datetime64(t, unit)) for t in times]
        names = ["".join(c for c in text if c not in "-:.") + ".fits" for text in texts]
        if len(set(names)) == len(names):
            return names
    return [f"{name[:-5]}_{k}.fits" for k, name in enumerate(names)]


def _table_hash(response: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(response).tobytes()).hexdigest()[:16]


def _computed(tasks: Sequence, workers: int, tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Compute the tasks, and tell of each as it is done."""
    watch = Callback(posttask=lambda key, value, *_: isinstance(value, Outcome) and tell(value))
    with watch:
        if workers == 1 or len(tasks) == 1:
            return list(dask.compute(*tasks, scheduler="synchronous"))
        killed = (
            "the finished times are kept. If memory is short, give fewer --workers, then the same "
            "command again"
        )
        with spawned_pool(min(workers, len(tasks)), if_killed=killed) as pool:
            return list(dask.compute(*tasks, scheduler="processes", pool=pool, chunksize=1))


class _News:
    """Lines of progress: failures at once, the rest every few seconds."""

    def __init__(self, n: int):
        self._done, self._new, self._failed = 0, 0, 0
        self._progress = Progress(n, "times")

    def tell(self, outcome: Outcome) -> None:
        """Count one more outcome."""
        self._done += 1
        self._new += outcome.is_new
        if outcome.reason:
            self._failed += 1
            logger.info("  %s failed: %s", outcome.time, outcome.reason)
        self._progress.done(self._done, new=self._new, note=f"{self._failed} failed")


def _draw(outcomes: Sequence[Outcome], plan: InversionPlan, source: str, path: Path) -> None:
    """Draw the mean emission measure of all times."""
    from tools.plotting.dem import plot_series
    from tools.plotting.style import save_figure

    mean = np.full((len(outcomes), len(plan.edges) - 1), np.nan)
    for row, outcome in zip(mean, outcomes, strict=True):
        if outcome.mean_em:
            row[:] = outcome.mean_em
    if np.isfinite(mean).any():
        times = np.array([outcome.time for outcome in outcomes], "datetime64[ms]")
        figure = plot_series(times, mean, plan.edges, title=f"{source}, {plan.method}")
        save_figure(figure, path)


def _listed(outcomes: Sequence[Outcome], plan: InversionPlan) -> str:
    """Return the list of a series as CSV: one line for each time."""
    edges = plan.edges
    bins = [f"mean_em_cm-5_{a:.2f}_{b:.2f}" for a, b in zip(edges, edges[1:], strict=False)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["time", "file", "solved", "median_chi2", "channels_lacking", *bins, "reason"])
    for o in outcomes:
        numbers = [f"{value:.4g}" for value in (o.solved, o.median_chi2)]
        mean = [f"{value:.4e}" for value in o.mean_em] or [""] * len(bins)
        numbers = [*numbers, o.n_lacking] if o.file else [""] * 3
        writer.writerow([o.time, o.file, *numbers, *mean, " ".join(o.reason.split())])
    return buffer.getvalue()
