"""GOES X-ray Sensor light curves: one reader for the FITS and netCDF files of GOES-8 to -19.

Read are the SDAC/GSFC FITS files and NOAA's netCDF products in both naming schemes (``a_flux`` /
``b_flux`` and ``xrsa_flux`` / ``xrsb_flux``) and both epochs (1970-01-01 and 2000-01-01T12). Times
count days of 86,400 s, as NOAA states for its products; a leap second has no time of its own.
"""

from __future__ import annotations

import lzma
import re
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from dataset_models.fits_files.opening import COMPRESSED_STARTS, opened_whole
from dataset_models.GOES.netcdf_fields import (
    attribute,
    good_samples,
    read_flux,
    read_times,
    unknown_flags,
)
from dataset_models.solar_data import DataIntegrityError
from tools.physics.flare_class import OPERATIONAL, TRUE, rescale_flux

__all__ = ["XRSSeries", "find_gaps", "in_order", "read_xrs"]

_FIRST_TIME = np.datetime64("1974-01-01", "ms")  # of the first X-ray Sensor
_LAST_TIME = np.datetime64("2300-01-01", "ms")  # the virtual Sun's
_LEAST_FLUX, _LARGEST_FLUX = -1e-6, 1e-2  # W m-2; noise at night, and X100: X45 was the largest
_PREFIX = re.compile(r"go(\d{2})(?=\d{8}|\d{6}|\b|_)", flags=re.IGNORECASE)
_MS = "datetime64[ms]"
_FLUX_NAMES = (("xrsb_flux", "xrsa_flux"), ("b_flux", "a_flux"), ("b_avg", "a_avg"))


@dataclass(frozen=True)
class XRSSeries:
    """An X-ray light curve.

    Attributes
    ----------
    time : (sample,) datetime64[ms], UTC, strictly increasing
    long_flux, short_flux : (sample,) float64, W m-2
        GOES 1-8 A and 0.5-4 A flux; NaN where the file has none.
    long_is_good, short_is_good : (sample,) bool
        False where the file flags the sample or has no flux.
    satellite : str
        Such as ``GOES-15``, or ``unknown``.
    scaling : {"operational", "true"}
        Whether NOAA's factors 0.7 (1-8 A) and 0.85 (0.5-4 A) are still in the fluxes.
    cadence_s : float
        Median step.
    time_is : str
        What a time stands for: ``centre of exposure`` or ``start of record``.
    source : str
        File name(s).
    repairs : tuple of str
        What the reader put right.
    """

    time: np.ndarray
    long_flux: np.ndarray
    short_flux: np.ndarray
    long_is_good: np.ndarray
    short_is_good: np.ndarray
    satellite: str
    scaling: str
    cadence_s: float
    time_is: str
    source: str
    repairs: tuple[str, ...] = ()

    def on_scale(self, scaling: str) -> XRSSeries:
        """Give the series with NOAA's operational factors undone (``true``) or applied."""
        if scaling == self.scaling:
            return self

        def convert(flux: np.ndarray, channel: str) -> np.ndarray:
            quantity = flux * u.W / u.m**2
            scales = {"from_scale": self.scaling, "to_scale": scaling}
            return rescale_flux(quantity, channel=channel, **scales).value

        return replace(
            self,
            long_flux=convert(self.long_flux, "long"),
            short_flux=convert(self.short_flux, "short"),
            scaling=scaling,
            repairs=(*self.repairs, f"converted from the {self.scaling} to the {scaling} scale"),
        )

    def gaps(self, limit_s: float) -> np.ndarray:
        """Give the gaps in good 1-8 A samples that are longer than ``limit_s`` seconds.

        Returns
        -------
        (gap, 2) datetime64[ms]
            Last good sample before and first good sample after each gap.
        """
        return find_gaps(self.time[self.long_is_good], limit_s)

    def minute_averages(self) -> tuple[np.ndarray, np.ndarray]:
        """Average the good 1-8 A samples of each minute, as NOAA's flare classes are read.

        Returns
        -------
        minute : (minute,) datetime64[s]
            Start of each minute from the first to the last.
        flux : (minute,) float64, W m-2
            NaN where a minute has no good sample.
        """
        minute = self.time.astype("datetime64[m]")
        index = (minute - minute[0]).astype(int)
        good = self.long_is_good
        count = np.bincount(index[good], minlength=index[-1] + 1)
        total = np.bincount(index[good], self.long_flux[good], minlength=index[-1] + 1)
        flux = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        return (minute[0] + np.arange(len(count)).astype("timedelta64[m]")).astype(
            "datetime64[s]"
        ), flux


