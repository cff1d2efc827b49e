"""What the inversion commands are asked for: options with their units and checks."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

import numpy as np

from dataset_models.SDO.AIA.six_channels import Observation
from science.dem.methods import method_names
from tools.channels import CALIBRATION
from tools.emission_measure.coherent import TIME_PENALTIES
from tools.emission_measure.response import RESPONSE_VERSIONS
from tools.emission_measure.response_table import ResponseTable, aia_table, read_response_table
from tools.emission_measure.time_weight import WEIGHT_CRITERIA
from tools.long_work.processes import usable_processes
from tools.options import option

__all__ = ["InversionPlan", "MapConfig", "SeriesConfig"]

logger = logging.getLogger(__name__)

_MOST_BINS = 30
_STALE_DAYS = 30.0  # a response's loss of throughput; 335 angstrom lost 10 % a month in 2010


@dataclass(frozen=True)
class InversionPlan:
    """How images are read and inverted; the same for a map and a series."""

    method: str = option(method_names()[0], "how to invert", choices=method_names())
    run: str = option("", "a run of dem_regression/train.py, for --method network")
    response: str = option(
        "v10_evenorm_chiantifix",
        "which of AIA's own responses; the data are corrected by calibration version 10",
        choices=RESPONSE_VERSIONS,
    )
    response_table: str = option("", "CSV file with a response, instead of AIA's own")
    lowest: float = option(5.45, "log T of the first edge")
    highest: float = option(7.25, "log T of the last edge")
    step: float = option(0.1, "width of a bin, dex")
    model_error: float = option(
        0.0,
        "share of the brightness to add to its errors: bins of 0.1 dex miss the data by 0.01 to "
        "0.02, which counts above a signal-to-noise ratio of 50",
    )
    spread: float = option(60.0, "seconds between the files of one time")
    degradation: str = option(
        "data",
        "what is scaled for AIA's loss of throughput; FITS files only",
        choices=("data", "response"),
    )
    degradation_corrected: bool = option(
        False, "the FITS files were corrected for AIA's loss of throughput before"
    )
    coregister: bool = option(
        False, "bring FITS files onto the first one's pixels by their coordinates"
    )

    def __post_init__(self):
        low, high, step = self.lowest, self.highest, self.step
        if not (4.0 <= low < high <= 9.0 and 0.02 <= step <= 0.5):
            raise ValueError(
                "expected 4 <= --lowest < --highest <= 9 (log10 of K) and a --step of 0.02 to 0.5"
            )
        n = round((high - low) / step)
        if n < 4 or abs(n * step - (high - low)) > 1e-6:
            raise ValueError(
                f"{high - low:g} dex are no whole number (4 or more) of bins of {step:g}"
            )
        if n > _MOST_BINS and not self.response_table:
            raise ValueError(
                f"{n} bins are more than six channels can tell apart; at most {_MOST_BINS}"
            )
        if not 0 <= self.model_error < 0.5:
            raise ValueError(f"--model-error is a share of 0 to 0.5, got {self.model_error:g}")
        if self.response.startswith("v9") and not self.degradation_corrected:
            logger.warning(
                "%s: the loss of throughput is that of calibration version 10; version 9 has none "
                "of its own here",
                self.response,
            )
        if not self.spread > 0:
            raise ValueError(f"--spread is a positive number of seconds, got {self.spread:g}")
        if self.degradation_corrected and self.degradation == "response":
            raise ValueError(
                "--degradation-corrected says that the data were corrected, --degradation response "
                "scales the response: one of the two, never both"
            )

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins, (bin + 1,) log10 of K."""
        n = round((self.highest - self.lowest) / self.step)
        return self.lowest + self.step * np.arange(n + 1)

    @property
    def reading(self) -> dict:
        """How FITS files are read: options of ``read_six_images``."""
        kind = "before" if self.degradation_corrected else self.degradation
        return {
            "degradation": kind,
            "is_coregistered": self.coregister,
            "calibration": CALIBRATION,
        }

    def table(self) -> ResponseTable:
        """Return the response that was asked for, whatever the data.

        Raises
        ------
        FileNotFoundError, ValueError
            If the table's file is missing or no response.
        """
        if self.response_table:
            return read_response_table(self.response_table)
        return aia_table(self.response)

    def response_of(self, given: Observation) -> ResponseTable:
        """Return the response of the data's channels, with the loss of throughput if asked for.

        Raises
        ------
        ValueError
            If the response is not that of the data.
        """
        table = self.table()
        if not given.is_corrected and table.degraded_to:
            away = np.datetime64(given.time, "s") - np.datetime64(table.degraded_to, "s")
            if abs(away / np.timedelta64(86400, "s")) > _STALE_DAYS:
                raise ValueError(
                    f"{table.name} contains the loss of throughput until {table.degraded_to}, the "
                    f"images are of {given.time}; give one of within {_STALE_DAYS:.0f} days"
                )
        elif not given.is_corrected:
            table = table.for_data(
                given.instrument, given.channels, is_corrected=True, unit=given.unit
            ).degraded(given.time)
        return table.for_data(
            given.instrument, given.channels, is_corrected=given.is_corrected, unit=given.unit
        )


