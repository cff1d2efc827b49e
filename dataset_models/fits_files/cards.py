"""Reads the cards of a FITS header, or a map's keys: readable ones as they are, others named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from astropy.io import fits

__all__ = ["HeaderCards", "finite_number", "hdu_cards", "header_cards", "integer", "map_cards"]

_NO_CARDS = ("SIMPLE", "EXTEND", "KEYCOMMENTS")
_OF_ITS_OWN = re.compile(r"SIMPLE|EXTEND|BITPIX|NAXIS\d*|B(SCALE|ZERO|LANK)|CHECKSUM|DATASUM")
_JOINED = ("COMMENT", "HISTORY")


class HeaderCards(dict):
    """Values by keyword, in capitals.

    Attributes
    ----------
    left_out : list of str
        Keywords without a value that can be used: undefined, a bare ``nan``, against the standard.
    """

    def __init__(self, values: Mapping | None = None, left_out: list[str] | None = None):
        super().__init__(values or {})
        self.left_out = left_out or []


def header_cards(header: fits.Header, *, needed: Callable | None = None) -> HeaderCards:
    """Return the cards of a header that can be read.

    The lines of COMMENT and HISTORY are joined. If a keyword stands twice, the first counts.

    Parameters
    ----------
    header : fits.Header
    needed : callable, optional
        From a keyword to whether its card is read at all; reading few is much faster.
    """
    out = HeaderCards()
    for card in header.cards:
        key = ""
        try:
            key = card.keyword.upper()
            if needed is not None and not needed(key):
                continue
            value = card.value
        except (fits.VerifyError, ValueError):
            out.left_out.append(key or "an unreadable card")
            continue
        _add(out, key, value)
    return out


def hdu_cards(hdus: fits.HDUList, k: int) -> HeaderCards:
    """Return the cards of one HDU; with ``INHERIT = T``, the primary's where it has none itself."""
    cards = header_cards(hdus[k].header)
    if k and cards.get("INHERIT") is True:
        primary = header_cards(hdus[0].header)
        inherited = {key: v for key, v in primary.items() if not _OF_ITS_OWN.fullmatch(key)}
        return HeaderCards({**inherited, **cards}, primary.left_out + cards.left_out)
    return cards


def map_cards(meta: Mapping) -> HeaderCards:
    """Return the keys of a sunpy Map's metadata in capitals, never shortened."""
    out = HeaderCards()
    for key, value in meta.items():
        if str(key).upper() not in _NO_CARDS:
            _add(out, str(key).upper(), value)
    return out


def finite_number(cards: Mapping, key: str, default: float | None = None) -> float:
    """Return a card as a finite float.

    Raises
    ------
    KeyError
        If the card is missing and there is no default.
    ValueError
        If it is no finite number.
    """
    if key not in cards and default is not None:
        return default
    value = cards[key]
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key} is {value!r}, no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{key} is {value}")
    return number


def integer(cards: Mapping, key: str, default: int | None = None) -> int:
    """Return an integer that may be written as text, also hexadecimal; raises as above."""
    value = cards.get(key, default)
    if isinstance(value, str):
        text = value.strip()
        return int(text, 16) if text.lower().startswith("0x") else integer({key: float(text)}, key)
    if value is None or not math.isfinite(value) or int(value) != value:
        raise ValueError(f"{key} is {value}")
    return int(value)


def _add(out: HeaderCards, key: str, value: object) -> None:
    if not key:
        return
    is_nan = isinstance(value, float) and math.isnan(value)
    if isinstance(value, fits.card.Undefined) or value is None or is_nan:
        out.left_out.append(key)
    elif key in _JOINED:
        out[key] = f"{out[key]}\n{value}" if key in out else str(value)
    else:
        out.setdefault(key, value)
