"""Emission measure maps on disk: one FITS file that is filled tile by tile, in one step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits

from tools.atomic_files import commit_file
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.emission_measure.status import STATUS_TEXT

__all__ = ["open_cube"]

_BLOCK = 2880


@contextlib.contextmanager
def open_cube(
    path: str | Path,
    shape: tuple[int, int],
    log_temperature_edges: np.ndarray,
    *,
    wcs: dict,
    header: dict[str, object],
) -> Iterator[dict[str, np.ndarray]]:
    """Make a FITS file whose arrays are filled by the caller, and give it its name at the end.

    Extensions: the primary holds the emission measure (bin, y, x) in cm-5 with a temperature axis;
    ERROR (bin, y, x) its errors of one sigma, CHI2 (y, x), STATUS (y, x), MODEL and OBSERVED
    (channel, y, x) in DN s-1 pix-1.

    Parameters
    ----------
    shape : (y, x)
    log_temperature_edges : (bin + 1,) float
        Evenly spaced.
    wcs : dict
        FITS keywords of the image's coordinates; may be empty.
    header : dict
        Further keywords of the primary.

    Yields
    ------
    dict of arrays
        ``em``, ``error``, ``chi2``, ``status``, ``model``, ``observed``, in the file's byte order.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    edges = np.asarray(log_temperature_edges, float)
    step = float(np.mean(np.diff(edges)))
    temperature = {
        "CTYPE3": "LOGT",
        "CUNIT3": "",
        "CRPIX3": 1.0,
        "CRVAL3": float(edges[0] + step / 2),
        "CDELT3": step,
    }
    n, six = len(edges) - 1, len(RESPONSE_CHANNELS)
    cube = {**wcs, **temperature}
    channels = {f"WAVE{k + 1}": channel for k, channel in enumerate(RESPONSE_CHANNELS)}
    seen = {**wcs, "BUNIT": "DN s-1 pix-1", **channels}
    states = {f"STATUS{code}": text for code, text in STATUS_TEXT.items()}
    plans = [
        ("em", None, (n, *shape), ">f4", {**cube, "BUNIT": "cm-5", **header}),
        ("error", "ERROR", (n, *shape), ">f4", {**cube, "BUNIT": "cm-5"}),
        ("chi2", "CHI2", shape, ">f4", wcs),
        ("status", "STATUS", shape, "u1", {**wcs, **states}),
        ("model", "MODEL", (six, *shape), ">f4", seen),
        ("observed", "OBSERVED", (six, *shape), ">f4", seen),
    ]
    scratch = path.with_name(f".{path.name}.partial")
    places = {}
    try:
        with open(scratch, "wb") as file:
            for name, extension, size, kind, cards in plans:
                file.write(_header(extension, size, kind, cards))
                places[name] = (file.tell(), size, kind)
                n_bytes = int(np.prod(size)) * np.dtype(kind).itemsize
                file.seek(n_bytes + -n_bytes % _BLOCK, 1)
            file.truncate(file.tell())
        arrays = {
            name: np.memmap(scratch, kind, "r+", offset, size)
            for name, (offset, size, kind) in places.items()
        }
        yield arrays
        for array in arrays.values():
            array.flush()
        commit_file(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _header(extension: str | None, size: tuple[int, ...], kind: str, cards: dict) -> bytes:
    """Give a header's bytes; the data come behind it."""
    bits = {">f4": -32, "u1": 8}[kind]
    first = [("SIMPLE", True)] if extension is None else [("XTENSION", "IMAGE")]
    first += [("BITPIX", bits), ("NAXIS", len(size))]
    first += [(f"NAXIS{k + 1}", side) for k, side in enumerate(reversed(size))]
    first += [("EXTEND", True)] if extension is None else [("PCOUNT", 0), ("GCOUNT", 1)]
    header = fits.Header(first)
    if extension is not None:
        header["EXTNAME"] = extension
    for key, value in cards.items():
        header[key] = value
    return header.tostring(sep="", endcard=True, padding=True).encode("ascii")