@dataclass(frozen=True)
class MapConfig(InversionPlan):
    """Options of one map."""

    output: str = option("emission_measure.fits", "FITS file to write")
    jobs: int = option(os.cpu_count() or 1, "threads")
    time: str = option("", "which time of a store, a folder or the virtual Sun, UTC")
    virtual_sun: int | None = option(None, "seed of a virtual Sun to render instead of FILES")
    virtual_years: float = option(0.1, "length of the virtual Sun's record")
    size: int = option(512, "pixels along a side of the virtual Sun's image")
    pixels_averaged: float = option(
        1.0, "full-resolution pixels whose mean a pixel of an .npy array is: for its errors"
    )
    sigma: str = option("", ".npy array with the errors of the .npy array, same shape and unit")

    def __post_init__(self):
        super().__post_init__()
        if self.jobs < 1:
            raise ValueError(f"--jobs takes 1 or more threads, got {self.jobs}")
        if not 1 <= self.pixels_averaged < float("inf"):
            raise ValueError(
                f"--pixels-averaged is 1 or more, and finite; got {self.pixels_averaged:g}"
            )
        if self.sigma and self.pixels_averaged != 1:
            raise ValueError("--sigma gives the errors: --pixels-averaged has no meaning beside it")


@dataclass(frozen=True)
class SeriesConfig(InversionPlan):
    """Options of a series."""

    output: str = option("emission_measures", "folder for a FITS file of every time")
    workers: int = option(
        usable_processes(),
        "times inverted at once, each in its own process; one takes about 2 GB for 4096 x 4096",
    )
    jobs: int = option(1, "threads of each process")
    coherent: bool = option(
        False,
        "invert all times of a pixel together, coherent in time and not negative; one process with "
        "WORKERS x JOBS threads",
    )
    time_penalty: str = option(
        TIME_PENALTIES[0],
        "for --coherent: which changes from time to time are unlikely",
        choices=TIME_PENALTIES,
    )
    time_weight: float = option(
        0.0, "for --coherent: weight of coherence in time; 0 has it chosen from the data"
    )
    weight_by: str = option(
        WEIGHT_CRITERIA[0],
        "for --coherent: what the weight in time is chosen by",
        choices=WEIGHT_CRITERIA,
    )

    def __post_init__(self):
        super().__post_init__()
        self._check_coherence()
        if self.workers < 1 or self.jobs < 1:
            raise ValueError(
                f"--workers and --jobs are 1 or more, got {self.workers} and {self.jobs}"
            )

    def _check_coherence(self) -> None:
        """Raise a ValueError for options that do not go together with ``coherent``, or need it."""
        fields = type(self).__dataclass_fields__
        for name in ("time_penalty", "weight_by"):
            if getattr(self, name) not in fields[name].metadata["choices"]:
                listed = ", ".join(fields[name].metadata["choices"])
                raise ValueError(
                    f"expected --{name.replace('_', '-')} as one of {listed}, got "
                    f"{getattr(self, name)!r}; take one of them"
                )
        if not 0 <= self.time_weight < float("inf"):
            raise ValueError(
                f"expected --time-weight of 0 or more, got {self.time_weight:g}; 0 has it chosen"
            )
        if self.coherent:
            changed = [n for n in ("method", "run") if getattr(self, n) != fields[n].default]
            if self.degradation == "response":
                changed.append("degradation")
            remedy = "--coherent has a method and one response of its own; leave them out"
        else:
            names = ("time_penalty", "time_weight", "weight_by")
            changed = [n for n in names if getattr(self, n) != fields[n].default]
            remedy = "they belong to --coherent; add it"
        if changed:
            given = ", ".join(f"--{n.replace('_', '-')} {getattr(self, n)}" for n in changed)
            raise ValueError(
                f"expected no {given} {'with' if self.coherent else 'without'} --coherent, got "
                f"{'it' if len(changed) == 1 else 'them'}; {remedy}"
            )