def read_xrs(path: str | Path, *, scaling: str | None = None) -> XRSSeries:
    """Read one X-ray Sensor file.

    Parameters
    ----------
    path : str or Path
        FITS (SDAC/GSFC) or netCDF-4 (NOAA).
    scaling : {"operational", "true"}, optional
        Give the fluxes on this scale; by default as they stand in the file. The scale of the file
        follows from its origin: operational in SDAC's FITS and NOAA's legacy products of GOES 8-15,
        true in science-quality products and from GOES-16 on.

    Returns
    -------
    XRSSeries

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataIntegrityError
        If the file is damaged or empty, or no flux in it is good.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    with open(path, "rb") as file:
        start = file.read(8)
    try:
        if start.startswith((b"SIMPLE", *COMPRESSED_STARTS)):
            series = _read_fits(path)
        elif start.startswith(b"\x89HDF"):
            series = _read_netcdf(path)
        elif start.startswith(b"CDF"):
            raise DataIntegrityError(
                f"{path.name}: a netCDF-3 file, which is not read; convert it with nccopy -k nc4"
            )
        else:
            raise DataIntegrityError(
                f"{path.name}: expected a GOES XRS file in FITS or netCDF-4, but it starts with "
                f"{start!r}; a web page or a truncated download looks like this"
            )
    except DataIntegrityError:
        raise
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        EOFError,
        RuntimeError,
        MemoryError,
        zlib.error,
        lzma.LZMAError,
        AstropyUserWarning,
    ) as error:
        raise DataIntegrityError(
            f"{path.name}: cannot be read as GOES XRS data ({error})"
        ) from error
    if not series.long_is_good.any():
        raise DataIntegrityError(
            f"{path.name}: none of its {len(series.time)} samples holds a good 1-8 A flux"
        )
    return series if scaling is None else series.on_scale(scaling)


def find_gaps(time: np.ndarray, limit_s: float) -> np.ndarray:
    """Give (gap, 2) pairs of neighbouring times that are more than ``limit_s`` seconds apart."""
    steps = np.diff(time) / np.timedelta64(1, "s")
    wide = np.flatnonzero(steps > limit_s)
    return np.stack([time[wide], time[wide + 1]], axis=1)


def _read_fits(path: Path) -> XRSSeries:
    """Read an SDAC/GSFC file: one row with all times, and fluxes as (sample, channel)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyUserWarning)  # astropy only warns of a truncated file
        with opened_whole(path) as file, fits.open(file, memmap=False, checksum=True) as hdus:
            if "FLUXES" not in hdus:
                raise DataIntegrityError(f"{path.name}: this FITS file has no FLUXES table")
            header, table = hdus["FLUXES"].header, hdus["FLUXES"].data
            seconds = np.asarray(table["TIME"][0], float)
            flux = np.asarray(table["FLUX"][0], float).reshape(len(seconds), 2)
            day = np.datetime64("1858-11-17", "ms") + np.timedelta64(int(header["TIMEZERO"]), "D")
            satellite, repairs = _satellite(path, str(hdus[0].header.get("TELESCOP", "")))
            flagged = _fits_flags(hdus, seconds)
    number = int(satellite.split("-")[1]) if "-" in satellite else 0
    known = np.isfinite(seconds)
    time = day + np.round(np.where(known, seconds, 0) * 1000).astype("timedelta64[ms]")
    time[~known] = np.datetime64("NaT")
    return _series(
        time=time,
        fluxes=flux.T,
        good=(~flagged[:, 0], ~flagged[:, 1]),
        repairs=repairs,
        satellite=satellite,
        scaling=TRUE if number >= 16 else OPERATIONAL,
        time_is="centre of exposure" if 13 <= number <= 15 else "start of record",
        source=path.name,
    )


