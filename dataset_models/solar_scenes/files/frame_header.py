"""What the header of any instrument's frame says: readable cards, time, instrument, coordinates."""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS, WcsError

__all__ = ["frame_time", "frame_wcs", "instrument_of", "quietly", "readable_cards", "region_number"]

_LOCK = threading.RLock()  # warning filters belong to the process, frames are read in threads
_TIME = re.compile(r"(\d{4})[-.](\d\d)[-.](\d\d)[T_ ](\d\d:\d\d(?::\d\d(?:\.\d*)?)?)_?([A-Z]*)")
_WCS_KEY = re.compile(
    r"(CTYPE|CUNIT|CRPIX|CRVAL|CDELT)[12]|CROTA2|(PC|CD)[12]_[12]|LONPOLE|LATPOLE|PV[12]_\d+"
    r"|DSUN_OBS|RSUN_REF|HG(LN|LT)_OBS|CR(LN|LT)_OBS"
)
_TIME_KEYS = ("DATE_OBS", "DATE-OBS", "T_OBS", "T_REC")
_SCANNED = {*_TIME_KEYS, "TIME-OBS", "TIMESYS", "TELESCOP", "INSTRUME", "NOAA_AR", "NOAA_NUM"}
_SCANNED |= {"XCEN", "YCEN", "XTENSION", "COMMENT", "HISTORY"}
_KINDS = {("HPLN", "HPLT"): "arcsec", ("CRLN", "CRLT"): "deg", ("HGLN", "HGLT"): "deg"}
_OLD_KINDS = {"SOLAR-X": "HPLN-TAN", "SOLAR-Y": "HPLT-TAN"}  # SolarSoft's spelling
_FIRST_REGION = 100  # smaller numbers count regions in SHARP headers, 0 is none


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep astropy's remarks on non-standard headers to itself, one thread at a time."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def readable_cards(header: fits.Header, *, needed_only: bool = False) -> dict:
    """Return the cards that can be read; a bare ``nan``, which is no FITS value, is left out.

    Comments and history are joined, line by line. If ``needed_only``, only the cards of time,
    instrument and place are read, which is much faster.
    """
    out: dict = {}
    for card in header.cards:
        try:
            key = card.keyword
            if needed_only and not (key in _SCANNED or _WCS_KEY.fullmatch(key)):
                continue
            value = card.value
        except (fits.VerifyError, ValueError):
            continue
        if key in ("COMMENT", "HISTORY"):
            out[key] = f"{out[key]}\n{value}" if key in out else str(value)
        elif key and not isinstance(value, fits.card.Undefined):
            out.setdefault(key, value)
    return out


def frame_time(header: dict) -> str:
    """Return the time of observation in UTC as ISO text with milliseconds, "" where unknown."""
    system = str(header.get("TIMESYS", "UTC")).upper()
    for key in _TIME_KEYS:
        text = str(header.get(key, "")).strip().upper().removesuffix("Z")
        if len(text) == 10 and "TIME-OBS" in header:
            text = f"{text}T{str(header['TIME-OBS']).strip()}"
        found = _TIME.fullmatch(text)
        if not found:
            continue
        year, month, day, clock, scale = found.groups()
        is_tai = (scale or ("TAI" if "TAI" in system else "UTC")) == "TAI"
        with contextlib.suppress(ValueError):  # a date that no calendar has
            time = np.datetime64(f"{year}-{month}-{day}T{clock.rstrip('.')}", "ms")
            if is_tai:
                iso = Time(str(time), format="isot", scale="tai").utc
                time = iso.to_value("datetime64").astype("datetime64[ms]")
            return str(time)
    return ""


def instrument_of(header: dict) -> str:
    """Return telescope and instrument as one text, "" where the header names none."""
    words = (str(header.get(key, "")).strip() for key in ("TELESCOP", "INSTRUME"))
    return " ".join(word for word in words if word)


def region_number(header: dict) -> int:
    """Return NOAA's number of the active region, 0 where the header names none."""
    for key in ("NOAA_AR", "NOAA_NUM"):
        with contextlib.suppress(TypeError, ValueError):
            number = int(header.get(key, 0))
            if number >= _FIRST_REGION:
                return number
    return 0


def frame_wcs(header: dict, shape: tuple[int, int]) -> WCS | None:
    """Return the coordinates of a frame, None where they can't be used.

    Helioprojective ones, also in SolarSoft's spelling ``Solar-X``, and heliographic maps,
    Carrington's or Stonyhurst's. Only the cards of the coordinates are taken, so that others,
    however damaged, do no harm.
    """
    cards = {k: v for k, v in header.items() if _WCS_KEY.fullmatch(k) and _is_usable(v)}
    kinds = []
    for axis in "12":
        kind = str(cards.get(f"CTYPE{axis}", "")).strip().upper()
        kinds.append(_OLD_KINDS.get(kind, kind))
        cards[f"CTYPE{axis}"] = kinds[-1]
    unit = _KINDS.get(tuple(kind[:4] for kind in kinds))
    if unit is None or not {"CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2"} <= cards.keys():
        return None
    for axis in "12":
        given = str(cards.get(f"CUNIT{axis}", unit)).strip().lower() or unit
        cards[f"CUNIT{axis}"] = {"arcs": "arcsec", "degr": "deg"}.get(given[:4], given)
    has_matrix = any(key.startswith(("PC", "CD1", "CD2")) for key in cards)
    if has_matrix:
        cards.pop("CROTA2", None)
    binning = _unsaid_binning(header, shape)
    for axis, ratio in zip("12", binning, strict=True):
        if ratio != 1 and f"CDELT{axis}" in cards:
            cards[f"CDELT{axis}"] *= ratio
    return _made(cards, frame_time(header), shape)


def _made(cards: dict, time: str, shape: tuple[int, int]) -> WCS | None:
    try:
        wcs = WCS(fits.Header(cards), naxis=2)
        scale = wcs.pixel_scale_matrix
        if time:
            wcs.wcs.dateobs = time
        corner = wcs.wcs_pix2world([[0.0, 0.0], [1.0, 1.0]], 0)
    except (ValueError, WcsError, MemoryError, fits.VerifyError, KeyError):
        return None
    if not np.isfinite(scale).all() or np.linalg.det(scale) == 0 or np.isinf(corner).any():
        return None
    wcs.pixel_shape = shape[::-1]
    return wcs


def _unsaid_binning(header: dict, shape: tuple[int, int]) -> tuple[float, float]:
    """Return the binning that an EIT header keeps quiet about: the pixels read out over those here.

    EIT frames carry the corners of the readout in comments. Resampled ones keep the plate scale of
    the whole detector, by which the Sun would be several times too small.
    """
    if "EIT" not in str(header.get("INSTRUME", "")) or "resampled" not in header.get("HISTORY", ""):
        return 1.0, 1.0
    corner = dict(re.findall(r"(P[12]_[XY])\s*=\s*(\d+)", header.get("COMMENT", "")))
    if len(corner) < 4:
        return 1.0, 1.0
    n_x, n_y = (int(corner[f"P2_{a}"]) - int(corner[f"P1_{a}"]) + 1 for a in "XY")
    return n_x / shape[1], n_y / shape[0]


def _is_usable(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "nan")
    return not isinstance(value, bool) and isinstance(value, (int, float)) and np.isfinite(value)
