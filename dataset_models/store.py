"""Image stores: thousands of images in one checked, compressed, resumable folder.

    python dataset_models/store.py build STORE [--data FITS_FOLDER] [--size 128]
    python dataset_models/store.py inspect STORE [--verify] [--contact-sheet PNG]

A store is a folder with ``manifest.json``, ``images.zarr`` (coded 16-bit brightness, see
``chunk_files``) and ``journal.jsonl``, which names every chunk that was written, with its hash. A
chunk counts from the moment its line is in the journal, so a build that was killed goes on where it
stopped. Missing or damaged chunks raise; they never read as zeros.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_models.chunk_files import ChunkError, ChunkFiles
from dataset_models.reading_summary import ReadingSummary
from dataset_models.SDO.coding import MISSING, DecodingCurve, decode, decoding_curves
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.store_workers import ImageSource, coded_chunks
from tools.atomic_files import sweep_partial_files, write_json
from tools.channels import channel_unit
from tools.command_line import run_script
from tools.later import later
from tools.long_work.journal import Journal, read_records
from tools.long_work.progress import Progress
from tools.long_work.resumable import claim

__all__ = ["ImageSource", "ImageStore", "StoreError", "build_store"]

logger = logging.getLogger(__name__)

_VERSION = 2
_MANIFEST_KEYS = {"channels", "size", "units", "pixels_averaged", "coding", "chunk_length"}
_MANIFEST_KEYS |= {"times", "source"}
_SUMMARY_FILE = "reading.json"
_CHUNK_BYTES = 4 << 20  # small images share a chunk, large ones have their own
_SMALLEST_SIDE, _LARGEST_SIDE = 8, 8192


class StoreError(ValueError):
    """A store is incomplete, damaged, or no store."""


def build_store(path: str | Path, source: ImageSource, *, workers: int = 1) -> ImageStore:
    """Write all images of a source, or what an earlier build has left to write.

    Parameters
    ----------
    path : str or Path
        The store's folder; made if it does not exist.
    source : ImageSource
    workers : int
        Processes that make images; what is written does not depend on it. With more than one, the
        script must stand behind ``if __name__ == "__main__":``.

    Raises
    ------
    StoreError
        If the folder holds something else, another source's store, or is being built by another
        process.
    """
    path = Path(path)
    manifest = _manifest_of(source)
    finished = _finished(path, manifest)
    if finished is not None:
        _renew_summary(finished, source)
        return finished
    path.mkdir(parents=True, exist_ok=True)
    with claim(path / "build.lock") as is_mine:
        if not is_mine:
            raise StoreError(f"{path} is being built by another process")
        sweep_partial_files(path)
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
        summary = source.summary()  # of the headers
        _write_chunks(path, source, manifest, workers)
        if summary is not None:
            _write_summary(path, summary, manifest)
    return ImageStore(path)


class ImageStore:
    """A finished store, read by index or time.

    Attributes
    ----------
    times : (image,) datetime64[s]
    is_bad : (image,) bool
    channels : tuple
        Of ``AIA_CHANNELS`` (angstrom) and ``HMI_CHANNELS``.
    size : int
        Pixels along a side.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        manifest = self.manifest = _read_manifest(self.path)
        self.channels, self.size = tuple(manifest["channels"]), manifest["size"]
        self.times = np.array(manifest["times"], "datetime64[s]")
        self._length = manifest["chunk_length"]
        n_chunks = -(-len(self.times) // self._length)
        journal = _read_journal(self.path, n_chunks)
        missing = sorted(set(range(n_chunks)) - set(journal))
        if missing:
            raise StoreError(
                f"{self.path} is not finished: {len(missing)} of "
                f"{len(missing) + len(journal)} chunks are missing; build it again to go on"
            )
        self.chunk_hashes = [journal[k]["sha256"] for k in sorted(journal)]
        self.is_bad = np.concatenate([journal[k]["is_bad"] for k in sorted(journal)]).astype(bool)
        self._chunks = _chunk_files(self.path, manifest)
        try:
            self._chunks.open()
        except ChunkError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def __len__(self) -> int:
        return len(self.times)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Read images, (image, channel, y, x) float32 in the manifest's units, NaN for no value.

        Raises
        ------
        StoreError
            If a chunk is missing or damaged.
        """
        return decode(self.read_codes(indices), self.decoding_curves())

    def read_codes(self, indices: np.ndarray) -> np.ndarray:
        """Read images as coded, (image, channel, y, x) int16."""
        indices = np.atleast_1d(np.asarray(indices))
        out = np.empty((len(indices), *self._chunks.shape[1:]), np.int16)
        chunk = indices // self._length
        for k in np.unique(chunk):
            rows = np.flatnonzero(chunk == k)
            if self._length == len(rows) == 1:
                self._chunk(int(k), out[rows[0] : rows[0] + 1])
            else:
                out[rows] = self._chunk(int(k))[indices[rows] - k * self._length]
        return out

    def decoding_curves(self) -> tuple[DecodingCurve, ...]:
        """Return how each channel's codes become values, for ``decode``."""
        return decoding_curves(self.channels, pixels_averaged=self.manifest["pixels_averaged"])

    def wcs(self, index: int) -> dict:
        """Return the FITS keywords of an image's coordinates: our grid, the files' observer."""
        step = self.manifest["source"].get("field_arcsec", FIELD_ARCSEC) / self.size
        grid = {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec"}
        for axis in "12":
            grid |= {f"CRPIX{axis}": (self.size + 1) / 2, f"CRVAL{axis}": 0.0, f"CDELT{axis}": step}
        observers = self.manifest["source"].get("observers")
        observer = observers[index] if observers else {}
        return grid | {"DATE-OBS": str(self.times[index])} | observer

    def fingerprint(self) -> str:
        """Return a hash of everything that the store holds."""
        digest = hashlib.sha256(json.dumps(self.manifest, sort_keys=True).encode())
        for text in self.chunk_hashes:
            digest.update(text.encode())
        digest.update(self.is_bad.tobytes())
        return digest.hexdigest()[:16]

    def summary(self) -> ReadingSummary | None:
        """Return what became of the files that the store was built from; None where unknown."""
        try:
            return ReadingSummary.from_dict(json.loads((self.path / _SUMMARY_FILE).read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path / _SUMMARY_FILE} can't be read: {error}") from None

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

    def _chunk(self, k: int, out: np.ndarray | None = None) -> np.ndarray:
        try:
            return self._chunks.read(k, out)
        except FileNotFoundError:
            raise StoreError(f"{self.path}: chunk {k} is missing; build it again") from None
        except (ChunkError, OSError) as error:
            file = self._chunks.file(k)
            raise StoreError(
                f"{self.path}: chunk {k} is damaged ({error}); delete {file} and build it again"
            ) from error


def _manifest_of(source: ImageSource) -> dict:
    if not _SMALLEST_SIDE <= source.size <= _LARGEST_SIDE:
        raise StoreError(
            f"an image has {_SMALLEST_SIDE} to {_LARGEST_SIDE} pixels a side, not {source.size}"
        )
    times = np.asarray(source.times, "datetime64[s]")
    if len(times) == 0 or np.isnat(times).any() or (times[1:] <= times[:-1]).any():
        raise StoreError("a store needs images, in order of time and without repeats")
    image_bytes = 2 * len(source.channels) * source.size**2
    return {
        "store": _VERSION,
        "channels": list(source.channels),
        "size": source.size,
        "units": [channel_unit(channel) for channel in source.channels],
        "pixels_averaged": source.pixels_averaged,
        "coding": _coding_hash(source.channels, source.pixels_averaged),
        "chunk_length": max(_CHUNK_BYTES // image_bytes, 1),
        "times": times.astype(str).tolist(),
        "source": source.describe(),
    }


def _finished(path: Path, manifest: dict) -> ImageStore | None:
    """Return the store if it exists, whole and of these images; it may lie on a read-only disk."""
    try:
        store = ImageStore(path)
    except StoreError:
        return None
    files = _chunk_files(path, manifest)
    whole = all(files.file(k).is_file() for k in range(len(store.chunk_hashes)))
    return store if whole and store.manifest == manifest else None


def _read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} is no store: it has no manifest.json") from None
    except ValueError as error:
        raise StoreError(f"{path / 'manifest.json'} can't be read: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("store") != _VERSION:
        raise StoreError(f"{path} is no store of version {_VERSION}")
    lacking = _MANIFEST_KEYS - set(manifest)
    if lacking:
        raise StoreError(f"{path / 'manifest.json'} lacks {', '.join(sorted(lacking))}")
    if manifest["coding"] != _coding_hash(manifest["channels"], manifest["pixels_averaged"]):
        raise StoreError(
            f"{path} was coded by another version of this suite; build it again elsewhere"
        )
    return manifest


def _coding_hash(channels: Sequence[int | str], pixels_averaged: float) -> str:
    curves = decoding_curves(channels, pixels_averaged=pixels_averaged)
    return hashlib.sha256(np.array(curves).tobytes()).hexdigest()[:16]


def _read_journal(path: Path, n_chunks: int) -> dict[int, dict]:
    """Return the journal's records by chunk; what nobody wrote does not count."""
    found: dict[int, dict] = {}
    for _, record in read_records(path / "journal.jsonl"):
        if record.get("chunk") in range(n_chunks) and record.get("sha256") and record.get("is_bad"):
            found[record["chunk"]] = record
    return found


def _write_chunks(path: Path, source: ImageSource, manifest: dict, workers: int) -> None:
    n, length = len(source), manifest["chunk_length"]
    n_chunks = -(-n // length)
    known = _read_journal(path, n_chunks)
    files = _chunk_files(path, manifest)
    array = files.open_or_create(MISSING)
    todo = [k for k in range(n_chunks) if k not in known or not files.file(k).is_file()]
    chunks = [range(k * length, min((k + 1) * length, n)) for k in todo]
    progress, n_new = Progress(n, "images"), 0
    with Journal(path / "journal.jsonl") as journal:
        made = coded_chunks(source, chunks, workers)
        for k, rows, chunk in zip(todo, chunks, made, strict=True):
            array[rows.start : rows.stop] = chunk.codes
            files.sync(k)
            record = {"chunk": k, "sha256": _hash(chunk.codes), "is_bad": chunk.is_bad}
            if chunk.left_out or chunk.mended:
                record |= {"left_out": chunk.left_out, "mended": chunk.mended}
            journal.append([record])
            n_new += len(rows)
            progress.done(rows.stop, new=n_new)


def _renew_summary(store: ImageStore, source: ImageSource) -> None:
    """Keep what became of the files given now, beside a store that an earlier build finished."""
    summary = source.summary()
    if summary is not None:
        with contextlib.suppress(OSError):  # the store may lie on a disk that can't be written
            _write_summary(store.path, summary, store.manifest)


def _write_summary(path: Path, summary: ReadingSummary, manifest: dict) -> None:
    """Keep what became of the files, also of those that an earlier, interrupted build read."""
    known = _read_journal(path, -(-len(manifest["times"]) // manifest["chunk_length"]))
    records = [known[k] for k in sorted(known)]
    left_out = [line for record in records for line in record.get("left_out", ())]
    mended = [line for record in records for line in record.get("mended", ())]
    write_json(path / _SUMMARY_FILE, summary.with_more(left_out, mended).to_dict())


def _chunk_files(path: Path, manifest: dict) -> ChunkFiles:
    shape = (len(manifest["times"]), len(manifest["channels"]), *2 * [manifest["size"]])
    return ChunkFiles(path / "images.zarr", tuple(shape), manifest["chunk_length"])


def _hash(codes: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()[:32]


if __name__ == "__main__":
    run_script(lambda: later("dataset_models.store_commands:main")(sys.argv[1:]))
