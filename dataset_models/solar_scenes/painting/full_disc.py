"""A whole generated Sun with spots, filaments, plage, a flare and prominences, and its coordinates.

Features keep to the inner three quarters of the disc and are not foreshortened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.solar_scenes.classes import CLASSES
from dataset_models.solar_scenes.painting.filaments import add_filament
from dataset_models.solar_scenes.painting.limb import add_prominence, limb_at, with_sky
from dataset_models.solar_scenes.painting.noise import View
from dataset_models.solar_scenes.painting.ribbons import add_flare
from dataset_models.solar_scenes.painting.spots import add_spot, add_spot_group
from dataset_models.solar_scenes.painting.textures import PHOTOSPHERIC, TEXTURES, plage
from tools.random_streams import random_stream

__all__ = ["FullDisc", "full_disc"]

_RSUN_ARCSEC = (944.0, 976.0)  # over a year
_RSUN_M = 6.957e8  # IAU 2015 B3
_START = np.datetime64("2011-01-01T00:00:00")
_MJD_START = np.datetime64("1858-11-17T00:00:00")
_TAPER = 0.12  # of a patch's side, over which it joins the disc
_PATCH = {"sunspots": 0.10, "filaments": 0.20, "plage": 0.14, "flares": 0.10, "prominences": 0.14}


@dataclass(frozen=True)
class FullDisc:
    """A whole Sun.

    Attributes
    ----------
    image : (y, x) float32
        DN.
    masks : (5, y, x) bool
        Where each of ``CLASSES`` is.
    header : dict
        FITS keywords of a helioprojective coordinate system and of the Sun's radius.
    """

    image: np.ndarray
    masks: np.ndarray
    header: dict


def full_disc(size: int, seed: int, *, texture: str | None = None) -> FullDisc:
    """Draw a whole Sun.

    Parameters
    ----------
    size : int
        Pixels along a side, at least 128.
    seed : int
    texture : str, optional
        A key of ``TEXTURES``; drawn otherwise.

    Returns
    -------
    FullDisc

    Raises
    ------
    ValueError
        If the size is below 128 or there is no such texture.
    """
    if size < 128 or texture not in (None, *TEXTURES):
        raise ValueError(
            f"expected at least 128 pixels and a texture of {', '.join(TEXTURES)}, got {size} and "
            f"{texture!r}"
        )
    r = random_stream(seed, "solar scenes", "full disc")
    texture = texture or list(TEXTURES)[int(r.integers(len(TEXTURES)))]
    radius, rsun = r.uniform(0.40, 0.45) * size, r.uniform(*_RSUN_ARCSEC)
    # plain floats: NumPy's own would make whole arrays float64
    centre = tuple(0.5 * (size - 1) + float(s) * size for s in r.uniform(-0.01, 0.01, 2))
    view = View((size, size), rsun / radius, r)
    disc = _Canvas(TEXTURES[texture](view, 0.8), view, centre, radius)
    _add_features(disc, soft=texture not in PHOTOSPHERIC)
    limb = limb_at(view, (centre[0], centre[1] + radius), 0.0, radius)
    outside = limb.height > 0
    disc.image = with_sky(view, disc.image, limb, disc_level=1.0, spicules=texture == "fibrils")
    disc.masks &= ~outside
    if texture not in PHOTOSPHERIC:
        _add_prominences(disc)
    disc.masks[CLASSES.index("quiet")] = ~outside & ~disc.masks.any(axis=0)
    gain = float(np.exp(r.uniform(np.log(500), np.log(50000))))
    image = _exposed(disc.image, gain, r)
    return FullDisc(image, disc.masks, _header(size, centre, rsun, radius, r))


class _Canvas:
    """The Sun that is being drawn: image, masks, and how to work on a part of it."""

    def __init__(self, image: np.ndarray, view: View, centre: tuple[float, float], radius: float):
        self.image, self.view, self.centre, self.radius = image, view, centre, radius
        self.masks = np.zeros((len(CLASSES), *view.shape), bool)

    def place(self, share: float) -> tuple[float, float]:
        """Draw a place on the disc within some share of its radius, y and x."""
        r = self.view.generator
        away, angle = share * self.radius * np.sqrt(r.random()), r.uniform(0, 2 * np.pi)
        return self.centre[0] + away * np.sin(angle), self.centre[1] + away * np.cos(angle)

    def change(
        self,
        name: str,
        middle: tuple[float, float],
        draw: Callable[[View, np.ndarray, tuple[int, int]], tuple[np.ndarray, np.ndarray | None]],
    ) -> None:
        """Let ``draw(view, image, corner)`` change a square patch about a place."""
        size = self.view.size
        side = max(int(_PATCH[name] * size), 16)
        y, x = (int(np.clip(c - side / 2, 0, size - side)) for c in middle)
        part = np.s_[y : y + side, x : x + side]
        view = View((side, side), self.view.pixel_scale_arcsec, self.view.generator)
        new, mask = draw(view, self.image[part], (y, x))
        t = np.minimum(np.arange(side), np.arange(side)[::-1]) / (_TAPER * side)
        edge = np.clip(t, 0, 1).astype(np.float32)
        self.image[part] += np.outer(edge, edge) * (new - self.image[part])
        if mask is not None:
            self.masks[CLASSES.index(name)][part] |= mask & (np.outer(edge, edge) > 0.5)


def _add_features(disc: _Canvas, *, soft: bool) -> None:
    """Put plage, filaments, spots and one flare on the disc."""
    r = disc.view.generator

    def with_plage(view, image, corner):
        top = r.uniform(0.1, 0.35) if soft else r.uniform(0.02, 0.08)
        more = plage(view, amplitude=top, cover=0.3, centre=(view.size / 2,) * 2)
        return image + more, None

    def with_filament(view, image, corner):
        return add_filament(view, image, length=(0.3, 0.7))

    def with_spot(view, image, corner):
        add = add_spot_group if r.random() < 0.4 else add_spot
        radius = float(np.exp(r.uniform(np.log(0.06), np.log(0.25)))) * view.size
        radius = min(radius, 0.16 * view.size) if add is add_spot_group else radius
        return add(view, image, (view.size / 2,) * 2, radius, chromospheric=soft)

    def with_flare(view, image, corner):
        return add_flare(view, image, (view.size / 2,) * 2)

    active = [disc.place(0.7) for _ in range(int(r.integers(3, 7)))]
    for middle in active:
        disc.change("plage", middle, with_plage)
    for _ in range(int(r.integers(3, 7)) if soft else 0):
        disc.change("filaments", disc.place(0.75), with_filament)
    for middle in active:
        disc.change("sunspots", middle, with_spot)
    if soft:
        disc.change("flares", active[0], with_flare)


def _add_prominences(disc: _Canvas) -> None:
    r = disc.view.generator
    for _ in range(int(r.integers(2, 5))):
        angle, level = r.uniform(0, 2 * np.pi), r.uniform(0.3, 0.8)
        foot = (
            disc.centre[0] + disc.radius * np.sin(angle),
            disc.centre[1] + disc.radius * np.cos(angle),
        )

        def with_prominence(view, image, corner, foot=foot, angle=angle, level=level):
            limb = limb_at(view, (foot[0] - corner[0], foot[1] - corner[1]), angle, disc.radius)
            return add_prominence(view, image, limb, brightness=level)

        disc.change("prominences", foot, with_prominence)


def _exposed(image: np.ndarray, gain: float, r: np.random.Generator) -> np.ndarray:
    image = gaussian_filter(image, r.uniform(0.5, 1.0), truncate=3)
    image += r.uniform(0.002, 0.01) * r.standard_normal(image.shape, np.float32)
    return np.maximum(np.round(gain * image), 0).astype(np.float32)


def _header(size: int, centre, rsun: float, radius: float, r: np.random.Generator) -> dict:
    """Return a helioprojective header; FITS counts pixels from 1."""
    date = _START + np.timedelta64(int(r.integers(0, 4000 * 86400)), "s")
    return {
        "NAXIS": 2,
        "NAXIS1": size,
        "NAXIS2": size,
        "CTYPE1": "HPLN-TAN",
        "CTYPE2": "HPLT-TAN",
        "CUNIT1": "arcsec",
        "CUNIT2": "arcsec",
        "CRVAL1": 0.0,
        "CRVAL2": 0.0,
        "CRPIX1": float(centre[1]) + 1,
        "CRPIX2": float(centre[0]) + 1,
        "CDELT1": rsun / radius,
        "CDELT2": rsun / radius,
        "RSUN_OBS": rsun,
        "RSUN_REF": _RSUN_M,
        "DSUN_OBS": _RSUN_M / float(np.sin(np.radians(rsun / 3600))),
        "HGLN_OBS": 0.0,
        "HGLT_OBS": 7.0 * r.uniform(-1, 1),
        "DATE-OBS": str(date),
        "MJD-OBS": float((date - _MJD_START) / np.timedelta64(86400, "s")),
        "TELESCOP": "SYNTHETIC",
        "INSTRUME": "SYNTHETIC",
        "BUNIT": "DN",
    }
