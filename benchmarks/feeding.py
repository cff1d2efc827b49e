"""Feed the shipped image network 8 x 1024 x 1024 images: from the store, and from what others use.

Every reading is done with a cold page cache: the files are written to disk and the system is asked
to forget them. The same images lie in a store, in a .npy file (plain Keras loader), in raw .dat
files, in FITS files (one per channel) and in zarr with zarr's defaults. Times are medians of
alternating rounds. Also: what an image takes on disk, what the coding adds to the photon noise, how
many flipped bits are found, whether memory grows. The images are synthetic (virtual Sun).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import zarr
from astropy.io import fits

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.SDO.AIA.dat_folder import DatFolder
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.SDO.coding import decode, decoding_curves, encode
from dataset_models.SDO.fits_folder import FITSFolder
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.store import ImageStore, StoreError, build_store
from dataset_models.streaming import Batches
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START, virtual_flare_record
from network_models.training.losses import BinnedLogScore
from network_models.xray_flux_forecast.fdl1.aia_network import NetworkShape, build_aia_network
from network_models.xray_flux_forecast.fdl1.aia_training import AIAConfig
from network_models.xray_flux_forecast.flux_forecast import flux_bins
from tools.channels import AIA_CHANNELS, CAMERA
from tools.long_work.processes import usable_processes

_HOUR = np.timedelta64(3600, "s")
_FIRST_HOUR = 8000


class _InMemory(keras.utils.PyDataset):
    """The same batches, held as decoded arrays, and given out in the same way."""

    def __init__(self, arrays: dict, targets: np.ndarray, batch_size: int):
        super().__init__(workers=2, max_queue_size=2)
        self.arrays, self.targets, self.batch_size = arrays, targets, batch_size

    def __len__(self) -> int:
        return -(-len(self.targets) // self.batch_size)

    def __getitem__(self, batch: int):
        rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        return {name: a[rows] for name, a in self.arrays.items()}, self.targets[rows]


class _PlainLoader(_InMemory):
    """What a user writes first: a memory-mapped .npy file behind a Keras sequence."""

    def __init__(self, path: Path, present: np.ndarray, targets: np.ndarray, batch_size: int):
        super().__init__({"aia_present": present}, targets, batch_size)
        self.path = path

    def __getitem__(self, batch: int):
        inputs, targets = super().__getitem__(batch)
        rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        images = np.load(self.path, mmap_mode="r")[rows]
        images = np.ascontiguousarray(np.moveaxis(images, 1, -1))[:, None]
        return inputs | {"aia": images}, targets


def main() -> None:
    """Print tables, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--folder", default="", help="a folder on disk; a temporary one if empty")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder or None) as folder:
        figures = _measure(Path(folder), arguments)
    print(json.dumps(figures))


def _measure(folder: Path, arguments: argparse.Namespace) -> dict:
    virtual = simulate_record(FlareProcessParameters(), years=2.0, seed=3)
    hours = _FIRST_HOUR + 24 * np.arange(arguments.images)
    source = VirtualImages(virtual, VIRTUAL_START + hours * _HOUR, arguments.size)
    start = time.perf_counter()
    store = build_store(folder / "store", source, workers=usable_processes())
    rendered = time.perf_counter() - start
    record = virtual_flare_record(virtual)
    dataset = FDL1(store, record, HistoryWindow(), times=store.times)
    dataset.hold_in_memory = False  # the store is read from disk, whatever its size
    _write_peers(folder, store)
    rows = np.arange(len(dataset.times))
    figures = {
        "images": f"{len(rows)} of 8 x {arguments.size} x {arguments.size}",
        "rendered, s per image": round(rendered / arguments.images, 3),
        "store, MB per image": round(_megabytes(folder / "store") / arguments.images, 2),
        ".dat, MB per image": round(_megabytes(folder / "dat") / arguments.images, 2),
        "default zarr, MB per image": round(_megabytes(folder / "zarr") / arguments.images, 2),
        "added noise / photon noise": _added_noise(store.manifest["pixels_averaged"]),
        "reading": _reading(folder, dataset, arguments.rounds),
        "epoch": _epochs(folder, dataset, arguments.rounds),
        "bits found": _bits_found(folder, arguments.flips),
        "a missing chunk raises": _missing_chunk_raises(folder),
    }
    return figures


