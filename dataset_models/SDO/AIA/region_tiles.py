"""Tiles of eight AIA channels of the virtual Sun, named by what plasma they hold (synthetic).

The name comes from the plasma that the image was made from, never from its brightness. Images are
so far apart in time that no active region is in two of them; each is a group of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy.ndimage import uniform_filter

from dataset_models.solar_data import INPUT, TARGET, ArrayInfo, SampleTable, SolarData, hash_rows
from dataset_models.virtual_sun.corona import FIELD_ARCSEC, SUN_RADIUS_ARCSEC, VirtualCorona
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.plasma import KINDS, channel_gain
from dataset_models.virtual_sun.process import VirtualRecord, simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START
from dataset_models.virtual_sun.region_look import LAYERS
from tools.channels import AIA_CHANNELS
from tools.random_streams import random_stream

__all__ = ["REGION_CLASSES", "RegionTiles", "plasma_classes"]

REGION_CLASSES = ("quiet Sun", "coronal hole", "active region", "flare", "off limb")
_QUIET, _HOLE, _ACTIVE, _FLARE, _OFF_LIMB = range(5)
_APART_DAYS = 54  # two rotations: hardly a region lives that long
_LOWEST_FLARE = 1e-5  # W m-2: M1
# share of a tile's pixels that name it; the first that is reached counts
_SHARES = {_FLARE: 0.01, _OFF_LIMB: 0.6, _ACTIVE: 0.35, _HOLE: 0.6, _QUIET: 0.75}


def plasma_classes(record: VirtualRecord, hour: int, size: int) -> np.ndarray:
    """Give what each pixel's plasma is, (y, x) int, an index into ``REGION_CLASSES``.

    A pixel flares where flare plasma gives most of its light in 131 A; it is off limb where its
    centre lies beyond the disc; it is active, or a hole, where that plasma outweighs the quiet
    Sun's emission measure.
    """
    layers = VirtualCorona(record, size).layers(hour)
    by_kind = dict(zip(LAYERS, layers, strict=True))
    gain = channel_gain()[:, AIA_CHANNELS.index(131)]
    light = np.stack([by_kind[kind] * gain[k] for k, kind in enumerate(KINDS)])
    active = sum(by_kind[kind] for kind in KINDS[2:])
    background = by_kind["quiet"] + by_kind["hole"]
    out = np.where(by_kind["hole"] > by_kind["quiet"], _HOLE, _QUIET)
    out[active > background] = _ACTIVE
    centre = (np.arange(size) - (size - 1) / 2) * FIELD_ARCSEC / size
    out[np.hypot(*np.meshgrid(centre, centre)) > SUN_RADIUS_ARCSEC] = _OFF_LIMB
    out[light[KINDS.index("flare")] > 0.5 * light.sum(axis=0)] = _FLARE
    return out


class RegionTiles(SolarData):
    """Tiles of the virtual Sun's images with the name of their plasma.

    Parameters
    ----------
    seed : int
        Of the virtual Sun.
    n_images : int
        Every other one is taken in the hour after the peak of an M or X flare in view.
    image_size, tile : int
        Pixels along a side.
    per_class : int
        Tiles of each class that are cut from an image at most.
    """

    def __init__(
        self,
        seed: int,
        *,
        n_images: int = 120,
        image_size: int = 256,
        tile: int = 32,
        per_class: int = 4,
    ):
        if n_images < 3 or per_class < 1:
            raise ValueError("n_images must be 3 or more, and per_class 1 or more")
        if not 8 <= tile <= image_size // 2:
            raise ValueError(f"a tile has 8 to {image_size // 2} pixels, got {tile}")
        self.seed, self.image_size, self.tile, self.per_class = seed, image_size, tile, per_class
        years = (n_images + 2) * _APART_DAYS / 365.25
        self.record = simulate_record(FlareProcessParameters(), years=years, seed=seed)
        self.hours = _hours(self.record, n_images)

    @cached_property
    def _held(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tiles (tile, y, x, channel), their classes, images and corners."""
        times = VIRTUAL_START + self.hours * np.timedelta64(3600, "s")
        images = VirtualImages(self.record, times, self.image_size)
        tiles, names, of_image, corners = [], [], [], []
        for k, hour in enumerate(self.hours):
            image = np.moveaxis(images.image(k), 0, -1)
            classes = plasma_classes(self.record, int(hour), self.image_size)
            generator = random_stream(self.seed, "region tiles", int(hour))
            for name, (y, x) in _chosen(classes, self.tile, self.per_class, generator):
                part = image[y : y + self.tile, x : x + self.tile]
                if np.isfinite(part).all():
                    tiles.append(part)
                    names.append(name)
                    of_image.append(k)
                    corners.append((y, x))
        return np.stack(tiles), np.array(names), np.array(of_image), np.array(corners)

    @property
    def classes(self) -> np.ndarray:
        """What each tile is: (tile,) int, an index into ``REGION_CLASSES``."""
        return self._held[1]

    @cached_property
    def table(self) -> SampleTable:
        """One row per tile; its group is its image."""
        tiles, names, of_image, _ = self._held
        time = (VIRTUAL_START + self.hours * np.timedelta64(3600, "s"))[of_image]
        groups = np.array([f"image {k}" for k in of_image])
        quality = np.zeros(len(names), np.int8)
        return SampleTable(time, time, time, time, time, groups, quality, hash_rows(tiles))

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """A tile in eight channels, and its class."""
        shape = (self.tile, self.tile, len(AIA_CHANNELS))
        return {
            "image": ArrayInfo(("y", "x", "channel"), shape, "DN s-1 pix-1", INPUT),
            "label": ArrayInfo(("class",), (len(REGION_CLASSES),), "1", TARGET),
        }

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Give tiles with their class as one of five columns."""
        tiles, names, _, _ = self._held
        label = np.eye(len(REGION_CLASSES), dtype=np.float32)[names[indices]]
        return {"image": tiles[indices].astype(np.float32), "label": label}

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Give the tiles in 193 A, standardised: (batch, pixel) float32.

        With all their pixels, since smooth tiles above the limb differ in their noise alone.
        """
        tiles = self._held[0][indices][..., AIA_CHANNELS.index(193)]
        flat = np.log(np.maximum(tiles, 0) + 1).reshape(len(tiles), -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(flat.std(axis=1, keepdims=True), 1e-6)

    def provenance(self) -> dict:
        """Say what the tiles are."""
        return {
            "source": f"virtual Sun (synthetic), seed {self.seed}",
            "channels": list(AIA_CHANNELS),
            "tile": self.tile,
            "images": len(self.hours),
            "days between images": _APART_DAYS,
        }


def _hours(record: VirtualRecord, n_images: int) -> np.ndarray:
    """Give the hours of the images: every other one after a flare, where there is one near."""
    flares = record.visible_flares()
    strong = np.unique(flares.hour[flares.peak_flux >= _LOWEST_FLARE]) + 1
    out = []
    for k in range(n_images):
        first = (k + 1) * _APART_DAYS * 24
        near = strong[(strong >= first) & (strong < first + 12 * 24)] if k % 2 else []
        out.append(near[0] if len(near) else first)
    return np.array(out)


def _chosen(
    classes: np.ndarray, tile: int, most: int, generator: np.random.Generator
) -> list[tuple[int, tuple[int, int]]]:
    """Give some tiles of each class with the pixel of their lower left corner."""
    n = len(classes) - tile + 1
    named = np.full((n, n), -1)
    for name, share in reversed(list(_SHARES.items())):
        found = uniform_filter((classes == name).astype(float), tile, mode="constant")
        half = tile // 2
        named[found[half : half + n, half : half + n] >= share] = name
    out = []
    for name in range(len(REGION_CLASSES)):
        rows = np.argwhere(named == name)
        for y, x in rows[generator.permutation(len(rows))[:most]]:
            out.append((name, (int(y), int(x))))
    return out
