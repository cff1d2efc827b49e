"""How a scene becomes a frame: seeing, illumination, noise, dust, dark columns, any scale."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.solar_scenes.painting.observation import Observation

__all__ = ["photograph"]


def photograph(image: np.ndarray, observation: Observation, frame_number: int) -> np.ndarray:
    """Take a picture of a scene.

    Parameters
    ----------
    image : (y, x) float
        Relative brightness; below 0 for magnetograms only.
    observation : Observation
    frame_number : int

    Returns
    -------
    (y, x) float32
        DN, or relative brightness where the gain is about 1.
    """
    camera, frame = observation.stream("camera"), observation.stream("frame", frame_number)
    seeing = np.exp(0.12 * frame.normal())
    image = _blurred(image, observation, seeing)
    image = image * _illumination(image.shape, observation, camera)
    is_signed = float(image.min()) < -0.05
    photons = 1.0 if is_signed else np.sqrt(np.clip(image, 0.02, None))
    spread = observation.noise * (0.5 + 0.5 * photons) * max(min(float(image.std()) * 8, 1), 0.2)
    image = image + spread * frame.standard_normal(image.shape, np.float32)
    image = _camera_faults(image, camera, observation.difficulty.nuisance)
    image = _digitised(image, observation, camera, is_signed)
    return np.ascontiguousarray(image, np.float32)


def _blurred(image: np.ndarray, observation: Observation, seeing: float) -> np.ndarray:
    core = observation.blur_px * seeing
    if core > 0.25:
        image = gaussian_filter(image, core, mode="nearest", truncate=3)
    if observation.wing_share > 0.05:
        wide = gaussian_filter(image, observation.wing_px, mode="nearest", truncate=2.5)
        image = (1 - observation.wing_share) * image + observation.wing_share * wide
    return image


def _illumination(
    shape: tuple[int, int], observation: Observation, camera: np.random.Generator
) -> np.ndarray:
    y, x = ((np.arange(n) / n - 0.5) for n in shape)
    light = 1 + observation.slope[0] * y[:, None] + observation.slope[1] * x[None]
    middle = camera.uniform(-0.2, 0.2, 2)
    fall = (y[:, None] - middle[0]) ** 2 + (x[None] - middle[1]) ** 2
    light = light * (1 - observation.vignetting * fall)
    n_dust = int(camera.poisson(0.3 * observation.difficulty.nuisance))
    for _ in range(n_dust):
        place, width = camera.uniform(-0.5, 0.5, 2), camera.uniform(0.006, 0.015)
        away = (y[:, None] - place[0]) ** 2 + (x[None] - place[1]) ** 2
        light = light * (1 - camera.uniform(0.03, 0.2) * np.exp(-away / (2 * width**2)))
    return light.astype(np.float32)


def _camera_faults(image: np.ndarray, camera: np.random.Generator, nuisance: float) -> np.ndarray:
    """Darken columns or rows at an edge, give some pixels a gain of their own."""
    if camera.random() < 0.08:
        width, dark = int(camera.integers(1, 3)), camera.uniform(0.1, 0.8)
        image = image.copy()
        edge = (np.s_[:, :width], np.s_[:, -width:], np.s_[:width], np.s_[-width:])
        image[edge[int(camera.integers(4))]] *= dark
    if camera.random() < 0.06 * nuisance:
        image = image * (1 + camera.uniform(0.002, 0.015) * camera.normal(size=(1, image.shape[1])))
    if camera.random() < 0.05:
        rows, columns = (camera.integers(0, n, 3) for n in image.shape)
        image = image.copy()
        image[rows, columns] *= camera.uniform(0.3, 1.7, 3)
    return image


def _digitised(
    image: np.ndarray, observation: Observation, camera: np.random.Generator, is_signed: bool
) -> np.ndarray:
    """Saturate, apply gain and bias, round; one in six went through an 8-bit picture."""
    draw, low, high, gamma = camera.random(4)
    if draw < 0.16 and not is_signed:
        bottom, top = np.percentile(image, [1.5 * low, 100 - 0.8 * high])
        scaled = np.clip((image - bottom) / max(top - bottom, 1e-6), 0, 1)
        return np.round(255 * scaled ** (0.7 + 0.6 * gamma))
    if draw > 0.85 and not is_signed:
        image = np.minimum(image, np.percentile(image, 98.0 + 1.9 * high))
    image = observation.bias + observation.gain * image
    return np.round(image) if observation.gain > 200 and draw < 0.6 else image
