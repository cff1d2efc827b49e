"""AIA images in eight channels with the peak flux to come: the samples of the FDL networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dataset_models.GOES.flare_history import HistoryWindow, PeakFluxSamples
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.GOES.side_columns import SideColumns
from dataset_models.SDO.coding import MISSING, decode_channels_last
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.solar_data import INPUT, ArrayInfo, SampleTable, hash_rows
from dataset_models.store import ImageStore
from tools.channels import HMI_CHANNELS

__all__ = ["FDL1", "ImageFrames", "known_minutes"]

_HOUR, _MINUTE, _SECOND = (np.timedelta64(s, "s") for s in (3600, 60, 1))
_MEMORY_BYTES = 4 << 30  # stores up to this size are held in memory, still coded
_LARGEST_AGE = np.timedelta64(1800, "s")  # of a frame, against the time it should stand for
_MISSING_SHARE = 0.05  # of a channel's pixels, from which on it counts as missing
_SMALLEST_DISC_ARCSEC = 940.0  # the Sun's radius in July is 944 arcsec
_THUMBNAIL_SIDE = 8
_BATCH_BYTES = 64 << 20


@dataclass(frozen=True)
class ImageFrames:
    """Which images a sample holds.

    Attributes
    ----------
    frames : int
        1 to 4 images, the newest last.
    frame_step_h : int
        Hours between them.
    """

    frames: int = 1
    frame_step_h: int = 6

    def __post_init__(self):
        if not 1 <= self.frames <= 4:
            raise ValueError(f"a sample holds 1 to 4 frames, not {self.frames}")
        if self.frame_step_h < 1:
            raise ValueError(f"frame_step_h must be at least 1 hour, got {self.frame_step_h}")


def known_minutes(times: np.ndarray) -> np.ndarray:
    """Return the first full minutes at which images were known, in order and without repeats."""
    whole = (times + _MINUTE - _SECOND).astype("datetime64[m]")
    return np.unique(whole.astype("datetime64[s]"))


class FDL1(PeakFluxSamples):
    """Eight-channel images as input, log10 of the coming peak flux as target.

    Arrays
    ------
    aia : (frame, y, x, channel) float32
        Brightness, DN s-1 pix-1, channels in the order of ``tools.channels.AIA_CHANNELS``; the
        newest frame last. A pixel without a value has the mean of its image, a missing channel 0.
    aia_present : (frame, channel) float32
        1 where a channel was observed, 0 where it is missing.
    flare_history, side, log10_peak_flux
        As in ``FlareHistory``; the history only if ``with_history``.

    Parameters
    ----------
    store : ImageStore
        Images; those marked as bad are left out.
    record : FlareRecord
        Flares or fluxes that targets, history and baselines are made from.
    window : HistoryWindow
    frames : ImageFrames
    with_history : bool
        Give the flare history to the network, too.

    Attributes
    ----------
    hold_in_memory : bool
        Keep the coded images of stores of up to 4 GiB in memory; True unless set otherwise.
    largest_missing_share : float
        Share of a channel's pixels without a value from which on it counts as missing; 0.05 unless
        set otherwise.
    """

    def __init__(
        self,
        store: ImageStore,
        record: FlareRecord,
        window: HistoryWindow,
        frames: ImageFrames = ImageFrames(),
        *,
        with_history: bool = False,
        side: SideColumns | None = None,
        times: np.ndarray | None = None,
        need_label: bool = True,
    ):
        self.store, self.frames, self.with_history = store, frames, with_history
        self.hold_in_memory, self.largest_missing_share = True, _MISSING_SHARE
        wanted = known_minutes(store.times) if times is None else np.asarray(times, "datetime64[s]")
        if times is None:
            first = record.start + window.history_h * _HOUR
            wanted = wanted[wanted >= first]
        rows = self._frame_rows(wanted)
        complete = (rows >= 0).all(axis=1)
        self.n_without_frames = int((~complete).sum())
        if not complete.any():
            raise ValueError(
                f"no time has the {frames.frames} image(s) of a sample"
                + (f", {frames.frame_step_h} h apart" if frames.frames > 1 else "")
                + f"; the images reach from {store.times[0]} to {store.times[-1]}"
            )
        super().__init__(record, window, side=side, times=wanted[complete], need_label=need_label)
        self._rows = self._frame_rows(self.times)

    def store_rows(self, indices: np.ndarray) -> np.ndarray:
        """Return the store's rows of samples' frames, (sample, frame) int, the newest last."""
        return self._rows[indices]

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """What ``read`` gives."""
        n, k, size = self.frames.frames, len(self.store.channels), self.store.size
        arrays = {
            "aia": ArrayInfo(
                ("frame", "y", "x", "channel"), (n, size, size, k), "DN s-1 pix-1", INPUT
            ),
            "aia_present": ArrayInfo(("frame", "channel"), (n, k), "1", INPUT),
        }
        history = {"flare_history": self.history_info} if self.with_history else {}
        return arrays | history | self.flux_arrays

    @cached_property
    def table(self) -> SampleTable:
        """One row per issue time; an input spans the history or the frames, whichever is longer."""
        table, f = super().table, self.frames
        oldest = self.times - (f.frames - 1) * f.frame_step_h * _HOUR - _LARGEST_AGE
        return replace(table, input_start=np.minimum(table.input_start, oldest))

    @property
    def rows_at_once(self) -> int:
        """Samples of 64 MiB together."""
        sample_bytes = 4 * int(np.prod(self.arrays["aia"].shape))
        return int(np.clip(_BATCH_BYTES // sample_bytes, 1, 1024))

    def describe_sample(self) -> str:
        """Describe in a sentence what a sample is."""
        f, size = self.frames, self.store.size
        steps = f", {f.frame_step_h} h apart" if f.frames > 1 else ""
        history = f", with {self.describe_history()}" if self.with_history else ""
        return (
            f"{f.frames} image(s) of {size} x {size} pixels in {len(self.store.channels)} channels "
            f"at or before the issue time t{steps}{history}"
        )

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read samples by their rows in the table."""
        indices = np.asarray(indices)
        images, present = self._images(indices)
        out = {"aia": images, "aia_present": present}
        if self.with_history:
            out["flare_history"] = self.histories(indices)
        return out | self.read_fluxes(indices)

    def read_altered(self, index: int, seed: int) -> dict[str, np.ndarray]:
        """Read one sample from data that differ in all that came after its issue time."""
        time = self.times[[index]]
        rows = self._frame_rows(time)
        codes = self.store.read_codes(rows.ravel())
        later = self.store.times[rows.ravel()] > time[0]
        noise = np.random.default_rng([seed, index, 1]).integers(-30000, 0, codes.shape)
        codes = np.where(later[:, None, None, None], noise, codes).astype(np.int16)
        images, present = self._decoded(codes, rows.shape)
        altered, row = self.altered_after_issue(index, seed), np.array([0])
        others = altered.read(row) if self.with_history else altered.read_fluxes(row)
        return {"aia": images, "aia_present": present, **others}

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Return the newest frame in small, (batch, feature): logarithms about their median."""
        return self._thumbnails[np.asarray(indices)]

    def newest_images(self, indices: np.ndarray) -> np.ndarray:
        """Return the newest frame of samples, (sample, y, x, channel) float32."""
        return self._images(np.asarray(indices), newest_only=True)[0][:, 0]

    @cached_property
    def disc_totals(self) -> np.ndarray:
        """log10 of each channel's mean over the newest frame, (sample, channel); NaN if missing.

        Of what has a sign, the mean of the absolute values.
        """
        return self._summaries[0]

    @property
    def _thumbnails(self) -> np.ndarray:
        return self._summaries[1]

    @cached_property
    def _summaries(self) -> tuple[np.ndarray, np.ndarray]:
        """Go through all images once for totals and thumbnails."""
        totals, small = [], []
        for rows in np.array_split(np.arange(len(self.times)), max(len(self.times) // 256, 1)):
            images, present = self._images(rows, newest_only=True)
            means = np.maximum(np.abs(images[:, 0]).mean(axis=(1, 2)), 1e-3)
            totals.append(np.where(present[:, 0] > 0, np.log10(means), np.nan))
            n = self.store.size // _THUMBNAIL_SIDE
            cut = images[:, 0, : n * _THUMBNAIL_SIDE, : n * _THUMBNAIL_SIDE]
            blocks = cut.reshape(len(rows), _THUMBNAIL_SIDE, n, _THUMBNAIL_SIDE, n, -1)
            logs = np.log(np.maximum(blocks.mean(axis=(2, 4)), 1e-3))
            small.append(logs.reshape(len(rows), -1))
        thumbnails = np.concatenate(small).astype(np.float32)
        return np.concatenate(totals), thumbnails - np.median(thumbnails, axis=0)

    def provenance(self) -> dict:
        """Return where images and record are from."""
        images = {
            "store": str(self.store.path),
            "store_fingerprint": self.store.fingerprint(),
            "images": len(self.store),
            "channels": list(self.store.channels),
            "size": self.store.size,
            "with_history": self.with_history,
            "bad_images": int(self.store.is_bad.sum()),
            "samples_without_all_frames": self.n_without_frames,
            **{
                f"image_{name}": v
                for name, v in self.store.manifest["source"].items()
                if name != "observers"
            },
        }
        return super().provenance() | images

    def fingerprint(self) -> str:
        """Return a hash of record, samples and images."""
        return f"{super().fingerprint()}{self.store.fingerprint()}"

    def _frame_rows(self, times: np.ndarray) -> np.ndarray:
        """Return the store's rows of the samples' frames, (sample, frame), -1 where one is missing.

        A frame is the newest good image at or before its time, at most half an hour older.
        """
        good = np.flatnonzero(~self.store.is_bad)
        image_times = self.store.times[good]
        steps = np.arange(self.frames.frames)[::-1] * self.frames.frame_step_h * _HOUR
        wanted = times[:, None] - steps
        row = np.searchsorted(image_times, wanted, side="right") - 1
        found = good[np.maximum(row, 0)]
        old = wanted - self.store.times[found] > _LARGEST_AGE
        return np.where((row < 0) | old, -1, found)

    def _images(self, indices: np.ndarray, *, newest_only: bool = False) -> tuple:
        rows = self._rows[indices][:, -1:] if newest_only else self._rows[indices]
        return self._decoded(self._codes(rows.ravel()), rows.shape)

    def _decoded(self, codes: np.ndarray, shape: tuple[int, int]) -> tuple:
        """Turn coded images into (sample, frame, y, x, channel), and say what is present."""
        images = decode_channels_last(codes, self.store.decoding_curves())
        if codes.min() != MISSING:  # the lowest code
            present = np.ones((*shape, codes.shape[1]), np.float32)
            return images.reshape(*shape, *images.shape[1:]), present
        lacks = codes == MISSING
        missing = np.count_nonzero(lacks, axis=(2, 3)) / codes[0, 0].size
        for k in self._disc_only:  # HMI sees nothing beyond the limb
            on_disc = lacks[:, k][:, self._on_disc]
            missing[:, k] = np.count_nonzero(on_disc, axis=1) / max(on_disc.shape[1], 1)
        present = missing < self.largest_missing_share
        for k in range(codes.shape[1]):
            for n in np.flatnonzero(lacks[:, k].any(axis=(1, 2))):
                part, lacking = images[n, ..., k], lacks[n, k]
                if not present[n, k]:
                    part[:] = 0
                    continue
                part[lacking] = part[~lacking].mean()
                if k in self._disc_only:
                    part[lacking & ~self._on_disc] = 0
        images = images.reshape(*shape, *images.shape[1:])
        return images, present.reshape(*shape, -1).astype(np.float32)

    def _content_hashes(self) -> np.ndarray:
        """Hash the coded newest frame of each sample."""
        newest = self._rows[:, -1]
        parts = np.array_split(newest, max(len(newest) // 256, 1))
        return np.concatenate([hash_rows(self._codes(part)) for part in parts])

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return self.store.read_codes(rows) if self._held is None else self._held[rows]

    @cached_property
    def _held(self) -> np.ndarray | None:
        """All coded images in memory, where they fit."""
        image_bytes = 2 * len(self.store.channels) * self.store.size**2
        if not self.hold_in_memory or image_bytes * len(self.store) > _MEMORY_BYTES:
            return None
        return self.store.read_codes(np.arange(len(self.store)))

    @cached_property
    def _disc_only(self) -> list[int]:
        """Channels without values beyond the limb."""
        return [k for k, channel in enumerate(self.store.channels) if channel in HMI_CHANNELS]

    @cached_property
    def _on_disc(self) -> np.ndarray:
        """Return which pixels lie safely on the disc at any distance of the Sun, (y, x) bool."""
        size = self.store.size
        field = self.store.manifest["source"].get("field_arcsec", FIELD_ARCSEC)
        centre = (np.arange(size) - (size - 1) / 2) * field / size
        return np.hypot(*np.meshgrid(centre, centre)) < _SMALLEST_DISC_ARCSEC - field / size
