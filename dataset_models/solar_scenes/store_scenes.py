"""Labelled tiles of a store's images: which image, which channel, where, and what is to be seen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.solar_data import ArrayInfo, DataIntegrityError, SampleTable, SolarData
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.solar_scenes.files.frames import repaired
from dataset_models.solar_scenes.files.groups import NEAREST_ARCSEC, observation_groups
from dataset_models.solar_scenes.files.near_copies import thumbnail
from dataset_models.solar_scenes.files.resize import area_resize
from dataset_models.solar_scenes.files.scene_table import (
    class_index,
    one_hot,
    scene_arrays,
    scene_table,
)
from dataset_models.store import ImageStore
from tools.code_dependencies import fingerprint_of_code
from tools.csv_files import read_csv_table
from tools.times import parse_time

__all__ = ["StoreScenes", "names_stores"]

_NEEDED = ("store", "time", "channel", "label")


@dataclass(frozen=True)
class _Tile:
    """One line of the list: image and channel in their store, rows and columns, class, group."""

    store: str
    image: int
    channel: int
    place: tuple[slice, slice]
    centre: tuple[float, float]
    primary: int
    group: str


def names_stores(path: str | Path) -> bool:
    """Return whether a CSV of labels names stores, not files: its first line has ``store``."""
    path = Path(path)
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return "store" in [name.strip() for name in file.readline().split(",")]


class StoreScenes(SolarData):
    """Tiles of stores' images with one label each; a tile is read when it is asked for.

    Tiles of one store within 48 h whose middles are nearer than the largest tile's side, or 60
    arcsec, are one observation.

    Parameters
    ----------
    path : str or Path
        CSV with the columns ``store`` (relative to the CSV), ``time`` (UTC, one of the store's),
        ``channel`` (as the store names it: 171, 6173 ...), ``label`` and, if wanted, ``x`` and
        ``y`` (helioprojective arcsec of the tile's middle) with ``side`` (of the tile, pixels of
        the store; ``size`` by default), and ``group``. Without x and y it is the whole image.
    size : int
        Pixels along a side of what is read; tiles of another side are resized.

    Attributes
    ----------
    primary : (sample,) int
        Index of each row's class in OUTPUTS.
    skipped : list of str
        Lines whose image its store calls bad, or of which too much is missing.

    Raises
    ------
    FileNotFoundError
        If there is no such list.
    ValueError
        If a line names no image, channel, class or place; StoreError (one of these) if a store
        can't be read.
    DataIntegrityError
        If no tile can be used.
    """

    def __init__(self, path: str | Path, *, size: int = 96):
        self.path, self.size = Path(path), size
        names, rows = read_csv_table(self.path, "list of labels")
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise ValueError(
                f"{self.path.name}: expected the columns {', '.join(_NEEDED)}[, x, y][, side]"
                f"[, group] in its first line; {' and '.join(missing)} not found"
            )
        self._stores: dict[str, ImageStore] = {}
        self._tiles: list[_Tile] = []
        self._last: tuple[tuple[str, int], np.ndarray] = (("", -1), np.zeros(0, np.float32))
        self.skipped: list[str] = []
        for number, row in rows:
            where = f"{self.path.name}, line {number}"
            try:
                tile = self._tile({key: (value or "").strip() for key, value in row.items()})
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            try:
                self._checked(tile)
            except DataIntegrityError as error:
                self.skipped.append(f"{where}: {error}")
                continue
            self._tiles.append(tile)
        if not self._tiles:
            listed = "\n  ".join(self.skipped[:20]) or "it names none"
            raise DataIntegrityError(f"{self.path}: no tile can be used:\n  {listed}")
        self.primary = np.array([tile.primary for tile in self._tiles])
        self._table = self._made_table()

    @property
    def table(self) -> SampleTable:
        """The table of samples."""
        return self._table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """The image and its label."""
        return scene_arrays((self.size, self.size))

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read tiles, in the store's unit, and their labels."""
        images = [self._image(self._tiles[int(k)])[..., None] for k in indices]
        empty = np.zeros((0, *self.arrays["image"].shape), np.float32)
        return {
            "image": np.stack(images) if images else empty,
            "label": one_hot(self.primary[np.asarray(indices, int)]),
        }

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """Return the labels of some samples, (sample, output) float32."""
        return one_hot(self.primary[indices])

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Return small tiles with mean 0 and spread 1, NaN where they show nothing."""
        return np.stack([thumbnail(self._image(self._tiles[int(k)])) for k in indices])

    def provenance(self) -> dict:
        """Return which tiles of which stores and classes there are."""
        times = sorted(map(str, self.table.time))
        return {
            "source": f"tiles of stores in {self.path.name}",
            "stores": {name: store.manifest["source"] for name, store in self._stores.items()},
            "first": times[0],
            "last": times[-1],
            "tiles": len(self),
            "classes": {name: int((self.primary == k).sum()) for k, name in enumerate(OUTPUTS)},
            "channels": dict(sorted(Counter(str(self._name(t)) for t in self._tiles).items())),
            "groups": len(np.unique(self.table.group)),
            "skipped": len(self.skipped),
            "size": self.size,
            "repairs": "NaN, blocks of zeros, dark lines: filled in from neighbours",
            "code": fingerprint_of_code([__file__]),
        }

    def fingerprint(self) -> str:
        """Return a hash of tiles, labels, groups, size and the stores' content."""
        digest = hashlib.sha256(super().fingerprint().encode())
        digest.update(f"{self.size} {self.primary.tolist()}".encode())
        for name in sorted(self._stores):
            digest.update(self._stores[name].fingerprint().encode())
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._tiles)

    def _store(self, name: str) -> ImageStore:
        if name not in self._stores:
            self._stores[name] = ImageStore(self.path.parent / name)
        return self._stores[name]

    def _name(self, tile: _Tile) -> int | str:
        return self._stores[tile.store].channels[tile.channel]

    def _tile(self, row: dict[str, str]) -> _Tile:
        store = self._store(row["store"])
        time = parse_time(row["time"]).astype("datetime64[s]")
        found = np.flatnonzero(store.times == time)
        if len(found) == 0:
            raise ValueError(f"{row['store']} has no image of {time}")
        channels = [str(name) for name in store.channels]
        if row["channel"] not in channels:
            raise ValueError(f"{row['store']} has no channel {row['channel']!r}: {channels}")
        place, centre = _place(row, store, self.size)
        channel, primary = channels.index(row["channel"]), class_index(row["label"])
        group = row.get("group", "")
        return _Tile(row["store"], int(found[0]), channel, place, centre, primary, group)

    def _checked(self, tile: _Tile) -> None:
        if self._stores[tile.store].is_bad[tile.image]:
            raise DataIntegrityError("its store calls the image bad")
        self._image(tile)

    def _image(self, tile: _Tile) -> np.ndarray:
        store = self._stores[tile.store]
        key = tile.store, tile.image
        last = self._last  # tiles of one image often follow one another
        if last[0] != key:
            last = self._last = key, store.read(np.array([tile.image]))[0]
        image = last[1][tile.channel][tile.place]
        what = f"{tile.store} {store.times[tile.image]}"
        filled, _ = repaired(image, np.zeros(image.shape, bool), what)
        return area_resize(filled, (self.size, self.size))

    def _made_table(self) -> SampleTable:
        time = np.array([self._stores[t.store].times[t.image] for t in self._tiles])
        # tiles that share pixels show one scene, however far apart their middles are
        steps = np.array([abs(self._stores[t.store].wcs(0)["CDELT1"]) for t in self._tiles])
        sides = steps * [t.place[0].stop - t.place[0].start for t in self._tiles]
        wide = max(NEAREST_ARCSEC, float(sides.max()))
        centre = np.array([tile.centre for tile in self._tiles])
        root = observation_groups(
            [tile.store for tile in self._tiles],
            time.astype("datetime64[s]").astype(float),
            centre * NEAREST_ARCSEC / wide,
            np.zeros(len(time), int),
        )
        group = [
            t.group or f"{t.store} {time[k]} {centre[k][0]:g} {centre[k][1]:g}"
            for t, k in zip(self._tiles, root, strict=True)
        ]
        stores = {name: store.fingerprint() for name, store in self._stores.items()}
        content = [f"{stores[t.store]} {t.image} {t.channel} {t.place}" for t in self._tiles]
        hashes = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in content]
        numbers = np.array([int.from_bytes(one, "little") for one in hashes], np.uint64)
        return scene_table(time, np.array(group), numbers)


