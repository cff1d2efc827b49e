"""One frame of an observation: image, masks of its features, and all that is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.solar_scenes.classes import CLASSES, NONE, OUTPUTS
from dataset_models.solar_scenes.painting.camera import photograph
from dataset_models.solar_scenes.painting.filaments import add_filament
from dataset_models.solar_scenes.painting.limb import add_prominence, draw_limb, with_sky
from dataset_models.solar_scenes.painting.noise import View
from dataset_models.solar_scenes.painting.observation import Observation
from dataset_models.solar_scenes.painting.other_scenes import OTHER_SCENES
from dataset_models.solar_scenes.painting.ribbons import add_flare
from dataset_models.solar_scenes.painting.spots import add_pores, add_spot, add_spot_group
from dataset_models.solar_scenes.painting.textures import PHOTOSPHERIC, TEXTURES, plage

__all__ = ["Scene", "draw_scene"]

_PROTOTYPE_SIZE = 96  # drifts and point spreads are stated for it
_FEWEST_PIXELS = 8  # of a mask, in a frame of 96, for a feature to be there
_SPOT_RADIUS_ARCSEC = (2.5, 45.0)
_LARGEST_PORE = 0.014  # radius in frames; a spot has at least 0.031


@dataclass(frozen=True)
class Scene:
    """A labelled frame.

    Attributes
    ----------
    image : (y, x) float32
        Brightness in any unit.
    masks : (5, y, x) bool
        Where each of ``CLASSES`` is: filament, ribbons and kernels, prominence, disc without any of
        these (empty where the scene is none of the five), umbra and penumbra.
    labels : (6,) float32
        1 for all that is in the frame, over ``OUTPUTS``; ``quiet`` only where nothing else is.
    primary : int
        Index into ``OUTPUTS``.
    """

    image: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    primary: int


def draw_scene(observation: Observation, frame_number: int, size: int = 96) -> Scene:
    """Draw one frame.

    Parameters
    ----------
    observation : Observation
    frame_number : int
        0 or larger; frames near one another in number are near-copies.
    size : int
        Pixels along a side, at least 16.

    Returns
    -------
    Scene
        The same for the same arguments, whatever was drawn before and by how many processes.

    Raises
    ------
    ValueError
        If the size is below 16 or the frame number below 0.
    """
    if size < 16 or frame_number < 0:
        raise ValueError(
            f"a scene has at least 16 pixels and frames from 0 on, got size {size}, "
            f"frame {frame_number}"
        )
    view = _view(observation, frame_number, size)
    kind = OUTPUTS[observation.primary]
    if kind == NONE:
        image, found = OTHER_SCENES[observation.texture](view), {}
    else:
        image, found = _SCENES[kind](view, observation)
    masks = _masks(found, (size, size), is_solar=kind != NONE)
    image = photograph(image, observation, frame_number)
    return Scene(image, masks, _labels(masks, observation.primary, size), observation.primary)


def _view(observation: Observation, frame_number: int, size: int) -> View:
    elapsed = observation.elapsed_s(frame_number)
    scale = size / _PROTOTYPE_SIZE
    jitter = observation.stream("pointing", frame_number).normal(0, 0.15, 2)
    offset = tuple(
        scale * (d * elapsed + j) for d, j in zip(observation.drift_px_s, jitter, strict=True)
    )
    return View(
        shape=(size, size),
        pixel_scale_arcsec=observation.pixel_scale_arcsec / scale,
        generator=observation.stream("content"),
        offset=offset,
        elapsed_s=elapsed,
    )


def _masks(found: dict[str, np.ndarray], shape: tuple[int, int], *, is_solar: bool) -> np.ndarray:
    masks = np.zeros((len(CLASSES), *shape), bool)
    for name, mask in found.items():
        if name != "disc":
            masks[CLASSES.index(name)] = mask
    if is_solar:
        disc = found.get("disc", np.ones(shape, bool))
        masks[CLASSES.index("quiet")] = disc & ~masks.any(axis=0)
    return masks


def _labels(masks: np.ndarray, primary: int, size: int) -> np.ndarray:
    labels = np.zeros(len(OUTPUTS), np.float32)
    few = _FEWEST_PIXELS * (size / _PROTOTYPE_SIZE) ** 2
    for k, name in enumerate(CLASSES):
        labels[k] = name != "quiet" and masks[k].sum() >= few
    labels[primary] = 1
    return labels


def _ground(view: View, observation: Observation) -> np.ndarray:
    return TEXTURES[observation.texture](view, observation.difficulty.texture_contrast)


def _is_chromospheric(observation: Observation) -> bool:
    return observation.texture not in PHOTOSPHERIC


def _somewhere(view: View, low: float, high: float) -> tuple[float, float]:
    return tuple(view.generator.uniform(low, high, 2) * view.size)


def _with_plage(view: View, image: np.ndarray, *, centre=None) -> np.ndarray:
    r = view.generator
    amplitude, cover = r.uniform(0.08, 0.5), r.uniform(0.04, 0.35)
    return image + plage(view, amplitude=amplitude, cover=cover, centre=centre)


def _with_pores(view: View, image: np.ndarray) -> np.ndarray:
    """Put pores too small to be spots."""
    r = view.generator
    radius = r.uniform(0.4, 1.0) * _LARGEST_PORE * view.size
    place = _somewhere(view, 0.1, 0.9)
    n, depth = int(r.integers(1, 4)), r.uniform(0.4, 0.9)
    return add_pores(view, image, n, place, 0.3 * view.size, radius, darkness=depth)[0]


def _filament(view: View, observation: Observation) -> tuple[np.ndarray, dict]:
    r, hard = view.generator, observation.difficulty
    image = _ground(view, observation)
    if r.random() < hard.plage_by_filament:
        image = _with_plage(view, image)
    if r.random() < hard.pores_by_filament:
        image = _with_pores(view, image)
    image, mask = add_filament(view, image, contrast=hard.filament_contrast)
    if r.random() < 0.15:
        image, more = add_filament(view, image, contrast=hard.filament_contrast, length=(0.2, 0.6))
        mask = mask | more
    return image, {"filaments": mask}


def _flare(view: View, observation: Observation) -> tuple[np.ndarray, dict]:
    r, hard = view.generator, observation.difficulty
    image, found = _ground(view, observation), {}
    centre = _somewhere(view, 0.32, 0.68)
    if r.random() < hard.plage_by_ribbons:
        image = _with_plage(view, image, centre=centre)
    if r.random() < hard.spot_under_ribbons:
        image, found["sunspots"] = _spots(view, observation, image, centre=centre)
    image, found["flares"] = add_flare(view, image, centre, contrast=hard.ribbon_contrast)
    return image, found


def _prominence(view: View, observation: Observation) -> tuple[np.ndarray, dict]:
    r, hard = view.generator, observation.difficulty
    image, found = _ground(view, observation), {}
    if r.random() < hard.filament_by_prominence:
        image, filament = add_filament(view, image, contrast=hard.filament_contrast)
        found["filaments"] = filament
    limb = draw_limb(view)
    occulted = r.random() < hard.occulted_disc
    level = r.uniform(0.0, 0.04) if occulted else r.uniform(0.25, 1.0)
    image = with_sky(
        view, image, limb, disc_level=level, spicules=not occulted and r.random() < 0.7
    )
    brightness = hard.prominence_contrast * np.exp(r.uniform(np.log(0.18), np.log(1.0)))
    image, found["prominences"] = add_prominence(view, image, limb, brightness=brightness)
    found["disc"] = limb.disc > 0.5
    if "filaments" in found:
        found["filaments"] &= found["disc"] & (not occulted)
    return image, found


def _quiet(view: View, observation: Observation) -> tuple[np.ndarray, dict]:
    r, hard = view.generator, observation.difficulty
    image, found = _ground(view, observation), {}
    if r.random() < hard.plage_in_quiet:
        image = _with_plage(view, image)
    if r.random() < hard.pores_in_quiet:
        image = _with_pores(view, image)
    if r.random() < hard.limb_in_quiet:
        limb = draw_limb(view, share=(0.3, 0.95))
        spicules = r.random() < 0.6
        image = with_sky(view, image, limb, disc_level=r.uniform(0.4, 1.0), spicules=spicules)
        found["disc"] = limb.disc > 0.5
    return image, found


def _sunspot(view: View, observation: Observation) -> tuple[np.ndarray, dict]:
    r = view.generator
    image = _ground(view, observation)
    if r.random() < 0.3:
        image = _with_plage(view, image)
    image, mask = _spots(view, observation, image)
    return image, {"sunspots": mask}


def _spots(
    view: View, observation: Observation, image: np.ndarray, *, centre=None
) -> tuple[np.ndarray, np.ndarray]:
    """Put a spot, a group or pores large enough to be one."""
    r, hard = view.generator, observation.difficulty
    n, soft = view.size, _is_chromospheric(observation)
    darkness = hard.spot_contrast * (r.uniform(0.6, 1.0) if soft else r.uniform(0.8, 1.05))
    options = {"darkness": darkness, "chromospheric": soft and r.random() < 0.6}
    least, most = (np.clip(view.pixels(a) / n, 0.035, 0.5) for a in _SPOT_RADIUS_ARCSEC)
    radius = float(np.exp(r.uniform(np.log(least), np.log(most)))) * n
    if centre is None:
        edge = r.random() < hard.off_centre_spot
        centre = _somewhere(view, 0.05, 0.95) if edge else _somewhere(view, 0.25, 0.75)
    draw = r.random()
    if draw < hard.spot_group:
        return add_spot_group(view, image, centre, min(radius, 0.22 * n), **options)
    if draw < hard.spot_group + 0.08:
        own = float(np.clip(view.pixels(r.uniform(1.0, 3.0)), 0.035 * n, 0.07 * n))
        n_pores = int(r.integers(3, 9))
        return add_pores(view, image, n_pores, centre, 0.35 * n, own, darkness=darkness)
    image, mask = add_spot(view, image, centre, radius, **options)
    if r.random() < hard.second_spot:
        own = r.uniform(0.05, 0.2) * n
        image, more = add_spot(view, image, _somewhere(view, 0.1, 0.9), own, **options)
        mask = mask | more
    return image, mask


_SCENES = {
    "filaments": _filament,
    "flares": _flare,
    "prominences": _prominence,
    "quiet": _quiet,
    "sunspots": _sunspot,
}
