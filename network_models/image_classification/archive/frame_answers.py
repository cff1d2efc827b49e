"""One frame's way to its rows in the catalogue, its map and its chart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from dataset_models.solar_scenes.classes import NONE, OUTPUTS
from dataset_models.solar_scenes.files.frames import Frame
from network_models.image_classification.archive.catalogue import frame_row, region_row
from network_models.image_classification.archive.map_files import write_bar_chart, write_map
from network_models.image_classification.archive.probability_map import probability_map
from network_models.image_classification.archive.regions import find_regions
from network_models.image_classification.archive.traversal_plan import TraversalPlan
from network_models.image_classification.classifier import Classifier
from tools.abstention import given_one_of_the_classes

__all__ = ["FrameAnswers"]

_LEFT_OUT = (OUTPUTS.index("quiet"), OUTPUTS.index(NONE))


class FrameAnswers:
    """Turns a frame and what the network says of it into rows, and writes what belongs to it.

    Parameters
    ----------
    classifier : Classifier
    plan : TraversalPlan
        Settled.
    folder : Path
        Of the catalogue.
    """

    def __init__(self, classifier: Classifier, plan: TraversalPlan, folder: Path):
        self._classifier, self._plan, self._folder = classifier, plan, folder

    def keeps_image(self, shape: tuple[int, ...]) -> bool:
        """Return whether more than the small frame is needed."""
        return self._plan.searches(shape) or self._plan.map or self._plan.bar_chart

    def are_there(self, file: Path) -> bool:
        """Return whether all that belongs to a file beside its rows is written."""
        map_file, chart = self._outputs(file)
        return (not self._plan.map or map_file.is_file()) and (
            not self._plan.bar_chart or chart.is_file()
        )

    def rows(self, file: Path, frame: Frame, answer: np.ndarray, bad_share: float) -> list[dict]:
        """Return the rows of a frame: the whole frame's, then those of its regions.

        Parameters
        ----------
        frame : Frame
            Its pixels are not looked at where ``keeps_image`` says no.
        answer : (class,) float
            What the network says of the whole frame.
        bad_share : float
            Of its pixels.
        """
        plan = self._plan
        map_file, chart = self._outputs(file)
        named = {"file": str(file), "map_file": f"maps/{map_file.name}" if plan.map else ""}
        rows = [frame_row(self._classifier, frame, answer, bad_share, **named)]
        if plan.bar_chart:
            chart.parent.mkdir(exist_ok=True)
            write_bar_chart(chart, answer, frame, is_log=plan.log_axis)
        searches = plan.searches(frame.image.shape)
        if not (searches or plan.map):
            return rows
        grid = {"tile": plan.tile, "stride": plan.stride}
        found = probability_map(
            self._classifier.function, frame.image, map_bin=plan.map_bin, raw=True, **grid
        )
        regions = []
        if searches:
            threshold = plan.threshold
            regions = find_regions(
                found, frame.image.shape, plan.map_bin, left_out=_LEFT_OUT, threshold=threshold
            )
        for number, region in enumerate(regions, 1):
            rows.append(region_row(self._classifier, frame, region, number, **named))
        if plan.map:
            map_file.parent.mkdir(exist_ok=True)
            given = np.moveaxis(given_one_of_the_classes(np.moveaxis(found, 0, -1)), -1, 0)
            shown = np.concatenate([given, found[-1:]])
            write_map(map_file, shown, frame, self._classifier, regions, step=plan.map_bin, **grid)
        return rows

    def _outputs(self, file: Path) -> tuple[Path, Path]:
        """Return the files of a map and a chart; names of equal files in two folders differ."""
        place = hashlib.sha256(str(file.resolve()).encode(errors="surrogateescape")).hexdigest()
        name = file.name
        for ending in (".gz", ".fz", ".fits", ".fit", ".fts", ".npy"):
            name = name[: -len(ending)] if name.lower().endswith(ending) else name
        name = f"{name}_{place[:6]}"
        return self._folder / "maps" / f"{name}.fits", self._folder / "charts" / f"{name}.png"
