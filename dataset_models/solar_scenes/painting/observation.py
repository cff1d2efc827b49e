"""Observations: what the frames of one pointing share, so that they are near-copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.solar_scenes.classes import NONE, OUTPUTS
from dataset_models.solar_scenes.painting.difficulty import Difficulty
from dataset_models.solar_scenes.painting.other_scenes import OTHER_SCENES
from tools.random_streams import random_stream

__all__ = ["Observation", "draw_observation"]

START = np.datetime64("2011-01-01T00:00:00")
_DAYS_APART = 3  # more than the 48 h within which one pointing is one scene
# which textures a class is seen on: all on all, in different shares
_TEXTURE_SHARES = {
    "filaments": (0.08, 0.07, 0.15, 0.45, 0.25),
    "flares": (0.08, 0.12, 0.25, 0.37, 0.18),
    "prominences": (0.12, 0.08, 0.20, 0.35, 0.25),
    "quiet": (0.27, 0.15, 0.21, 0.24, 0.13),
    "sunspots": (0.42, 0.18, 0.10, 0.18, 0.12),
}
_TEXTURE_NAMES = ("granulation", "reversed granulation", "network", "fibrils", "mottles")


@dataclass(frozen=True)
class Observation:
    """One observation: a scene, a pointing, an instrument.

    Attributes
    ----------
    seed, number : int
        Its random stream, and where it stands in the sequence of observations.
    primary : int
        Index into ``OUTPUTS`` of what it was taken for.
    texture : str
        A key of ``TEXTURES``, or of ``OTHER_SCENES``.
    pixel_scale_arcsec : float
    start : numpy.datetime64
        UTC, to a second.
    cadence_s : float
    pointing_arcsec : (float, float)
        Helioprojective x and y of the frame's middle.
    drift_px_s : (float, float)
        By how much the scene moves (y, x) in a second; of a frame of 96 pixels.
    blur_px, wing_share, wing_px : float
        Point spread: a Gaussian, and a wide one with some share of the light.
    gain, bias : float
        DN of relative brightness 1, and of no light.
    slope : (float, float)
        Illumination gradient (y, x) over the frame.
    vignetting : float
    noise : float
        Standard deviation at brightness 1.
    difficulty : Difficulty
    """

    seed: int
    number: int
    primary: int
    texture: str
    pixel_scale_arcsec: float
    start: np.datetime64
    cadence_s: float
    pointing_arcsec: tuple[float, float]
    drift_px_s: tuple[float, float]
    blur_px: float
    wing_share: float
    wing_px: float
    gain: float
    bias: float
    slope: tuple[float, float]
    vignetting: float
    noise: float
    difficulty: Difficulty

    @property
    def group(self) -> str:
        """Name of the observation."""
        return f"observation {self.seed}-{self.number:05d}"

    def stream(self, *names: str | int) -> np.random.Generator:
        """Return one of the observation's random streams."""
        return random_stream(self.seed, "solar scenes", self.number, *names)

    def elapsed_s(self, frame_number: int) -> float:
        """Return the time since the first frame."""
        return frame_number * self.cadence_s

    def time(self, frame_number: int) -> np.datetime64:
        """Return the time of a frame, UTC, to a second."""
        return self.start + np.timedelta64(round(self.elapsed_s(frame_number)), "s")


def draw_observation(
    seed: int, number: int, difficulty: Difficulty, *, primary: int | None = None
) -> Observation:
    """Draw an observation; it depends on seed, number and difficulty only.

    Parameters
    ----------
    seed, number : int
        Six observations in a row are of the six kinds of ``OUTPUTS``, in random order.
    difficulty : Difficulty
    primary : int, optional
        Ask for a kind, an index into ``OUTPUTS``.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if primary is None:
        block, place = divmod(number, len(OUTPUTS))
        order = random_stream(seed, "solar scenes", "kinds", block).permutation(len(OUTPUTS))
        primary = int(order[place])
    if not 0 <= primary < len(OUTPUTS):
        raise ValueError(f"kinds are numbered 0 to {len(OUTPUTS) - 1}, got {primary}")
    r = random_stream(seed, "solar scenes", number, "observation")
    day = _DAYS_APART * number + r.uniform(0, 0.5)
    relative = r.random() < 0.3
    gain = r.uniform(0.8, 1.2) if relative else np.exp(r.uniform(np.log(50), np.log(70000)))
    nuisance = difficulty.nuisance
    texture = _texture(r, OUTPUTS[primary])
    blur = difficulty.blur * r.choice((0.3, 0.7, 1.2)) * r.uniform(0.6, 1.4)
    return Observation(
        seed=seed,
        number=number,
        primary=primary,
        texture=texture,
        pixel_scale_arcsec=float(np.exp(r.uniform(np.log(0.05), np.log(2.0)))),
        start=START + np.timedelta64(int(day * 86400), "s"),
        cadence_s=float(np.exp(r.uniform(np.log(1.6), np.log(60)))),
        pointing_arcsec=tuple(float(a) for a in r.uniform(-800, 800, 2)),
        drift_px_s=tuple(float(a) for a in r.normal(0, 0.01, 2)),
        blur_px=0.0 if texture == "blank" else float(blur),  # its noise stays white
        wing_share=float(r.uniform(0, 0.25)),
        wing_px=float(r.uniform(3, 12)),
        gain=float(gain),
        bias=0.0 if relative else float(gain * r.choice((0, 1)) * r.uniform(0, 0.5)),
        slope=tuple(float(a) for a in nuisance * r.uniform(-0.15, 0.15, 2)),
        vignetting=float(nuisance * r.choice((0, 1), p=(0.6, 0.4)) * r.uniform(0, 0.4)),
        noise=float(difficulty.noise * np.exp(r.uniform(np.log(0.001), np.log(0.025)))),
        difficulty=difficulty,
    )


def _texture(r: np.random.Generator, kind: str) -> str:
    if kind == NONE:
        return list(OTHER_SCENES)[int(r.integers(len(OTHER_SCENES)))]
    return _TEXTURE_NAMES[int(r.choice(len(_TEXTURE_NAMES), p=_TEXTURE_SHARES[kind]))]