def _place(
    row: dict[str, str], store: ImageStore, size: int
) -> tuple[tuple[slice, slice], tuple[float, float]]:
    """Return rows and columns of a tile, and its middle in arcsec."""
    x, y, side = (row.get(name, "") for name in ("x", "y", "side"))
    if not x and not y and not side:
        return (slice(0, store.size), slice(0, store.size)), (0.0, 0.0)
    try:
        centre = float(x), float(y)
        n = int(side) if side else size
    except ValueError:
        raise ValueError(
            f"expected x and y in arcsec and side in pixels, got {x!r}, {y!r} and {side!r}"
        ) from None
    cards, h = store.wcs(0), (n + 1) / 2  # FITS counts from 1
    corner = [
        round((value - cards[f"CRVAL{axis}"]) / cards[f"CDELT{axis}"] + cards[f"CRPIX{axis}"] - h)
        for value, axis in zip(centre, "12", strict=True)
    ]
    if n < 8 or min(corner) < 0 or max(corner) + n > store.size:
        raise ValueError(
            f"a tile of {n} pixels about ({centre[0]:g}, {centre[1]:g}) arcsec does not lie in the "
            f"store's {store.size} x {store.size} pixels of {cards['CDELT1']:.3g} arcsec"
        )
    column, first = corner
    return (slice(first, first + n), slice(column, column + n)), centre
