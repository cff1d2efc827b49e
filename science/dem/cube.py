"""Emission measure maps on disk: one FITS file that is filled tile by tile, in one step.

Files that belong to it, figures and arrays, are written out of sight, too; they get their names
just before it. An earlier FITS file of that name goes before them: where there is a FITS file, the
files beside it are its own, whenever the process was killed.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.lib import format as npy_format

from tools.atomic_files import commit_file, scratch_path
from tools.emission_measure.status import STATUS_TEXT

__all__ = ["Cube", "open_cube"]

_BLOCK = 2880
_BOUNDS = {
    name: {"BUNIT": "cm-5", "QUANTITY": text}
    for name, text in (
        ("low", "lower end of the 68 % interval"),
        ("high", "upper end of the 68 % interval"),
        ("error_95", "half width of the 95 % interval"),
    )
}
_AXES = ("CTYPE", "CUNIT", "CRPIX", "CRVAL", "CDELT")


class Cube:
    """The arrays of a file that is being written, reached by rows: nothing large is in memory."""

    def __init__(self, path: Path, places: dict[str, tuple[int, tuple[int, ...], str]]):
        self._path, self._places = path, places
        self._file = open(path, "r+b")
        self.beside: dict[Path, Path] = {}  # final names, and where the files are until then

    def write(self, rows: slice, **arrays: np.ndarray) -> None:
        """Write some rows of arrays (y, x) or (y, x, bin or channel)."""
        for name, values in arrays.items():
            offset, size, kind = self._places[name]
            planes = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
            row_bytes = size[-1] * np.dtype(kind).itemsize
            for k, plane in enumerate(planes):
                self._file.seek(offset + (k * size[-2] + rows.start) * row_bytes)
                with np.errstate(over="ignore"):  # what no float32 holds becomes infinite
                    self._file.write(np.ascontiguousarray(plane, kind).data)

    def thumbnail(self, name: str, every: int) -> np.ndarray:
        """Return every few pixels of an array, (..., y, x) in native order."""
        offset, size, kind = self._places[name]
        self._file.flush()
        whole = np.memmap(self._path, kind, "r", offset, size)
        planes = whole.reshape(-1, *size[-2:])
        small = np.stack([plane[::every, ::every] for plane in planes])
        return small.astype(np.dtype(kind).newbyteorder("=")).reshape(*size[:-2], *small.shape[-2:])

    def place(self, path: str | Path) -> Path:
        """Return where to write a file that belongs to this one until it gets its name at the end.

        If nothing is written there, an earlier file of that name goes all the same.
        """
        path = Path(path)
        self.beside[path] = scratch_path(path)
        return self.beside[path]

    def save_array(self, name: str, path: Path) -> None:
        """Write an array as float32 .npy beside this file, plane by plane."""
        offset, size, kind = self._places[name]
        plane_bytes = int(np.prod(size[-2:])) * np.dtype(kind).itemsize
        self._file.flush()
        with open(self.place(path), "wb") as out, open(self._path, "rb") as own:
            head = {"descr": "<f4", "fortran_order": False, "shape": tuple(size)}
            npy_format.write_array_header_1_0(out, head)
            own.seek(offset)
            for _ in range(int(np.prod(size[:-2]))):
                plane = np.frombuffer(own.read(plane_bytes), kind)
                out.write(plane.astype("<f4").data)

    def set_cards(self, cards: dict[str, float]) -> None:
        """Return keywords of the primary, which the header has already, their values."""
        self._file.seek(0)
        head = self._file.read(self._places["em"][0])
        for key, value in cards.items():
            place = head.find(f"{key:8}=".encode())
            if place < 0 or place % 80:
                raise KeyError(f"the header has no {key}")
            self._file.seek(place)
            self._file.write(str(fits.Card(key, float(value))).encode())

    def close(self) -> None:
        """Write out what is held back."""
        self._file.close()


@contextlib.contextmanager
def open_cube(
    path: str | Path,
    shape: tuple[int, int],
    log_temperature_edges: np.ndarray,
    *,
    channels: Sequence[int | str],
    unit: str,
    wcs: dict,
    header: dict[str, object],
    primary: dict[str, object],
    bounds: Sequence[str] = (),
) -> Iterator[Cube]:
    """Make a FITS file whose arrays are filled by the caller, and give it its name at the end.

    Extensions: the primary holds the emission measure (bin, y, x) in cm-5. Its third axis is log10
    of the temperature in K; its alternate coordinates K (``WCS(header, key="K")``) give the
    temperature itself in K, on a logarithmic axis. ERROR (bin, y, x) its errors of one sigma, CHI2
    (y, x), STATUS (y, x), MODEL and OBSERVED (channel, y, x).

    Parameters
    ----------
    shape : (y, x)
    log_temperature_edges : (bin + 1,) float
        Evenly spaced.
    channels, unit
        Of MODEL and OBSERVED.
    wcs : dict
        FITS keywords of the image's coordinates; may be empty.
    header : dict
        Further keywords of every extension.
    bounds : sequence of str
        Names of further arrays (bin, y, x) in cm-5: ends of intervals, wider errors.
    primary : dict
        Further keywords of the first one; ``Cube.set_cards`` may change those that are numbers.

    Yields
    ------
    Cube
        With the arrays ``em``, ``error``, ``chi2``, ``status``, ``model``, ``observed``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    edges = np.asarray(log_temperature_edges, float)
    n = len(edges) - 1
    cube = {**wcs, **_temperature_axis(edges), **_kelvin_axes(wcs, edges), **header}
    third = {"CTYPE3": "CHANNEL", "CUNIT3": "", "CRPIX3": 1.0, "CRVAL3": 1.0, "CDELT3": 1.0}
    names = {f"WAVE{k + 1}": channel for k, channel in enumerate(channels)}
    seen = {**wcs, **third, **header, "BUNIT": unit, **names}
    flat = {**wcs, **header}
    states = {f"STATUS{code}": text for code, text in STATUS_TEXT.items()}
    error = {"QUANTITY": "error of one sigma of the emission measure"}
    plans = [
        ("em", None, (n, *shape), ">f4", {**cube, "BUNIT": "cm-5", **primary}),
        ("error", "ERROR", (n, *shape), ">f4", {**cube, "BUNIT": "cm-5", **error}),
        ("chi2", "CHI2", shape, ">f4", {**flat, "BUNIT": "", "QUANTITY": "mean of chi squared"}),
        ("status", "STATUS", shape, "u1", {**flat, "QUANTITY": "status of the pixel", **states}),
        ("model", "MODEL", (len(channels), *shape), ">f4", {**seen, "QUANTITY": "given by the EM"}),
        ("observed", "OBSERVED", (len(channels), *shape), ">f4", {**seen, "QUANTITY": "observed"}),
    ]
    for name in bounds:
        plans.append((name, name.upper(), (n, *shape), ">f4", {**cube, **_BOUNDS[name]}))
    scratch = scratch_path(path)
    places, opened = {}, None
    try:
        with open(scratch, "wb") as file:
            for name, extension, size, kind, cards in plans:
                file.write(_header(extension, size, kind, cards))
                places[name] = (file.tell(), size, kind)
                n_bytes = int(np.prod(size)) * np.dtype(kind).itemsize
                file.seek(n_bytes + -n_bytes % _BLOCK, io.SEEK_CUR)
            file.truncate(file.tell())
        opened = Cube(scratch, places)
        yield opened
        opened.close()
        if opened.beside:
            path.unlink(missing_ok=True)
        for final, own in opened.beside.items():
            if own.exists():
                commit_file(own, final)
            else:
                final.unlink(missing_ok=True)
        commit_file(scratch, path)
    finally:
        if opened is not None:
            opened.close()
            for own in opened.beside.values():
                own.unlink(missing_ok=True)
        scratch.unlink(missing_ok=True)


