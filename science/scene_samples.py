"""Frames as samples of classifiers of solar scenes: a file, or a scene of the run's own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.solar_scenes.files.frames import Frame, network_input, read_frame
from dataset_models.splits import Split
from network_models.image_classification.archive.probability_map import TILE
from network_models.image_classification.classifier import SETTINGS_FILE, ClassifierSettings
from science.opening import OpenedNetwork
from science.own_grid import OwnGrid, resampling_matrix
from science.samples import OpenedSample

__all__ = ["is_scene_network", "scene_run", "scene_sample"]


def is_scene_network(opened: OpenedNetwork) -> bool:
    """Say whether a network names solar scenes from one channel of any size."""
    inputs = opened.network.inputs
    outputs = tuple(opened.network.outputs[0].shape)
    one = len(inputs) == 1 and tuple(inputs[0].shape) == (None, None, None, 1)
    return one and outputs == (None, len(OUTPUTS))


def scene_sample(opened: OpenedNetwork, image: str) -> OpenedSample:
    """Give a frame as the network takes it: resized as in the training.

    Parameters
    ----------
    opened : OpenedNetwork
        One for which ``is_scene_network`` holds.
    image : str
        A FITS or .npy file, or the number of a scene of the run's own data (0 is the first).

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such frame, or it can't be read.
    """
    if Path(image).exists():
        return _of_frame(opened, read_frame(image))
    if image == "first" or image.isdigit():
        return _of_run(opened, 0 if image == "first" else int(image))
    raise FileNotFoundError(
        f"no such file: {image}; give a frame (FITS, .npy), or the number of a scene of the run"
    )


def _of_frame(opened: OpenedNetwork, frame: Frame) -> OpenedSample:
    settings = opened.path.with_name(SETTINGS_FILE)
    tile = ClassifierSettings.from_json(settings).tile if settings.is_file() else TILE
    small = network_input(frame, tile)[..., 0]
    name = frame.path.name
    grids: tuple[OwnGrid, ...] = ()
    if small.shape != frame.image.shape:
        down, across = (
            resampling_matrix(n, m) for n, m in zip(frame.image.shape, small.shape, strict=True)
        )
        wcs = {} if frame.wcs is None else dict(frame.wcs.to_header())
        grids = (
            OwnGrid(name, (0,), wcs, frame.image.shape, lambda values: down.T @ values @ across),
        )
    channel = frame.instrument or "brightness"
    return OpenedSample(
        {opened.image: small[None, ..., None].astype(np.float32)},
        name,
        (channel,),
        "DN",
        _scaled_wcs(frame, small.shape),
        f"frame {name}",
        grids=grids,
    )


def _scaled_wcs(frame: Frame, shape: tuple[int, int]) -> dict:
    """Give the keywords of the smaller grid; FITS pixel 1 is the centre of the first pixel."""
    if frame.wcs is None:
        return {}
    scaled = frame.wcs.deepcopy()
    step = np.array(frame.image.shape[::-1]) / np.array(shape[::-1])
    scaled.wcs.crpix = (np.asarray(scaled.wcs.crpix) - 0.5) / step + 0.5
    if scaled.wcs.has_cd():
        scaled.wcs.cd = np.asarray(scaled.wcs.cd) * step
    else:
        scaled.wcs.cdelt = np.asarray(scaled.wcs.cdelt) * step
    keywords = dict(scaled.to_header())
    return keywords | ({"DATE-OBS": frame.time} if frame.time else {})


def scene_run(opened: OpenedNetwork) -> tuple[SolarData, Split]:
    """Give the scenes that a run was trained and tested on, and its sets.

    Raises
    ------
    ValueError
        If the network belongs to no run of scenes.
    """
    from network_models.image_classification.slic.train import SceneConfig
    from network_models.image_classification.training.scene_setup import open_scenes, scene_split

    options = opened.run.config["options"] if opened.run else {}
    if "scene_seed" not in options:
        raise ValueError("this network belongs to no run of scenes; give a frame as FITS or .npy")
    config = SceneConfig(**options)
    dataset = open_scenes(config)
    return dataset, scene_split(dataset, config.seed)


def _of_run(opened: OpenedNetwork, number: int) -> OpenedSample:
    """Give a scene of the data that the run was trained and tested on."""
    dataset, _ = scene_run(opened)
    if number >= len(dataset.table):
        raise ValueError(f"no scene {number}; the run has {len(dataset.table)}")
    image = dataset.read(np.array([number]))["image"]
    source = dataset.provenance()["source"]
    return OpenedSample({opened.image: image}, f"scene {number}", ("brightness",), "DN", {}, source)
