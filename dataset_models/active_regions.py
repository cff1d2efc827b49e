"""Where active regions stand on an image: the virtual Sun's own, or NOAA's daily list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

if TYPE_CHECKING:
    from dataset_models.virtual_sun.process import VirtualRecord

__all__ = ["RegionBox", "listed_boxes", "virtual_boxes"]

_SMALLEST = 0.04  # solar radii: half a box, at least
_OLDEST_LIST = np.timedelta64(36, "h")
_SPAN = (5, 95)  # percentiles of the plasma's places


@dataclass(frozen=True)
class RegionBox:
    """An active region on the sky.

    Attributes
    ----------
    name : str
    x, y : float
        Middle, solar radii to the west and to the north of the disc's centre.
    half_width, half_height : float
        Solar radii.
    """

    name: str
    x: float
    y: float
    half_width: float
    half_height: float


def virtual_boxes(record: VirtualRecord, time: np.datetime64) -> list[RegionBox]:
    """Return the virtual Sun's active regions in view at a full hour (synthetic).

    Simple regions, which never flare, are left out.
    """
    from dataset_models.virtual_sun.record import hour_of_time
    from dataset_models.virtual_sun.visible_regions import VisibleRegions

    hour = int(hour_of_time(np.array([time]))[0])
    boxes = []
    for (kind, number), blobs in VisibleRegions(record).regions(hour).items():
        if kind != "active":
            continue
        x, y, z = (np.concatenate([np.atleast_1d(blob[k]) for blob in blobs]) for k in range(3))
        seen = (z > 0) | (np.hypot(x, y) > 1)
        if seen.mean() < 0.5:
            continue
        spans = [np.percentile(v[seen], _SPAN) for v in (x, y)]
        boxes.append(_box(f"{number}", *spans))
    return boxes


def listed_boxes(path: str | Path, time: np.datetime64, tilt_deg: float) -> list[RegionBox]:
    """Return the regions of a Solar Region Summary of NOAA, turned with the Sun to a time.

    Parameters
    ----------
    path : str or Path
        The text file of a day; its places hold at 00:00 UTC of the day of issue.
    time : datetime64
        Of the image.
    tilt_deg : float
        Latitude of the disc's centre (B0).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such list, or of another day.
    """
    from sunpy.io.special import srs
    from sunpy.sun.models import differential_rotation

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such list of regions: {path}")
    try:
        table = srs.read_srs(str(path))
        issued = np.datetime64(table.meta["issued"], "s").astype("datetime64[D]")
        table = table[[row["ID"] in ("I", "IA") for row in table]]
        places = [
            np.asarray(table[name].filled(np.nan).to_value(u.deg))
            if hasattr(table[name], "filled")
            else np.asarray(u.Quantity(table[name]).to_value(u.deg))
            for name in ("Latitude", "Longitude", "Longitudinal Extent")
        ]
    except Exception as error:  # the reader raises what its parts like
        raise ValueError(
            f"{path}: expected a Solar Region Summary of NOAA (text), which this is not ({error})"
        ) from error
    since = time - issued
    if abs(since) > _OLDEST_LIST:
        raise ValueError(
            f"{path} is of {issued}, the image of {time}: give the list of the image's day"
        )
    boxes = []
    days = since / np.timedelta64(86400, "s")
    for number, latitude, longitude, extent in zip(table["Number"], *places, strict=True):
        turned = differential_rotation(days * u.day, latitude * u.deg, frame_time="synodic")
        turned = turned.to_value(u.deg)
        extent = extent if np.isfinite(extent) else 0.0
        edges = longitude + turned + np.array([-0.5, 0.0, 0.5]) * extent
        x, y, z = _on_disc(latitude, edges, tilt_deg)
        if z[1] > 0:
            boxes.append(_box(f"{int(number)}", x[[0, 2]], y[[0, 2]]))
    return boxes


def _on_disc(latitude_deg: float, longitude_deg: np.ndarray, tilt_deg: float) -> tuple:
    """Return x, y, z in solar radii of heliographic places, seen from far away."""
    lat, lon, tilt = np.radians(latitude_deg), np.radians(longitude_deg), np.radians(tilt_deg)
    x, north, front = np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)
    y = north * np.cos(tilt) - front * np.sin(tilt)
    return x, y, north * np.sin(tilt) + front * np.cos(tilt)


def _box(name: str, x: np.ndarray, y: np.ndarray) -> RegionBox:
    """Return the box around two spans."""
    half = [max(float(np.ptp(v)) / 2 + 0.01, _SMALLEST) for v in (x, y)]
    return RegionBox(name, float(np.mean([x[0], x[-1]])), float(np.mean([y[0], y[-1]])), *half)