def _temperature_axis(edges: np.ndarray) -> dict:
    """Return the keywords of an axis of log10 T; FITS knows no unit of a logarithm."""
    step = float(np.mean(np.diff(edges)))
    return {
        "CTYPE3": "LOGT",
        "CNAME3": "log10 of the temperature in K",
        "CUNIT3": "",
        "CRPIX3": 1.0,
        "CRVAL3": round(float(edges[0] + step / 2), 10),
        "CDELT3": round(step, 10),
    }


def _kelvin_axes(wcs: dict, edges: np.ndarray) -> dict:
    """Return the alternate coordinates K: places as they are, temperature in K (Greisen 2006, LOG).

    Greisen et al. 2006, A&A 446, 747, section 3.2: T = T_r exp(w / T_r), with w in K.
    """
    step = float(np.mean(np.diff(edges)))
    middle = float(10 ** (edges[0] + step / 2))
    axes = {"CTYPE3K": "TEMP-LOG", "CNAME3K": "temperature", "CUNIT3K": "K", "CRPIX3K": 1.0}
    axes |= {"CRVAL3K": middle, "CDELT3K": middle * np.log(10) * step}
    for key, value in wcs.items():
        if key.startswith((*_AXES, "PC")):
            axes[f"{key}K"] = value
    if "CROTA2" in wcs and not any(key.startswith("PC") for key in wcs):
        angle, ratio = np.radians(wcs["CROTA2"]), wcs["CDELT2"] / wcs["CDELT1"]
        axes |= {"PC1_1K": np.cos(angle), "PC1_2K": -np.sin(angle) * ratio}
        axes |= {"PC2_1K": np.sin(angle) / ratio, "PC2_2K": np.cos(angle)}
    return axes


def _header(extension: str | None, size: tuple[int, ...], kind: str, cards: dict) -> bytes:
    """Return a header's bytes; the data come behind it."""
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
