"""Samples of classifiers of scenes: frames in files, or scenes of a run's own data by number."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_models.own_grid import OwnGrid, resampling_matrix
from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import OUTPUTS
from dataset_models.solar_scenes.files.frames import Frame, network_input, read_frame
from network_models.image_classification.archive.probability_map import TILE
from network_models.image_classification.classifier import SETTINGS_FILE, ClassifierSettings
from network_models.training.data import ProblemData
from network_models.training.sample import Explained, Sample
from network_models.training.samples import SampleSource

if TYPE_CHECKING:
    import keras


__all__ = ["SceneSamples"]


class SceneSamples(SampleSource):
    """Frames as the network takes them: of one channel, resized as in the training."""

    def recognises(self, network: keras.Model) -> bool:
        """Whether a network names solar scenes from one channel of any size."""
        inputs, outputs = network.inputs, tuple(network.outputs[0].shape)
        one = len(inputs) == 1 and tuple(inputs[0].shape) == (None, None, None, 1)
        return one and outputs == (None, len(OUTPUTS))

    def row_of(self, dataset: SolarData, name: str) -> int:
        """Return the row of a scene that is named by its number."""
        if name != "first" and not name.isdigit():
            raise FileNotFoundError(
                f"no such file: {name}; give a frame (FITS, .npy), or the number of a scene of the "
                "run"
            )
        if name != "first" and int(name) >= len(dataset.table):
            raise ValueError(f"no scene {name}; the run has {len(dataset.table)}")
        return 0 if name == "first" else int(name)

    def label_of(self, dataset: SolarData, row: int) -> str:
        """Return the scene's number."""
        return f"scene {row}"

    def of_row(self, opened: Explained, data: ProblemData, row: int) -> Sample:
        """Return a scene of the data that the run was trained and tested on."""
        image = data.dataset.read(np.array([row]))["image"]
        source = data.dataset.provenance()["source"]
        label = self.label_of(data.dataset, row)
        return Sample({opened.image: image}, label, ("brightness",), "DN", {}, source)

    def of_files(
        self,
        opened: Explained,
        files: Sequence[str],
        stack: ExitStack,
        *,
        time: str = "",
        flares: str = "",
    ) -> Sample:
        """Return one frame, a FITS or .npy file."""
        if len(files) != 1 or time:
            raise ValueError(f"expected one frame, got {len(files)}: {', '.join(files)} {time}")
        return _of_frame(opened, read_frame(files[0]))


def _of_frame(opened: Explained, frame: Frame) -> Sample:
    settings = opened.path.with_name(SETTINGS_FILE)
    tile = ClassifierSettings.from_json(settings).tile if settings.is_file() else TILE
    small = network_input(frame, tile)[..., 0]
    name = Path(frame.path).name
    grids: tuple[OwnGrid, ...] = ()
    if small.shape != frame.image.shape:
        down, across = (
            resampling_matrix(n, m) for n, m in zip(frame.image.shape, small.shape, strict=True)
        )
        wcs = {} if frame.wcs is None else dict(frame.wcs.to_header())
        grids = (
            OwnGrid(name, (0,), wcs, frame.image.shape, lambda values: down.T @ values @ across),
        )
    return Sample(
        {opened.image: small[None, ..., None].astype(np.float32)},
        name,
        (frame.instrument or "brightness",),
        "DN",
        _scaled_wcs(frame, small.shape),
        f"frame {name}",
        grids=grids,
    )


def _scaled_wcs(frame: Frame, shape: tuple[int, int]) -> dict:
    """Return the keywords of the smaller grid; FITS pixel 1 is the centre of the first pixel."""
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
