"""The catalogue of an archive: one row per frame and region, as CSV and as a FITS table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.solar_scenes.classes import CLASSES, NONE, OUTPUTS
from dataset_models.solar_scenes.files.frames import Frame, position_arcsec
from network_models.image_classification.archive.regions import Region
from network_models.image_classification.classifier import Classifier, ClassifierSettings
from tools.abstention import given_one_of_the_classes
from tools.atomic_files import commit_file, scratch_path

__all__ = ["COLUMNS", "ClassifierSettings", "failed_row", "frame_row", "region_row", "write_tables"]

Row = dict[str, object]

_SHORT = [name.replace(NONE, "none").replace(" ", "_") for name in OUTPUTS]


@dataclass(frozen=True)
class _Column:
    name: str
    kind: str  # text, number, count, flag
    unit: str | None = None


_COLUMNS = (
    _Column("file", "text"),
    _Column("region", "count"),  # 0 is the whole frame
    _Column("time", "text"),
    _Column("instrument", "text"),
    _Column("class", "text"),
    _Column("probability", "number"),
    _Column("prediction_set", "text"),
    _Column("abstain", "flag"),
    *(_Column(f"p_{name}", "number") for name in _SHORT),
    _Column("x_px", "number", "pixel"),  # 0 is the middle of the first pixel
    _Column("y_px", "number", "pixel"),
    _Column("hpc_x_arcsec", "number", "arcsec"),
    _Column("hpc_y_arcsec", "number", "arcsec"),
    _Column("area_px", "count", "pixel2"),
    _Column("area_arcsec2", "number", "arcsec2"),
    _Column("bad_share", "number"),
    _Column("map", "text"),
    _Column("model", "text"),
    _Column("reason", "text"),
)
COLUMNS = tuple(column.name for column in _COLUMNS)
_NO_COUNT = -1
_SAMPLES = 8  # along a side of a whole frame, for its area on the sky


def frame_row(
    classifier: Classifier,
    frame: Frame,
    probability: np.ndarray,
    bad_share: float,
    *,
    file: str,
    map_file: str,
) -> Row:
    """Return the row of a whole frame.

    Parameters
    ----------
    probability : (class,) float
        Of the whole frame.
    bad_share : float
        Of its pixels.
    file, map_file : str
        As they stand in the catalogue.
    """
    high, wide = frame.image.shape
    edges = [np.linspace(-0.5, n - 0.5, _SAMPLES + 1) for n in (high, wide)]
    y, x = np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in edges), indexing="ij")
    pixels = np.full(x.size, high * wide / x.size)
    return {
        **_answer(classifier, probability),
        **_place(frame, (wide - 1) / 2, (high - 1) / 2),
        **_source(classifier, frame, file, map_file),
        "region": 0,
        "area_px": high * wide,
        "area_arcsec2": _area_arcsec2(frame, x.ravel(), y.ravel(), pixels),
        "bad_share": _number(bad_share, 4),
    }


def region_row(
    classifier: Classifier, frame: Frame, region: Region, number: int, *, file: str, map_file: str
) -> Row:
    """Return the row of a region, ``number`` counted from 1."""
    rows = np.round(region.cells_y).astype(int)
    columns = np.round(region.cells_x).astype(int)
    bad = np.average(frame.bad[rows, columns], weights=region.cell_pixels)
    area = _area_arcsec2(frame, region.cells_x, region.cells_y, region.cell_pixels)
    return {
        **_answer(classifier, region.probability),
        **_place(frame, region.x, region.y),
        **_source(classifier, frame, file, map_file),
        "region": number,
        "area_px": region.area_px,
        "area_arcsec2": area,
        "bad_share": _number(bad, 4),
    }


def failed_row(classifier: Classifier, reason: str, *, file: str) -> Row:
    """Return the row of a file that could not be classified."""
    text = " ".join(reason.split())
    return {"file": file, "region": 0, "model": classifier.identity, "reason": text}


def write_tables(rows: Callable[[], Iterator[Row]], folder: Path, header: dict) -> int:
    """Write ``catalogue.csv`` and ``catalogue.fits``, each in one step; give the number of rows.

    Parameters
    ----------
    rows : callable
        Gives an iterator over all rows; called twice, so that no list of them is needed.
    folder : Path
    header : dict
        Keywords for the FITS table.
    """
    n, widths = _write_csv(rows(), folder / "catalogue.csv")
    arrays = {column.name: _empty(column, n, widths) for column in _COLUMNS}
    for k, row in enumerate(rows()):
        for column in _COLUMNS:
            value = row.get(column.name)
            if value is not None:
                is_text = column.kind == "text"
                arrays[column.name][k] = _ascii(value) if is_text else value
    columns = [_fits_column(column, arrays[column.name]) for column in _COLUMNS]
    table = fits.BinTableHDU.from_columns(columns, name="CATALOGUE")
    for key, value in header.items():
        table.header[key] = value
    scratch = scratch_path(folder / "catalogue.fits")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(scratch, overwrite=True)
    commit_file(scratch, folder / "catalogue.fits")
    return n


def _answer(classifier: Classifier, probability: np.ndarray) -> Row:
    five = given_one_of_the_classes(probability)
    k = int(np.argmax(five))  # what else it may be stands in p_none_of_these and abstain
    return {
        "class": CLASSES[k],
        "probability": _number(five[k], 5),
        "prediction_set": classifier.names_of_set(probability),
        "abstain": classifier.abstains(probability),
        **{f"p_{n}": _number(p, 5) for n, p in zip(_SHORT, probability, strict=True)},
    }


def _place(frame: Frame, x: float, y: float) -> Row:
    hpc_x, hpc_y = position_arcsec(frame, x, y)
    return {
        "x_px": _number(x, 2),
        "y_px": _number(y, 2),
        "hpc_x_arcsec": _number(hpc_x, 3),
        "hpc_y_arcsec": _number(hpc_y, 3),
    }


def _source(classifier: Classifier, frame: Frame, file: str, map_file: str) -> Row:
    return {
        "file": file,
        "time": frame.time,
        "instrument": frame.instrument,
        "map": map_file,
        "model": classifier.identity,
        "reason": "",
    }


def _area_arcsec2(frame: Frame, x: np.ndarray, y: np.ndarray, pixels: np.ndarray) -> float | None:
    """Return the area on the sky of pixels around some places, None without coordinates.

    The size of a pixel is that of the parallelogram between its neighbours, so that maps in
    heliographic coordinates get the area that is seen; what lies behind the limb counts nothing.
    """
    if frame.wcs is None:
        return None
    steps = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])[:, :, None]
    a, b = position_arcsec(frame, x + steps[:, 0], y + steps[:, 1])
    size = np.abs((a[0] - a[1]) * (b[2] - b[3]) - (a[2] - a[3]) * (b[0] - b[1]))
    area = float(np.nansum(size * pixels))
    return _number(area, 2) if area > 0 else None


def _number(value: float, digits: int) -> float | None:
    """Return a rounded number, None where there is none."""
    return round(float(value), digits) if np.isfinite(value) else None


def _write_csv(rows: Iterator[Row], path: Path) -> tuple[int, dict[str, int]]:
    """Write rows as they come; give their number and the longest text of each column."""
    texts = [column.name for column in _COLUMNS if column.kind == "text"]
    widths, n = dict.fromkeys(texts, 1), 0
    scratch = scratch_path(path)
    with open(scratch, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            n += 1
            writer.writerow([_cell(row.get(name)) for name in COLUMNS])
            for name in texts:
                widths[name] = max(widths[name], len(_ascii(row.get(name) or "")))
    commit_file(scratch, path)
    return n, widths


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _empty(column: _Column, n: int, widths: dict[str, int]) -> np.ndarray:
    if column.kind == "text":
        return np.zeros(n, f"S{widths[column.name]}")
    if column.kind == "number":
        return np.full(n, np.nan)
    return np.zeros(n, bool) if column.kind == "flag" else np.full(n, _NO_COUNT, np.int64)


def _fits_column(column: _Column, values: np.ndarray) -> fits.Column:
    kind = {"number": "D", "flag": "L", "count": "K", "text": f"{values.dtype.itemsize}A"}
    null = _NO_COUNT if column.kind == "count" else None
    return fits.Column(column.name, kind[column.kind], column.unit, null=null, array=values)


def _ascii(value: object) -> bytes:
    """Return text as FITS can hold it: other letters by their numbers."""
    return str(value).encode("ascii", "backslashreplace")
