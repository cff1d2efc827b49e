"""GOES X-ray Sensor light curves: one reader for the FITS and netCDF files of GOES-8 to -18.

Read are the SDAC/GSFC FITS files and NOAA's netCDF products in both naming schemes (``a_flux`` /
``b_flux`` and ``xrsa_flux`` / ``xrsb_flux``) and both epochs (1970-01-01 and 2000-01-01T12). Times
count days of 86,400 s, as NOAA states for its products; a leap second has no time of its own.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from dataset_models.solar_data import DataIntegrityError
from tools.physics.flare_class import OPERATIONAL, TRUE, rescale_flux

__all__ = ["XRSSeries", "find_gaps", "join_xrs", "read_xrs"]

_NO_DATA = -9999.0  # NOAA's fill values are -9999 and -99999, far below every valid flux
_MS = "datetime64[ms]"


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
        If the file is damaged or empty, its times run backwards, or no flux in it is good.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    with open(path, "rb") as file:
        start = file.read(8)
    try:
        if start.startswith(b"SIMPLE") or start.startswith(b"\x1f\x8b"):
            series = _read_fits(path)
        elif start.startswith(b"\x89HDF"):
            series = _read_netcdf(path)
        else:
            raise DataIntegrityError(
                f"{path.name}: expected a GOES XRS file in FITS or netCDF-4, but it starts with "
                f"{start!r}; a web page or a truncated download looks like this"
            )
    except DataIntegrityError:
        raise
    except (OSError, ValueError, KeyError, IndexError, TypeError, AstropyUserWarning) as error:
        raise DataIntegrityError(
            f"{path.name}: cannot be read as GOES XRS data ({error})"
        ) from error
    if (series.time[1:] < series.time[:-1]).any():
        raise DataIntegrityError(
            f"{path.name}: times run backwards at sample "
            f"{int(np.argmax(series.time[1:] < series.time[:-1])) + 2}; the file is damaged"
        )
    if not series.long_is_good.any():
        raise DataIntegrityError(
            f"{path.name}: none of its {len(series.time)} samples holds a good 1-8 A flux"
        )
    series = _in_order(series)
    return series if scaling is None else series.on_scale(scaling)


def join_xrs(series: list[XRSSeries]) -> XRSSeries:
    """Join light curves in time; within the span of an earlier given one, later ones are left out.

    Raises
    ------
    ValueError
        If there is none, or their scalings differ.
    """
    if not series:
        raise ValueError("no GOES XRS series to join")
    scalings = {s.scaling for s in series}
    if len(scalings) > 1:
        raise ValueError(
            "these files mix the operational and the true flux scale "
            f"({', '.join(sorted({s.satellite for s in series}))}); read them on one scale "
            "(scaling='true' or 'operational')"
        )
    columns = ("time", "long_flux", "short_flux", "long_is_good", "short_is_good")
    kept = []
    for k, one in enumerate(series):
        covered = np.zeros(len(one.time), bool)
        for other in series[:k]:
            covered |= (one.time >= other.time[0]) & (one.time <= other.time[-1])
        kept.append(~covered)
    joined = {
        name: np.concatenate([getattr(s, name)[rows] for s, rows in zip(series, kept, strict=True)])
        for name in columns
    }
    n_left = sum(int((~rows).sum()) for rows in kept)
    satellites = list(dict.fromkeys(s.satellite for s in series))
    overlap = [f"{n_left} samples within the span of another file left out"] if n_left else []
    return _in_order(
        replace(
            series[0],
            **joined,
            satellite=", ".join(satellites),
            source=", ".join(s.source for s in series),
            repairs=tuple(dict.fromkeys([r for s in series for r in s.repairs] + overlap)),
        )
    )


def find_gaps(time: np.ndarray, limit_s: float) -> np.ndarray:
    """Give (gap, 2) pairs of neighbouring times that are more than ``limit_s`` seconds apart."""
    steps = np.diff(time) / np.timedelta64(1, "s")
    wide = np.flatnonzero(steps > limit_s)
    return np.stack([time[wide], time[wide + 1]], axis=1)


def _read_fits(path: Path) -> XRSSeries:
    """Read an SDAC/GSFC file: one row with all times, and fluxes as (sample, channel)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyUserWarning)  # astropy only warns of a truncated file
        with open(path, "rb") as file, fits.open(file, memmap=False, checksum=True) as hdus:
            if "FLUXES" not in hdus:
                raise DataIntegrityError(f"{path.name}: this FITS file has no FLUXES table")
            header, table = hdus["FLUXES"].header, hdus["FLUXES"].data
            seconds = np.asarray(table["TIME"][0], float)
            flux = np.asarray(table["FLUX"][0], float).reshape(len(seconds), 2)
            day = np.datetime64("1858-11-17", "ms") + np.timedelta64(int(header["TIMEZERO"]), "D")
            satellite = _satellite_name(str(hdus[0].header.get("TELESCOP", "")))
            flagged = _fits_flags(hdus, seconds)
    number = int(satellite.split("-")[1]) if "-" in satellite else 0
    long_flux, short_flux = (np.where(f > _NO_DATA, f, np.nan) for f in flux.T)
    return _series(
        time=day + np.round(seconds * 1000).astype("timedelta64[ms]"),
        fluxes=(long_flux, short_flux),
        good=(~flagged, ~flagged),
        satellite=satellite,
        scaling=TRUE if number >= 16 else OPERATIONAL,
        time_is="centre of exposure" if 13 <= number <= 15 else "start of record",
        source=path.name,
    )