def _fits_flags(hdus: fits.HDUList, seconds: np.ndarray) -> np.ndarray:
    """Return which samples the STATUS table excludes, (sample, 2): of the long and short channel.

    The table lists the times at which the status words change; word 1 bit 0o1000 is an eclipse by
    the Moon, word 2 bits 0o1 off, 0o2 calibration, 0o10 saturation of the short and 0o200 of the
    long channel (its COMMENT cards).
    """
    flagged = np.zeros((len(seconds), 2), bool)
    if "STATUS" not in hdus or hdus["STATUS"].data is None:
        return flagged
    table = hdus["STATUS"].data
    time = np.ravel(table["TIME"]).astype(float)
    words = np.reshape(np.asarray(table["STATUS"], float), (-1, 2))[: len(time)].astype(np.int64)
    both = (words[:, 0] & 0o1000 > 0) | (words[:, 1] & (0o1 | 0o2) > 0)
    bad = np.stack([both | (words[:, 1] & bit > 0) for bit in (0o200, 0o10)], axis=1)
    current = np.searchsorted(time, seconds, side="right") - 1
    known = current >= 0
    flagged[known] = bad[current[known]]
    return flagged


def _read_netcdf(path: Path) -> XRSSeries:
    """Read a NOAA netCDF-4 file of either naming scheme."""
    with h5py.File(path, "r") as file:
        names = {name.lower(): name for name in file}
        pair = next((pair for pair in _FLUX_NAMES if pair[0] in names), None)
        if pair is None:
            raise DataIntegrityError(
                f"{path.name}: expected the fluxes xrsa_flux and xrsb_flux, or a_flux and b_flux; "
                f"found {', '.join(sorted(file)) or 'nothing'}"
            )
        long_name, short_name = pair
        channels = tuple(name.split("_")[0] for name in pair)
        long_flux = read_flux(file[names[long_name]], long_name)
        short_flux, short_repairs = _short_flux(file, names, short_name, len(long_flux))
        fluxes = [long_flux, short_flux]
        good = [good_samples(file, names, channel) for channel in channels]
        time_name = names.get("time", names.get("time_tag", "time"))
        time = read_times(file[time_name])
        title = attribute(file, "title")
        satellite, repairs = _satellite(path, attribute(file, "platform"))
        legacy = time_name == "time_tag" or names[long_name].isupper()
        repairs += short_repairs
        repairs += [f"flag variable {n} not known, ignored" for n in unknown_flags(names, channels)]
    if len(time) == 0:
        raise DataIntegrityError(f"{path.name}: the file holds no samples")
    number = int(satellite.split("-")[1]) if "-" in satellite else 0
    if not legacy and number < 16 and not title.startswith("GOES 1-15 L2 XRS"):
        raise DataIntegrityError(
            f"{path.name}: neither a GOES-16 or later file nor NOAA's 'GOES 1-15 L2 XRS' product "
            f"(title {title!r}), so the flux scale (factor 0.7) is unknown"
        )
    return _series(
        time=time,
        fluxes=fluxes,
        good=[np.ones(len(time), bool) if g is None else g for g in good],
        repairs=repairs,
        satellite=satellite,
        scaling=OPERATIONAL if legacy and number < 16 else TRUE,
        time_is="start of record",
        source=path.name,
    )