def _write_peers(folder: Path, store: ImageStore) -> None:
    """Write the store's images in every other form."""
    size = store.size
    shape = (len(store), len(AIA_CHANNELS), size, size)
    plain = np.lib.format.open_memmap(folder / "images.npy", "w+", np.float32, shape)
    array = zarr.create_array(folder / "zarr", shape=shape, dtype="float32")
    (folder / "dat").mkdir()
    (folder / "fits").mkdir()
    step = FIELD_ARCSEC / size
    for k in range(len(store)):
        image = np.nan_to_num(store.read([k])[0])
        plain[k] = array[k] = image
        day = np.datetime64("2014-01-01T00:00") + np.timedelta64(k, "h")
        name = str(day).replace("-", "").replace("T", "_").replace(":", "")
        (folder / "dat" / f"{name}_AIA_08_{size}_{size}.dat").write_bytes(image.tobytes())
        for channel, data in zip(AIA_CHANNELS, image, strict=True):
            cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": channel, "EXPTIME": 2.0, "BUNIT": "DN/s"}
            cards |= {"DATE-OBS": f"{day}:00", "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}
            for axis in "12":
                cards |= {f"CRPIX{axis}": (size + 1) / 2, f"CRVAL{axis}": 0.0}
                cards |= {f"CDELT{axis}": step}
            path = folder / "fits" / f"{name}_{channel}.fits"
            fits.PrimaryHDU(data, fits.Header(cards)).writeto(path)
    plain.flush()


def _forget(folder: Path) -> None:
    """Write files to disk and ask the system to drop them from its page cache."""
    for path in [folder] if folder.is_file() else folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _reading(folder: Path, dataset: FDL1, rounds: int) -> dict:
    """Return the images per second of every way to read them, in one thread, cold."""
    rows = np.arange(len(dataset.times))
    size = dataset.store.size

    def each(read: Callable[[int], object]) -> Callable[[], object]:
        return lambda: [read(int(k)) for k in rows]

    raw, fits_files = DatFolder(folder / "dat", size), FITSFolder(folder / "fits", size)
    ways = {
        "store": (folder / "store", each(lambda k: dataset.read(np.array([k])))),
        "plain .npy": (
            folder / "images.npy",
            each(lambda k: np.array(np.load(folder / "images.npy", mmap_mode="r")[k])),
        ),
        ".dat": (folder / "dat", each(raw.image)),
        "FITS": (folder / "fits", each(fits_files.image)),
        "default zarr": (
            folder / "zarr",
            each(lambda k: zarr.open_array(folder / "zarr", mode="r")[k]),
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (files, read) in ways.items():
            _forget(files)
            start = time.perf_counter()
            read()
            seconds[name].append(time.perf_counter() - start)
    return {
        name: {"images per s": round(len(rows) / statistics.median(values), 1)}
        for name, values in seconds.items()
    }


def _epochs(folder: Path, dataset: FDL1, rounds: int) -> dict:
    """Return the time of a training epoch from cold files over that from memory."""
    config, bins = AIAConfig(), flux_bins(1e-7)
    rows = np.arange(len(dataset.times))
    network = build_aia_network(dataset, rows, bins, shape=NetworkShape(), dropout=config.dropout)
    network.compile("adamw", BinnedLogScore(list(bins.edges)))
    batch_size = 2
    streamed = Batches(dataset, rows, batch_size=batch_size)
    memory = []
    for _ in range(rounds + 1):  # the first round fills the backend's own pools
        _forget(folder / "store")
        network.fit(streamed, shuffle=False, verbose=0)
        memory.append(round(_memory_gib(), 2))
    arrays = dataset.read(rows)
    targets = arrays.pop("log10_peak_flux")
    ways = {
        "in memory": (None, _InMemory(arrays, targets, batch_size)),
        "store": (folder / "store", streamed),
        "plain .npy": (
            folder / "images.npy",
            _PlainLoader(folder / "images.npy", arrays["aia_present"], targets, batch_size),
        ),
    }
    network.fit(ways["in memory"][1], shuffle=False, verbose=0)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (files, batches) in ways.items():
            if files is not None:
                _forget(files)
            start = time.perf_counter()
            network.fit(batches, shuffle=False, verbose=0)
            seconds[name].append(time.perf_counter() - start)
    first = seconds["in memory"]
    out: dict = {
        name: {
            "images per s": round(len(rows) / statistics.median(values), 2),
            "ratio": round(statistics.median(a / b for a, b in zip(values, first, strict=True)), 3),
        }
        for name, values in seconds.items()
    }
    out["memory held after each epoch from the store, GiB"] = memory
    return out


def _memory_gib() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def _added_noise(pixels_averaged: float) -> dict[str, float]:
    """Return the largest ratio of the coding's error to the photon and read noise, per channel."""
    generator = np.random.default_rng(0)
    curves = decoding_curves(AIA_CHANNELS, pixels_averaged=pixels_averaged)
    out = {}
    for k, channel in enumerate(AIA_CHANNELS):
        camera, worst = CAMERA[channel], 0.0
        for dn in (0.1, 1, 10, 100, 1000, 10000, 16383):
            images = np.zeros((8, 64, 64))
            images[k] = dn * generator.uniform(0.8, 1.0, (64, 64)) / camera.exposure_s
            codes = encode(images, AIA_CHANNELS, pixels_averaged=pixels_averaged)
            error = (decode(codes, curves)[k] - images[k]) * camera.exposure_s
            variance = 0.9 * dn * camera.dn_per_photon + camera.read_noise_dn**2
            noise = np.sqrt(variance / pixels_averaged)
            worst = max(worst, float(np.sqrt(np.mean(error**2)) / noise))
        out[str(channel)] = round(worst, 4)
    return out


def _small_store(folder: Path, name: str) -> ImageStore:
    virtual = simulate_record(FlareProcessParameters(), years=2.0, seed=3)
    hours = _FIRST_HOUR + 24 * np.arange(16)
    images = VirtualImages(virtual, VIRTUAL_START + hours * _HOUR, 128)
    return build_store(folder / name, images)


def _bits_found(folder: Path, n: int) -> str:
    """Flip one bit of a chunk's file at a time, and count how often reading raises."""
    store = _small_store(folder, "bits")
    path = folder / "bits/images.zarr/c/0/0/0/0"
    whole = path.read_bytes()
    generator = np.random.default_rng(1)
    found = 0
    for bit in generator.choice(8 * len(whole), n, replace=False):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            store.read([0])
        except StoreError:
            found += 1
    path.write_bytes(whole)
    return f"{found} of {n}"


def _missing_chunk_raises(folder: Path) -> bool:
    store = _small_store(folder, "missing")
    (folder / "missing/images.zarr/c/0/0/0/0").unlink()
    try:
        store.read([0])
    except StoreError:
        return True
    return False


def _megabytes(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


if __name__ == "__main__":
    main()
