"""Generated scenes as a dataset: observations of many near-equal frames, with truth and masks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from dataset_models.solar_data import INPUT, TARGET, ArrayInfo, SampleTable, SolarData
from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from dataset_models.solar_scenes.painting.difficulty import load_difficulty
from dataset_models.solar_scenes.painting.observation import Observation, draw_observation
from dataset_models.solar_scenes.painting.scene import Scene, draw_scene
from tools.code_dependencies import fingerprint_of_code
from tools.long_work.processes import spawned_pool, usable_processes

__all__ = ["GeneratedScenes"]

_THUMBNAIL = 24
_PER_TASK = 48  # frames that a process draws before it reports
_WORTH_PROCESSES = 384  # frames; the start of processes takes some seconds
_LEAST_CONTRAST = 1e-3
_KEPT_BYTES = 1 << 30


class GeneratedScenes(SolarData):
    """Labelled solar scenes, drawn when they are read and kept from then on.

    Parameters
    ----------
    seed : int
    n_observations : int
        Shared evenly by the five classes and "none of these".
    frames_per_observation : int
    size : int
        Pixels along a side.
    difficulty : str, Path or mapping
        ``standard``, ``harder``, a JSON file or knobs, see ``load_difficulty``.
    n_processes : int, optional
        That draw when many frames are asked for at once; all processors by default. The frames
        are the same with any number.

    Raises
    ------
    ValueError
        If a number is below 1, the size below 16 or a knob unknown.
    """

    def __init__(
        self,
        seed: int,
        *,
        n_observations: int = 1200,
        frames_per_observation: int = 4,
        size: int = 96,
        difficulty: str | Path | Mapping = "standard",
        n_processes: int | None = None,
    ):
        if n_observations < 1 or frames_per_observation < 1 or size < 16:
            raise ValueError(
                "expected at least 1 observation, 1 frame and 16 pixels, got "
                f"{n_observations} observations, {frames_per_observation} frames, size {size}"
            )
        self.seed, self.size = seed, size
        self.n_observations, self.frames_per_observation = n_observations, frames_per_observation
        self.difficulty = load_difficulty(difficulty)
        self._n_processes = n_processes or usable_processes()
        self._named = difficulty if isinstance(difficulty, str) else "own"
        self._observations = [
            draw_observation(seed, k, self.difficulty) for k in range(n_observations)
        ]
        self._kept = self._drawn = None
        if len(self) * size**2 * 4 <= _KEPT_BYTES:
            self._kept = np.empty((len(self), size, size), np.float32)  # touched when drawn
            self._drawn = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return self.n_observations * self.frames_per_observation

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """An image in DN, and its primary class."""
        return {
            "image": ArrayInfo(("y", "x", "channel"), (self.size, self.size, 1), "DN", INPUT),
            "label": ArrayInfo(("class",), (len(OUTPUTS),), "", TARGET),
        }

    @cached_property
    def table(self) -> SampleTable:
        """One row per frame, observation after observation.

        An image is a function of what it was drawn from; the content hash is the hash of that.
        """
        frames = range(self.frames_per_observation)
        time = np.array([o.time(k) for o in self._observations for k in frames])
        group = np.repeat([o.group for o in self._observations], len(frames))
        recipe = f"{self.seed} {self.size} {self.difficulty.digest()} {_code()}"
        hashes = [_hash(f"{recipe} {o.number} {k}") for o in self._observations for k in frames]
        quality = np.zeros(len(time), int)
        return SampleTable(
            time, time, time, time, time, group, quality, np.array(hashes, np.uint64)
        )

    @property
    def primary(self) -> np.ndarray:
        """Index into ``OUTPUTS`` of each frame, (sample,) int."""
        kinds = np.array([o.primary for o in self._observations])
        return np.repeat(kinds, self.frames_per_observation)

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Return images (batch, y, x, 1) in DN and one-hot labels (batch, 6), float32."""
        indices = self._checked(indices)
        images = self._images(indices)
        label = np.eye(len(OUTPUTS), dtype=np.float32)[self.primary[indices]]
        return {"image": images[..., None], "label": label}

    def draw(self) -> None:
        """Draw all frames at once, by several processes, and keep them.

        Reading does it frame by frame otherwise. More than 1 GiB of frames is not kept.
        """
        if self._kept is not None:
            self._images(np.arange(len(self)))

    def scene(self, index: int) -> Scene:
        """Draw one frame with its masks and labels."""
        observation, frame = divmod(int(self._checked([index])[0]), self.frames_per_observation)
        return draw_scene(self._observations[observation], frame, self.size)

    def observation(self, index: int) -> Observation:
        """Return the observation that a frame belongs to."""
        return self._observations[int(self._checked([index])[0]) // self.frames_per_observation]

    def masks(self, indices: np.ndarray) -> np.ndarray:
        """Return where each of ``CLASSES`` is, (batch, 5, y, x) bool; frames are drawn anew."""
        shape = (0, len(CLASSES), self.size, self.size)
        masks = [self.scene(k).masks for k in self._checked(indices)]
        return np.stack(masks) if masks else np.zeros(shape, bool)

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """Return all that is true, (batch, 6) float32 of 0 and 1; frames are drawn anew."""
        labels = [self.scene(k).labels for k in self._checked(indices)]
        return np.stack(labels) if labels else np.zeros((0, len(OUTPUTS)), np.float32)

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Return 24 x 24 means without mean and scale, (batch, 576) float32.

        NaN where there is less than a thousandth of contrast.
        """
        images = self._images(self._checked(indices))
        edges = np.linspace(0, self.size, min(_THUMBNAIL, self.size) + 1).astype(int)[:-1]
        small = np.add.reduceat(np.add.reduceat(images, edges, axis=1), edges, axis=2)
        counts = np.diff(np.append(edges, self.size))
        small = (small / (counts[:, None] * counts)).reshape(len(images), -1)
        level = np.abs(small).max(axis=1, keepdims=True)
        small = small - small.mean(axis=1, keepdims=True)
        norm = np.sqrt((small**2).sum(axis=1, keepdims=True))
        has_content = norm > _LEAST_CONTRAST * level * np.sqrt(small.shape[1])
        return np.where(has_content, small / np.maximum(norm, 1e-30), np.nan).astype(np.float32)

    def provenance(self) -> dict:
        """State that this is synthetic, and all that it follows from."""
        return {
            "source": "synthetic: generated solar scenes",
            "is_synthetic": True,
            "seed": self.seed,
            "observations": self.n_observations,
            "frames_per_observation": self.frames_per_observation,
            "size": self.size,
            "difficulty": self._named,
            "knobs": asdict(self.difficulty),
            "code": _code(),
            "repairs": "none; faults such as dark columns are drawn on purpose",
        }

    def _checked(self, indices: np.ndarray) -> np.ndarray:
        indices = np.asarray(indices, int)
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise IndexError(f"frames are numbered 0 to {len(self) - 1}, got {indices}")
        return indices

    def _images(self, indices: np.ndarray) -> np.ndarray:
        """Return images (batch, y, x); draw those that are not kept."""
        if self._kept is None:
            out = np.empty((len(indices), self.size, self.size), np.float32)
            for place, images in self._new_images(indices):
                out[place] = images
            return out
        missing = np.unique(indices[~self._drawn[indices]])
        for place, images in self._new_images(missing):
            self._kept[missing[place]] = images
            self._drawn[missing[place]] = True
        return self._kept[indices]

    def _new_images(self, indices: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Draw images, by several processes where it is worth their start."""
        places = [slice(k, k + _PER_TASK) for k in range(0, len(indices), _PER_TASK)]
        tasks = [(self._of_frames(indices[place]), self.size) for place in places]
        if self._n_processes == 1 or len(indices) < _WORTH_PROCESSES:
            yield from zip(places, map(_drawn_images, tasks), strict=True)
            return
        killed = "it drew scenes; if memory is short, use n_processes=1"
        with spawned_pool(self._n_processes, if_killed=killed) as pool:
            yield from zip(places, pool.map(_drawn_images, tasks), strict=True)

    def _of_frames(self, indices: np.ndarray) -> list[tuple[Observation, int]]:
        n = self.frames_per_observation
        return [(self._observations[int(k) // n], int(k) % n) for k in indices]


def _drawn_images(task: tuple[list[tuple[Observation, int]], int]) -> np.ndarray:
    frames, size = task
    return np.stack([draw_scene(observation, k, size).image for observation, k in frames])


@lru_cache(maxsize=1)
def _code() -> str:
    return fingerprint_of_code([__file__])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
