"""Image stores: thousands of images in one checked, compressed, resumable folder.

    python dataset_models/store.py build STORE [--data FITS_FOLDER] [--size 128]
    python dataset_models/store.py inspect STORE [--verify] [--contact-sheet PNG]

A store is a folder with ``manifest.json``, ``images.zarr`` (zarr version 3, coded 16-bit
brightness, Blosc zstd with bit shuffle, each chunk with a CRC-32C) and ``journal.jsonl``, which
names every chunk that was written, with its hash. A chunk counts from the moment its line is in
the journal, so a build that was killed goes on where it stopped. Missing or damaged chunks raise;
they never read as zeros.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

from dataset_models.SDO.AIA.coding import MISSING, decode, decoding_tables, encode
from tools.atomic_files import write_json
from tools.command_line import make_parser, run_script
from tools.run_folder import claim

__all__ = ["ImageSource", "ImageStore", "StoreError", "build_store", "main"]

logger = logging.getLogger(__name__)

_VERSION = 1
_CHUNK_BYTES = 4 << 20  # small images share a chunk, large ones have their own
_LARGEST_SIDE = 8192


class StoreError(ValueError):
    """A store is incomplete, damaged, or no store."""


class ImageSource(Protocol):
    """What a store is built from: times in order, and one image for each."""

    times: np.ndarray
    size: int
    channels: tuple[int, ...]
    pixels_averaged: float

    def __len__(self) -> int: ...

    def image(self, index: int) -> np.ndarray:
        """Give (channel, y, x) float32 in DN s-1 pix-1, NaN where there is no value."""

    def is_bad(self, index: int) -> bool:
        """Say whether the image is marked as bad."""

    def describe(self) -> dict:
        """Say what the images are; JSON types only."""


def build_store(path: str | Path, source: ImageSource) -> ImageStore:
    """Write all images of a source, or what an earlier build has left to write.

    Parameters
    ----------
    path : str or Path
        The store's folder; made if it does not exist.
    source : ImageSource

    Raises
    ------
    StoreError
        If the folder holds something else, another source's store, or is being built by another
        process.
    """
    path = Path(path)
    manifest = _manifest_of(source)
    path.mkdir(parents=True, exist_ok=True)
    with claim(path / "build.lock") as is_mine:
        if not is_mine:
            raise StoreError(f"{path} is being built by another process")
        if (path / "manifest.json").exists():
            if _read_manifest(path) != manifest:
                raise StoreError(
                    f"{path} is a store of other images; give another folder, or remove it"
                )
        else:
            others = [p.name for p in path.iterdir() if p.name != "build.lock"]
            if others:
                raise StoreError(f"{path} holds other files ({others[0]}, ...); give an empty one")
            write_json(path / "manifest.json", manifest)
        _write_chunks(path, source, manifest)
    return ImageStore(path)


class ImageStore:
    """A finished store, read by index or time.

    Attributes
    ----------
    times : (image,) datetime64[s]
    is_bad : (image,) bool
    channels : tuple of int, angstrom
    size : int
        Pixels along a side.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        manifest = self.manifest = _read_manifest(self.path)
        self.channels, self.size = tuple(manifest["channels"]), manifest["size"]
        self.times = np.array(manifest["times"], "datetime64[s]")
        self._length = manifest["chunk_length"]
        journal = _read_journal(self.path)
        missing = sorted(set(range(-(-len(self.times) // self._length))) - set(journal))
        if missing:
            raise StoreError(
                f"{self.path} is not finished: {len(missing)} of "
                f"{len(missing) + len(journal)} chunks are missing; build it again to go on"
            )
        self.chunk_hashes = [journal[k]["sha256"] for k in sorted(journal)]
        self.is_bad = np.concatenate([journal[k]["is_bad"] for k in sorted(journal)]).astype(bool)
        self._tables = decoding_tables(pixels_averaged=manifest["pixels_averaged"])
        self._array = zarr.open_array(self.path / "images.zarr", mode="r")

    def __len__(self) -> int:
        return len(self.times)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Read images, (image, channel, y, x) float32, DN s-1 pix-1, NaN where there is no value.

        Raises
        ------
        StoreError
            If a chunk is missing or damaged.
        """
        return decode(self.read_codes(indices), self._tables)

    def read_codes(self, indices: np.ndarray) -> np.ndarray:
        """Read images as coded, (image, channel, y, x) int16."""
        indices = np.atleast_1d(np.asarray(indices))
        out = np.empty((len(indices), *self._array.shape[1:]), np.int16)
        chunk = indices // self._length
        for k in np.unique(chunk):
            rows = np.flatnonzero(chunk == k)
            out[rows] = self._chunk(int(k))[indices[rows] - k * self._length]
        return out

    def fingerprint(self) -> str:
        """Give a hash of everything that the store holds."""
        digest = hashlib.sha256(json.dumps(self.manifest, sort_keys=True).encode())
        for text in self.chunk_hashes:
            digest.update(text.encode())
        return digest.hexdigest()[:16]

    def verify(self) -> list[str]:
        """Read every chunk and compare its hash; give one sentence per problem."""
        problems = []
        for k, expected in enumerate(self.chunk_hashes):
            try:
                if _hash(self._chunk(k)) != expected:
                    problems.append(f"chunk {k} of {self.path} is not what was written")
            except StoreError as error:
                problems.append(str(error))
        return problems

    def _chunk(self, k: int) -> np.ndarray:
        file = _chunk_file(self.path, k)
        if not file.is_file():  # zarr would read a missing chunk as zeros
            raise StoreError(f"{self.path}: chunk {k} is missing ({file.name}); build it again")
        try:
            return self._array[k * self._length : (k + 1) * self._length]
        except (ValueError, RuntimeError, OSError) as error:
            raise StoreError(f"{self.path}: chunk {k} is damaged ({error})") from error


def _manifest_of(source: ImageSource) -> dict:
    if not 1 <= source.size <= _LARGEST_SIDE:
        raise StoreError(f"an image has 1 to {_LARGEST_SIDE} pixels a side, not {source.size}")
    times = np.asarray(source.times, "datetime64[s]")
    if len(times) == 0 or (times[1:] <= times[:-1]).any():
        raise StoreError("a store needs images, in order of time and without repeats")
    image_bytes = 2 * len(source.channels) * source.size**2
    return {
        "store": _VERSION,
        "channels": list(source.channels),
        "size": source.size,
        "unit": "DN s-1 pix-1",
        "pixels_averaged": source.pixels_averaged,
        "chunk_length": max(_CHUNK_BYTES // image_bytes, 1),
        "times": times.astype(str).tolist(),
        "source": source.describe(),
    }


def _read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} is no store: it has no manifest.json") from None
    except ValueError as error:
        raise StoreError(f"{path / 'manifest.json'} can't be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("store") != _VERSION:
        raise StoreError(f"{path} is no store of version {_VERSION}")
    return manifest


def _read_journal(path: Path) -> dict[int, dict]:
    """Give the journal's lines by chunk; a line that a kill cut off does not count."""
    lines: dict[int, dict] = {}
    try:
        text = (path / "journal.jsonl").read_text()
    except FileNotFoundError:
        return lines
    for line in text.split("\n")[:-1]:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        lines[entry["chunk"]] = entry
    return lines


def _write_chunks(path: Path, source: ImageSource, manifest: dict) -> None:
    shape = (len(source), len(source.channels), source.size, source.size)
    length = manifest["chunk_length"]
    journal = _read_journal(path)
    if not (path / "images.zarr" / "zarr.json").is_file() or not journal:
        zarr.create_array(
            path / "images.zarr",
            shape=shape,
            chunks=(length, *shape[1:]),
            dtype="int16",
            fill_value=MISSING,
            serializer=BytesCodec(),
            compressors=[
                BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle", typesize=2),
                Crc32cCodec(),
            ],
            overwrite=True,
            dimension_names=("time", "channel", "y", "x"),
        )
    array = zarr.open_array(path / "images.zarr", mode="r+")
    n_chunks = -(-shape[0] // length)
    todo = [k for k in range(n_chunks) if k not in journal]
    started = shown = time.monotonic()
    with open(path / "journal.jsonl", "ab") as file:
        if file.tell() and not (path / "journal.jsonl").read_bytes().endswith(b"\n"):
            file.write(b"\n")
        for done, k in enumerate(todo):
            rows = range(k * length, min((k + 1) * length, shape[0]))
            codes = np.stack(
                [encode(source.image(i), pixels_averaged=source.pixels_averaged) for i in rows]
            )
            array[rows.start : rows.stop] = codes
            _sync(_chunk_file(path, k))
            entry = {
                "chunk": k,
                "sha256": _hash(codes),
                "is_bad": [bool(source.is_bad(i)) for i in rows],
            }
            file.write((json.dumps(entry) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                left = (shown - started) / (done + 1) * (len(todo) - done - 1)
                logger.info("  %d of %d images; %.0f s left", rows.stop, shape[0], left)


def _chunk_file(path: Path, k: int) -> Path:
    return path / "images.zarr" / "c" / str(k) / "0" / "0" / "0"


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash(codes: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()[:32]


def main(argv: Sequence[str] | None = None) -> int:
    """Build a store of the virtual Sun, or tell what a store holds; give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="write images into a store, or go on")
    build.add_argument("store")
    build.add_argument("--data", default="", help="folder of AIA FITS files; else the virtual Sun")
    build.add_argument("--size", type=int, default=128, help="pixels along a side")
    build.add_argument("--years", type=float, default=0.1, help="length of the record")
    build.add_argument("--seed", type=int, default=1, help="of the virtual Sun")
    build.add_argument("--cadence-h", type=int, default=12, help="hours between images")
    inspect = commands.add_parser("inspect", help="say what a store holds")
    inspect.add_argument("store")
    inspect.add_argument("--verify", action="store_true", help="read all, compare hashes")
    inspect.add_argument("--contact-sheet", default="", metavar="PNG", help="draw one image")
    arguments = parser.parse_args(argv)
    return _build(arguments) if arguments.command == "build" else _inspect(arguments)


def _build(arguments: argparse.Namespace) -> int:
    if arguments.data:
        from dataset_models.SDO.AIA.fits_folder import FITSFolder

        source = FITSFolder(arguments.data, arguments.size)
    else:
        source = _virtual_source(arguments)
    logger.info("%d images: %s", len(source), source.describe()["source"])
    store = build_store(arguments.store, source)
    for problem in getattr(source, "problems", []):
        print(f"left out: {problem}")
    print(f"{store.path}: {len(store)} images, fingerprint {store.fingerprint()}")
    return 0


def _virtual_source(arguments: argparse.Namespace) -> ImageSource:
    from dataset_models.virtual_sun.images import VirtualImages
    from dataset_models.virtual_sun.parameters import FlareProcessParameters
    from dataset_models.virtual_sun.process import simulate_record
    from dataset_models.virtual_sun.record import VIRTUAL_START

    if arguments.cadence_h < 1:
        raise ValueError(f"--cadence-h takes 1 or more hours, got {arguments.cadence_h}")
    record = simulate_record(FlareProcessParameters(), years=arguments.years, seed=arguments.seed)
    hours = np.arange(0, record.n_hours, arguments.cadence_h)
    times = VIRTUAL_START + hours * np.timedelta64(3600, "s")
    return VirtualImages(record, times, arguments.size)


def _inspect(arguments: argparse.Namespace) -> int:
    store = ImageStore(arguments.store)
    steps = np.diff(store.times) / np.timedelta64(3600, "s")
    usual = float(np.median(steps)) if len(steps) else 0.0
    size = sum(f.stat().st_size for f in store.path.rglob("*") if f.is_file())
    print(f"{store.path}: {store.manifest['source']['source']}")
    print(f"  {len(store)} images, {store.times[0]} to {store.times[-1]}, every {usual:g} h")
    print(f"  gaps longer than that: {int((steps > 1.5 * usual).sum())}")
    print(f"  marked as bad: {int(store.is_bad.sum())}")
    print(f"  {store.size} x {store.size} pixels, {store.manifest['unit']}")
    print(f"  {size / len(store) / 1e6:.3f} MB per image, fingerprint {store.fingerprint()}")
    sample = np.unique(np.linspace(0, len(store) - 1, 32).astype(int))
    images = store.read(sample)
    print(f"  statistics of {len(sample)} images (DN s-1 pix-1):")
    for k, channel in enumerate(store.channels):
        values = images[:, k][np.isfinite(images[:, k])]
        missing = int((~np.isfinite(images[:, k])).all(axis=(1, 2)).sum())
        text = f"mean {values.mean():.3g}, spread {values.std():.3g}" if len(values) else "no value"
        print(f"    {channel:>5} A: {text}, missing in {missing}")
    if arguments.contact_sheet:
        from tools.plotting.style import save_figure
        from tools.plotting.sun import plot_channels

        title = f"{store.manifest['source']['source']}, {store.times[sample[-1]]}"
        axes = plot_channels(images[-1], store.channels, title=title)
        save_figure(axes[0].figure, arguments.contact_sheet)
        print(f"  contact sheet: {arguments.contact_sheet}")
    problems = store.verify() if arguments.verify else []
    for problem in problems:
        print(f"  {problem}")
    if arguments.verify and not problems:
        print("  every chunk is what was written")
    return 1 if problems else 0


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