def _fits_flags(hdus: fits.HDUList, seconds: np.ndarray) -> np.ndarray:
    """Give which samples the STATUS table excludes: eclipse, detector off, calibration, saturation.

    The table lists the times at which the status words change; word 1 bit 0o1000 is an eclipse by
    the Moon, word 2 bits 0o1 off, 0o2 calibration, 0o10 and 0o200 saturation (its COMMENT cards).
    """
    flagged = np.zeros(len(seconds), bool)
    if "STATUS" not in hdus or hdus["STATUS"].data is None:
        return flagged
    table = hdus["STATUS"].data
    time = np.ravel(table["TIME"]).astype(float)
    words = np.reshape(np.asarray(table["STATUS"], float), (-1, 2))[: len(time)].astype(np.int64)
    bad = (words[:, 0] & 0o1000 > 0) | (words[:, 1] & (0o1 | 0o2 | 0o10 | 0o200) > 0)
    current = np.searchsorted(time, seconds, side="right") - 1
    known = current >= 0
    flagged[known] = bad[current[known]]
    return flagged


def _read_netcdf(path: Path) -> XRSSeries:
    """Read a NOAA netCDF-4 file of either naming scheme."""
    with h5py.File(path, "r") as file:
        names = {name.lower(): name for name in file}
        for long_name, short_name in (("xrsb_flux", "xrsa_flux"), ("b_flux", "a_flux")):
            if long_name in names and short_name in names:
                break
        else:
            raise DataIntegrityError(
                f"{path.name}: expected the fluxes xrsa_flux and xrsb_flux, or a_flux and b_flux; "
                f"found {', '.join(sorted(file)) or 'nothing'}"
            )
        fluxes, good = [], []
        for name in (long_name, short_name):
            flux = np.asarray(file[names[name]][:], float)
            fluxes.append(np.where(flux > _NO_DATA, flux, np.nan))
            good.append(_netcdf_good(file, names, name.removesuffix("_flux")))
        time_name = names.get("time", names.get("time_tag", "time"))
        time = _netcdf_time(file[time_name])
        title = _attribute(file, "title")
        satellite = _satellite_name(_attribute(file, "platform"), path.name)
        legacy = time_name == "time_tag" or names[long_name].isupper()
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
        satellite=satellite,
        scaling=OPERATIONAL if legacy and number < 16 else TRUE,
        time_is="start of record",
        source=path.name,
    )


def _netcdf_time(variable: h5py.Dataset) -> np.ndarray:
    """Turn ``(milli)seconds since EPOCH`` into datetime64[ms]."""
    units = _attribute(variable, "units")
    match = re.fullmatch(r"(seconds|milliseconds) since (.+?)(?: UTC)?", units)
    if match is None:
        raise DataIntegrityError(f"unknown time unit {units!r}")
    epoch = np.datetime64(match[2].strip().replace(" ", "T"), "ms")
    step_ms = 1000 if match[1] == "seconds" else 1
    value = np.asarray(variable[:], float)
    if not np.isfinite(value).all() or (value <= _NO_DATA).any():
        raise DataIntegrityError("some times are missing")
    return epoch + np.round(value * step_ms).astype("timedelta64[ms]")


def _netcdf_good(file: h5py.File, names: dict[str, str], channel: str) -> np.ndarray | None:
    """Give which samples carry the flag's ``good_data`` value under its mask."""
    name = names.get(f"{channel}_flags", names.get(f"{channel}_flag"))
    if name is None:
        return None
    flags = np.asarray(file[name][:]).astype(np.int64)
    meanings = _attribute(file[name], "flag_meanings").split()
    values = np.atleast_1d(_parse_numbers(file[name].attrs.get("flag_values", [0])))
    masks = np.atleast_1d(_parse_numbers(file[name].attrs.get("flag_masks", [0xFFFF])))
    index = meanings.index("good_data") if "good_data" in meanings else 0
    return (flags & int(masks[index])) == int(values[index])


def _parse_numbers(value: object) -> np.ndarray:
    return np.asarray(value).astype(np.int64)


def _attribute(owner: h5py.File | h5py.Dataset, name: str) -> str:
    value = owner.attrs.get(name, "")
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode() if isinstance(value, bytes) else str(value)


def _satellite_name(*texts: str) -> str:
    """Find a satellite number in ``GOES 15``, ``g16`` or a file name such as ``goes_13_x.nc``."""
    for text in texts:
        match = re.search(r"(?:^|[^a-z])g(?:oes)?[ _-]?(\d{1,2})(?!\d)", text, flags=re.IGNORECASE)
        if match:
            return f"GOES-{int(match[1])}"
    return "unknown"


def _series(*, time, fluxes, good, **fields) -> XRSSeries:
    long_flux, short_flux = fluxes
    if not len(time) == len(long_flux) == len(short_flux):
        raise DataIntegrityError("times and fluxes differ in number")
    return XRSSeries(
        time=time.astype(_MS),
        long_flux=long_flux,
        short_flux=short_flux,
        long_is_good=good[0] & np.isfinite(long_flux),
        short_is_good=good[1] & np.isfinite(short_flux),
        cadence_s=0.0,
        **fields,
    )


def _in_order(series: XRSSeries) -> XRSSeries:
    """Sort by time and drop repeated times, counting them."""
    time, first = np.unique(series.time, return_index=True)
    repairs = list(series.repairs)
    if len(time) < len(series.time):
        repairs.append(f"{len(series.time) - len(time)} repeated times dropped")
    columns = ("long_flux", "short_flux", "long_is_good", "short_is_good")
    steps = np.diff(time) / np.timedelta64(1, "s")
    return replace(
        series,
        time=time,
        **{name: getattr(series, name)[first] for name in columns},
        cadence_s=float(np.median(steps)) if len(steps) else float("nan"),
        repairs=tuple(repairs),
    )