def _short_flux(
    file: h5py.File, names: dict[str, str], name: str, n: int
) -> tuple[np.ndarray, list[str]]:
    """Return the 0.5-4 A flux, NaN where the file has none to use, and what is said of that."""
    if name not in names:
        return np.full(n, np.nan), [f"no 0.5-4 A flux ({name})"]
    try:
        return read_flux(file[names[name]], name), []
    except DataIntegrityError as error:
        return np.full(n, np.nan), [f"0.5-4 A flux not used: {error}"]


def _satellite(path: Path, said: str) -> tuple[str, list[str]]:
    """Return the satellite, by the file's name before what the file says; and whether they differ.

    The platform of some files is that of the operator's primary satellite.
    """
    prefix = _PREFIX.match(path.name)
    named = f"GOES-{int(prefix[1])}" if prefix else _satellite_name(path.name)
    stated = _satellite_name(said)
    if "unknown" in (named, stated) or named == stated:
        return (stated if named == "unknown" else named), []
    return named, [f"the name says {named}, the file {stated}: taken for {named}"]


def _satellite_name(text: str) -> str:
    """Find a satellite number in ``GOES 15``, ``g16`` or a file name such as ``goes_13_x.nc``."""
    match = re.search(
        r"(?:^|[^a-z])(?:goes[ _-]?(\d{1,2})|g[ _-]?(\d\d))(?!\d)", text, flags=re.IGNORECASE
    )
    return f"GOES-{int(match[1] or match[2])}" if match else "unknown"


def _series(*, time, fluxes, good, repairs, **fields) -> XRSSeries:
    """Make a series in order of time: impossible fluxes and samples without a time are left out."""
    if not len(time) == len(fluxes[0]) == len(fluxes[1]):
        raise DataIntegrityError("times and fluxes differ in number")
    repairs = list(repairs)
    known = ~np.isnat(time)
    known[known] = (time[known] > _FIRST_TIME) & (time[known] < _LAST_TIME)
    if not known.all():
        repairs.append(f"{int((~known).sum())} samples without a time left out")
    columns, n_impossible = {}, 0
    for name, flux, is_good in zip(("long", "short"), fluxes, good, strict=True):
        flux, is_good = np.array(flux, float)[known], np.asarray(is_good)[known]
        with np.errstate(invalid="ignore"):
            missing = ~np.isfinite(flux) | np.isin(flux, (-9999.0, -99999.0))
            impossible = ~missing & ~((flux >= _LEAST_FLUX) & (flux <= _LARGEST_FLUX))
        n_impossible += int(impossible.sum())
        flux[missing | impossible] = np.nan
        columns |= {f"{name}_flux": flux, f"{name}_is_good": is_good & np.isfinite(flux)}
    if n_impossible:
        repairs.append(f"{n_impossible} impossible fluxes missing")
    return in_order(
        XRSSeries(
            time=time[known].astype(_MS), cadence_s=0.0, repairs=tuple(repairs), **columns, **fields
        )
    )


def in_order(series: XRSSeries) -> XRSSeries:
    """Return a series sorted by time, one sample a time: in each channel its first good one."""
    repairs = list(series.repairs)
    n_back = int((series.time[1:] < series.time[:-1]).sum())
    if n_back:
        repairs.append(f"times ran backwards {n_back} times, sorted")
    time = np.unique(series.time)
    if len(time) < len(series.time):
        repairs.append(f"{len(series.time) - len(time)} repeated times dropped")
    columns = {}
    for name in ("long", "short"):
        good = getattr(series, f"{name}_is_good")
        order = np.lexsort((~good, series.time))  # stable: the first given of equal ones
        first = order[np.searchsorted(series.time[order], time)]
        for key in (f"{name}_flux", f"{name}_is_good"):
            columns[key] = getattr(series, key)[first]
    steps = np.diff(time) / np.timedelta64(1, "s")
    return replace(
        series,
        time=time,
        **columns,
        cadence_s=float(np.median(steps)) if len(steps) else float("nan"),
        repairs=tuple(repairs),
    )
