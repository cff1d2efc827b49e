"""Turns a header's coordinates, in every spelling, into one form that all readers share.

The form is a dict of FITS keywords: CTYPE, CUNIT (arcsec for helioprojective coordinates, deg for
heliographic maps), CRPIX, CRVAL, CDELT > 0 or as given, PCi_j, and what else the projection needs;
with the observer's keywords where the header has them. Rules are those of the FITS standard
(Greisen & Calabretta 2002, A&A 395, 1061; Calabretta & Greisen 2002, A&A 395, 1077) and for the Sun
Thompson (2006, A&A 449, 791). astropy's WCS does the geometry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, WcsError

from dataset_models.fits_files.cards import HeaderCards, finite_number
from dataset_models.fits_files.opening import quietly

__all__ = [
    "COORDINATE_KEY",
    "HELIOGRAPHIC",
    "HELIOPROJECTIVE",
    "OBSERVER_KEYS",
    "astropy_wcs",
    "celestial_coordinates",
    "pixel_matrix",
    "plane_pixels",
    "plane_places",
]

HELIOPROJECTIVE = ("HPLN", "HPLT")
HELIOGRAPHIC = (("CRLN", "CRLT"), ("HGLN", "HGLT"))
OBSERVER_KEYS = ("RSUN_OBS", "DSUN_OBS", "HGLN_OBS", "HGLT_OBS", "CRLN_OBS", "CRLT_OBS")
COORDINATE_KEY = re.compile(
    r"(CTYPE|CUNIT|CRPIX|CRVAL|CDELT)[12]|CROTA[12]?|(PC|CD)[12]_[12]|(PC|CD)00[12]00[12]"
    r"|LONPOLE|LATPOLE|PV[12]_\d+|DSUN_OBS|RSUN_(REF|OBS)|HG(LN|LT)_OBS|CR(LN|LT)_OBS"
    r"|[AB]P?_ORDER|C[PQ]DIS[12]|D2IMDIS[12]"
)
_DISTORTION = re.compile(r"[AB]P?_ORDER|C[PQ]DIS[12]|D2IMDIS[12]")
_PLACING = re.compile(r"C(RPIX|RVAL|DELT)[12]|(CD|PC)([12]_[12]|00[12]00[12])")
_ROLL = ("CROTA2", "CROTA", "CROTA1")
_SOLARSOFT_TYPE = re.compile(r"SOLAR[-_ ]?([XY])")
_UNIT_NAMES = {"arcs": "arcsec", "seco": "arcsec", "degr": "deg", "arcm": "arcmin", "radi": "rad"}
_LEAST_FIELD_ARCSEC = 5.0  # no image of the Sun is smaller; numbers so small are degrees
_EXTRA = re.compile(r"LONPOLE|LATPOLE|PV[12]_\d+")


def celestial_coordinates(
    cards: Mapping, shape: tuple[int, int], *, with_maps: bool = False
) -> dict:
    """Return a header's coordinates in the one form of this suite.

    A CD matrix goes before PC, PC before a roll angle (CROTA2, else CROTA, else CROTA1). Units are
    CUNIT's; without it arcsec, unless the field would then be smaller than 5 arcsec: then degrees.
    Longitudes near 360 degrees become negative. EIT's frames that were resampled without a word get
    the scale of their pixels.

    Parameters
    ----------
    cards : mapping
        Of the header; see ``header_cards``.
    shape : (y, x)
    with_maps : bool
        Whether heliographic maps (Carrington, Stonyhurst) are taken, too.

    Raises
    ------
    KeyError
        If a card is missing that nothing can stand for, such as CDELT1.
    ValueError
        If the coordinates are of another kind, contradict themselves, or need what is not honoured.
    """
    bent = sorted(key for key in cards if _DISTORTION.fullmatch(key))
    if bent:
        raise ValueError(
            f"its coordinates are distorted ({', '.join(bent)}), which is not honoured"
        )
    _refuse_lost_cards(cards)
    kinds = [_axis_type(cards, axis) for axis in "12"]
    pair = tuple(kind[:4] for kind in kinds)
    known = (HELIOPROJECTIVE, *HELIOGRAPHIC) if with_maps else (HELIOPROJECTIVE,)
    if pair not in known:
        raise ValueError(
            f"coordinates {' and '.join(pair)}, not HPLN and HPLT: helioprojective, x first"
        )
    is_sky = pair == HELIOPROJECTIVE
    steps = _pixel_steps(cards)
    factors = _unit_factors(cards, steps, shape, is_sky)
    out: dict = {}
    for k, axis in enumerate("12"):
        out[f"CTYPE{axis}"] = kinds[k]
        out[f"CUNIT{axis}"] = "arcsec" if is_sky else "deg"
        out[f"CRPIX{axis}"] = finite_number(cards, f"CRPIX{axis}")
        out[f"CRVAL{axis}"] = finite_number(cards, f"CRVAL{axis}") * factors[k]
    turn = 360.0 * 3600 if is_sky else 360.0
    if is_sky or out["CRVAL1"] >= turn:
        out["CRVAL1"] = _wrapped(out["CRVAL1"], turn)
    binning = _unsaid_binning(cards, shape)
    for k, axis in enumerate("12"):
        out[f"CDELT{axis}"] = steps[0][k] * factors[k] * binning[k]
    for i in range(2):
        for j in range(2):
            scaled = steps[1][i][j] * binning[j] / binning[i]
            out[f"PC{i + 1}_{j + 1}"] = float(scaled)
    for key, value in cards.items():
        if (_EXTRA.fullmatch(key) or key in OBSERVER_KEYS) and _is_number(value):
            out[key] = float(value)
    _put_scale_into_cdelt(out)
    matrix = pixel_matrix(out)
    if abs(np.linalg.det(matrix)) <= 1e-3 * np.prod(np.linalg.norm(matrix, axis=1)):
        raise ValueError("its coordinates turn both axes into one")
    if not _is_plain_tan(out):  # of the usual projection the matrix says all
        _check_geometry(out)
    return out


def pixel_matrix(coordinates: Mapping) -> np.ndarray:
    """Return the (2, 2) matrix from pixel steps (column, row) to CUNIT (x, y)."""
    turn = [[coordinates.get(f"PC{i}_{j}", float(i == j)) for j in (1, 2)] for i in (1, 2)]
    return np.array([[coordinates["CDELT1"]], [coordinates["CDELT2"]]]) * np.array(turn)


def astropy_wcs(coordinates: Mapping, *, time: str = "") -> WCS:
    """Return astropy's object of coordinates in the one form; it counts in degrees."""
    header = fits.Header()
    for key, value in coordinates.items():
        if COORDINATE_KEY.fullmatch(key):
            header[key] = value
    with quietly():
        wcs = WCS(header, naxis=2)
        if time:
            wcs.wcs.dateobs = time
    return wcs


