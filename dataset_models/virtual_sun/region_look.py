"""What an active region of the virtual Sun looks like: its loops as chains of plasma blobs.

The look of a region is drawn once; its size, age and hidden state come from the flare process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.virtual_sun.plasma import KINDS, PROXY_KINDS

__all__ = ["LAYERS", "REGION_RADIUS", "RegionLook", "region_look"]

LAYERS = (*KINDS, *PROXY_KINDS)
_BLOBS_PER_LOOP = 13
REGION_RADIUS = 0.075  # of a region of size 1, in solar radii
_LOOP_WIDTH = 0.006
# volume emission measure of a region of size 1 at full activity, cm-3
CORE_EM, DIFFUSE_EM, FAN_EM = 2.5e47, 1.6e47, 4.5e46
PRECURSOR_EM = 4.0e46
# spread of ln of the brightness among regions of one size: how bright a region is says less about
# its flares than where it is hot
_CORE_SPREAD, _LOOP_SPREAD = 1.0, 0.8
_QUIET_HOT_SHARE = 0.03  # median of a quiet region's faint hot plasma, of a primed one's
# 304 and 1600 A of plage and ribbons: DN s-1 pix-1 times area in solar radii squared
PLAGE_304, PLAGE_1600 = 1.5, 1.2


@dataclass(frozen=True)
class RegionLook:
    """Blobs of one region at unit size.

    Attributes
    ----------
    east, north, height, width : (blob,) float
        Place in the region's own frame and Gaussian width, in region radii.
    weight : (blob,) float
        Share of its layer's total.
    layer : (blob,) int
        Index in ``LAYERS``.
    phase, period_h : (blob,) float
        Of the slow brightening and fading of the blob's loop.
    core_level, loop_level, hot_level, precursor_level : float
        This region's own factors.
    """

    east: np.ndarray
    north: np.ndarray
    height: np.ndarray
    width: np.ndarray
    weight: np.ndarray
    layer: np.ndarray
    phase: np.ndarray
    period_h: np.ndarray
    core_level: float
    loop_level: float
    hot_level: float
    precursor_level: float


def region_look(generator: np.random.Generator, *, size: float, latitude_deg: float) -> RegionLook:
    """Draw the look of a region; large regions have more loops."""
    # Joy's law: the leading part lies nearer to the equator
    tilt = -np.sign(latitude_deg) * np.radians(0.5 * abs(latitude_deg)) + generator.normal(0, 0.2)
    n_loops = int(np.clip(6 + 5 * np.sqrt(size), 6, 28))
    parts = [
        _loops(generator, n_loops, "fan", length=(1.2, 2.6), spread=0.55, tilt=tilt),
        _loops(generator, n_loops, "diffuse", length=(0.5, 1.4), spread=0.40, tilt=tilt),
        *_core(generator, tilt),
        _sigmoid(generator, tilt),
        _plage(generator, n_loops, tilt),
    ]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return RegionLook(
        *columns,
        core_level=float(np.exp(generator.normal(-(_CORE_SPREAD**2) / 2, _CORE_SPREAD))),
        loop_level=float(np.exp(generator.normal(-(_LOOP_SPREAD**2) / 2, _LOOP_SPREAD))),
        hot_level=float(_QUIET_HOT_SHARE * np.exp(generator.normal(0, 0.8))),
        precursor_level=float(np.exp(generator.normal(0, 0.35))),
    )


def _loops(generator, n: int, kind: str, *, length, spread: float, tilt: float) -> tuple:
    """Draw semi-elliptic loops between two polarities."""
    k = _BLOBS_PER_LOOP
    span = generator.uniform(*length, (n, 1))
    angle = tilt + generator.normal(0, 0.35, (n, 1))
    middle = generator.normal(0, spread, (2, n, 1))
    arc = np.linspace(0, np.pi, k)[None]
    along = -0.5 * span * np.cos(arc)
    height = 0.5 * span * generator.uniform(0.6, 1.2, (n, 1)) * np.sin(arc)
    lean = height * generator.normal(0, 0.4, (n, 1))
    east = middle[0] + along * np.cos(angle) - lean * np.sin(angle)
    north = middle[1] + along * np.sin(angle) + lean * np.cos(angle)
    # fan loops shine at their feet and fade with height, as stratified plasma does
    shape = np.exp(-height / 0.5) if kind == "fan" else np.ones((n, k))
    weight = shape * np.exp(generator.normal(0, 0.6, (n, 1)))
    phase = np.broadcast_to(generator.uniform(0, 2 * np.pi, (n, 1)), (n, k))
    period = np.broadcast_to(generator.uniform(8, 40, (n, 1)), (n, k))
    width = np.maximum(
        _LOOP_WIDTH / REGION_RADIUS * generator.uniform(0.7, 1.6, (n, 1)), span / k * 0.55
    )
    return (
        east.ravel(),
        north.ravel(),
        height.ravel(),
        np.broadcast_to(width, (n, k)).ravel(),
        (weight / weight.sum()).ravel(),
        np.full(n * k, LAYERS.index(kind)),
        phase.ravel(),
        period.ravel(),
    )


def _core(generator, tilt: float) -> list[tuple]:
    """Draw the short loops of the core; the same ones hold its warm and its hot plasma."""
    loops = _loops(generator, 5, "core", length=(0.25, 0.6), spread=0.15, tilt=tilt)
    hot = list(loops)
    hot[5] = np.full(len(loops[5]), LAYERS.index("hot core"))
    return [loops, tuple(hot)]


def _sigmoid(generator, tilt: float) -> tuple:
    """Draw the compact S-shaped channel along the neutral line that fills with hot plasma."""
    s = np.linspace(-1, 1, 7)
    along, across = 0.12 * np.sin(1.2 * s), 0.22 * s
    east = along * np.cos(tilt) - across * np.sin(tilt)
    north = along * np.sin(tilt) + across * np.cos(tilt)
    n = len(s)
    return (
        east,
        north,
        np.full(n, 0.12),
        np.full(n, 0.09),
        np.full(n, 1 / n),
        np.full(n, LAYERS.index("precursor")),
        np.zeros(n),
        np.full(n, 24.0),
    )


def _plage(generator, n: int, tilt: float) -> tuple:
    """Draw plage around two polarities, for both proxies."""
    side = generator.choice([-0.5, 0.5], n)
    along, across = side + generator.normal(0, 0.28, n), generator.normal(0, 0.28, n)
    east = along * np.cos(tilt) - across * np.sin(tilt)
    north = along * np.sin(tilt) + across * np.cos(tilt)
    weight = np.exp(generator.normal(0, 0.5, n))
    columns = (east, north, np.zeros(n), np.full(n, 0.16), weight / weight.sum())
    layers = [np.full(n, LAYERS.index(name)) for name in PROXY_KINDS]
    still = (np.zeros(n), np.full(n, 30.0))
    return tuple(np.concatenate([c, c]) for c in columns) + (
        np.concatenate(layers),
        *(np.concatenate([c, c]) for c in still),
    )