def plane_places(shape: tuple[int, int], coordinates: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel centre's place in the plane of the sky, x and y (y, x) in arcsec.

    The plane touches the sky at the Sun's centre (TAN), x to the west and y to the north. Where the
    image's own plane is that one, places follow from the matrix; else astropy projects them.
    """
    column = np.arange(1, shape[1] + 1)[None] - coordinates["CRPIX1"]
    row = np.arange(1, shape[0] + 1)[:, None] - coordinates["CRPIX2"]
    if _is_sun_centred(coordinates):
        matrix = pixel_matrix(coordinates)
        x = coordinates["CRVAL1"] + matrix[0, 0] * column + matrix[0, 1] * row
        y = coordinates["CRVAL2"] + matrix[1, 0] * column + matrix[1, 1] * row
        return x, y
    pixels = np.stack([a.ravel() for a in np.meshgrid(*(np.arange(n) for n in shape[::-1]))], 1)
    sky = astropy_wcs(coordinates).wcs_pix2world(pixels.astype(float), 0)
    x, y = _sun_centred_plane().wcs_world2pix(sky, 0).T
    return x.reshape(shape), y.reshape(shape)


def plane_pixels(
    coordinates: Mapping, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels (column, row), counted from 0, at places of ``plane_places``."""
    if _is_sun_centred(coordinates):
        offset = np.stack([x - coordinates["CRVAL1"], y - coordinates["CRVAL2"]])
        steps = np.linalg.inv(pixel_matrix(coordinates)) @ offset
        return steps[0] + coordinates["CRPIX1"] - 1, steps[1] + coordinates["CRPIX2"] - 1
    sky = _sun_centred_plane().wcs_pix2world(np.stack([x, y], 1), 0)
    column, row = astropy_wcs(coordinates).wcs_world2pix(sky, 0).T
    return column, row


def _axis_type(cards: Mapping, axis: str) -> str:
    kind = str(cards[f"CTYPE{axis}"]).strip().upper()
    found = _SOLARSOFT_TYPE.fullmatch(kind)
    if found:
        return {"X": "HPLN-TAN", "Y": "HPLT-TAN"}[found[1]]
    return kind


def _pixel_steps(cards: Mapping) -> tuple[list[float], np.ndarray]:
    """Return CDELT and PC, whatever the header spells, in the header's unit."""
    cd = _spelled_matrix(cards, "CD", 0.0)
    pc = _spelled_matrix(cards, "PC", 1.0)
    if cd is not None:
        if pc is not None and not _agree(cards, cd, pc):
            raise ValueError("both a CD and a PC matrix, which differ; the standard forbids both")
        scale = np.hypot(*cd)
        if not (scale > 0).all():
            raise ValueError("pixels of size 0")
        return scale.tolist(), cd / scale[:, None]
    scale = np.array([finite_number(cards, f"CDELT{axis}") for axis in "12"])
    if (scale == 0).any():
        raise ValueError("pixels of size 0")
    if pc is not None:
        return scale.tolist(), pc
    key = next((k for k in _ROLL if k in cards), None)
    angle = np.radians(finite_number(cards, key)) if key else 0.0
    ratio = scale[1] / scale[0]
    cos, sin = np.cos(angle), np.sin(angle)
    return scale.tolist(), np.array([[cos, -sin * ratio], [sin / ratio, cos]])


def _put_scale_into_cdelt(coordinates: dict) -> None:
    """Make CDELT the size of a pixel where a PC matrix holds a part of it."""
    matrix = pixel_matrix(coordinates)
    size = np.hypot(*matrix)
    given = np.abs([coordinates["CDELT1"], coordinates["CDELT2"]])
    if np.allclose(size, given, rtol=1e-3) or not (size > 0).all():
        return
    for i in (1, 2):
        coordinates[f"CDELT{i}"] = float(size[i - 1])
        for j in (1, 2):
            coordinates[f"PC{i}_{j}"] = float(matrix[i - 1, j - 1] / size[i - 1])


def _refuse_lost_cards(cards: Mapping) -> None:
    """Raise ValueError if a card that places the image is there without a usable value."""
    lost = cards.left_out if isinstance(cards, HeaderCards) else []
    has_roll = "CROTA2" in cards or any(re.match(r"(CD|PC)[0-9]", key) for key in cards)
    for key in lost:
        if _PLACING.fullmatch(key) or (key in _ROLL and not has_roll):
            raise ValueError(f"{key} has no usable value")


def _spelled_matrix(cards: Mapping, name: str, diagonal: float) -> np.ndarray | None:
    """Return a matrix that is spelled NAMEi_j or NAME00i00j; None if no element is given."""
    matrix, is_given = np.diag([diagonal, diagonal]), False
    for i in (1, 2):
        for j in (1, 2):
            for key in (f"{name}{i}_{j}", f"{name}00{i}00{j}"):
                if key in cards:
                    matrix[i - 1, j - 1], is_given = finite_number(cards, key), True
                    break
    return matrix if is_given else None


def _agree(cards: Mapping, cd: np.ndarray, pc: np.ndarray) -> bool:
    scale = np.array([finite_number(cards, f"CDELT{axis}", np.nan) for axis in "12"])
    return bool(np.allclose(scale[:, None] * pc, cd, rtol=1e-6, atol=1e-9 * np.abs(cd).max()))


def _unit_factors(
    cards: Mapping, steps: tuple, shape: tuple[int, int], is_sky: bool
) -> list[float]:
    """Return what each axis's numbers are multiplied by to stand in arcsec, or in deg."""
    wanted = u.arcsec if is_sky else u.deg
    field = np.abs(steps[0]) * np.array(shape[::-1])
    is_tiny = is_sky and max(field) < _LEAST_FIELD_ARCSEC
    if any(_SOLARSOFT_TYPE.fullmatch(str(cards[f"CTYPE{a}"]).strip().upper()) for a in "12"):
        is_tiny = False
    factors = []
    for axis in "12":
        text = str(cards.get(f"CUNIT{axis}", "")).strip().lower()
        if not text:
            factors.append(3600.0 if is_tiny else 1.0)
            continue
        try:
            factors.append(float(u.Unit(_UNIT_NAMES.get(text[:4], text)).to(wanted)))
        except (ValueError, u.UnitConversionError):
            raise ValueError(f"coordinates in {text}, not in arcsec") from None
    return factors


def _wrapped(longitude: float, turn: float) -> float:
    """Return a longitude of -180 to 180 degrees; what lies there already stays as it is."""
    return longitude if abs(longitude) <= turn / 2 else (longitude + turn / 2) % turn - turn / 2


def _unsaid_binning(cards: Mapping, shape: tuple[int, int]) -> tuple[float, float]:
    """Return the binning that an EIT header keeps quiet about: the pixels read out over those here.

    EIT frames carry the corners of the readout in comments. Resampled ones keep the plate scale of
    the whole detector, by which the Sun would be several times too small.
    """
    is_eit = "EIT" in str(cards.get("INSTRUME", ""))
    if not is_eit or "resampled" not in str(cards.get("HISTORY", "")):
        return 1.0, 1.0
    corner = dict(re.findall(r"(P[12]_[XY])\s*=\s*(\d+)", str(cards.get("COMMENT", ""))))
    if len(corner) < 4:
        return 1.0, 1.0
    n_x, n_y = (int(corner[f"P2_{a}"]) - int(corner[f"P1_{a}"]) + 1 for a in "XY")
    return n_x / shape[1], n_y / shape[0]


def _is_sun_centred(coordinates: Mapping) -> bool:
    """Return whether the image's plane touches the sky at the Sun's centre."""
    return _is_plain_tan(coordinates) and coordinates["CRVAL1"] == coordinates["CRVAL2"] == 0


def _is_plain_tan(coordinates: Mapping) -> bool:
    """Return whether the projection is the usual one onto a plane, without further parameters."""
    kinds = [coordinates.get(f"CTYPE{axis}", "HPLN-TAN")[4:] for axis in "12"]
    extra = [key for key in coordinates if _EXTRA.fullmatch(key)]
    usual = all(key == "LATPOLE" or (key, coordinates[key]) == ("LONPOLE", 180.0) for key in extra)
    return kinds == ["-TAN", "-TAN"] and usual


def _sun_centred_plane() -> WCS:
    """Return the plane's coordinates: pixel numbers are arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cunit = ["HPLN-TAN", "HPLT-TAN"], ["arcsec", "arcsec"]
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [1, 1], [0, 0], [1, 1]
    return wcs


def _check_geometry(coordinates: dict) -> None:
    """Raise ValueError if astropy can't use the coordinates."""
    try:
        wcs = astropy_wcs(coordinates)
        with quietly():
            corner = wcs.wcs_pix2world([[0.0, 0.0], [1.0, 1.0]], 0)
    except (WcsError, MemoryError, fits.VerifyError, KeyError, ValueError) as error:
        raise ValueError(f"its coordinates can't be used ({str(error).splitlines()[-1]})") from None
    if np.isinf(corner).any():
        raise ValueError("its coordinates place no pixel on the sky")


def _is_number(value: object) -> bool:
    is_plain = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return is_plain and bool(np.isfinite(value))
