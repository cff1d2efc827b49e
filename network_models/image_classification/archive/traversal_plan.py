"""What is done with each frame of an archive; a folder's catalogue is always of one plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from network_models.image_classification.archive.tile_blending import default_bin
from tools.options import option

__all__ = ["LOCK_FILE", "TraversalPlan", "identity_of_catalogue"]

LOCK_FILE = "catalogue.lock"
_LARGE = 8  # tiles along the shorter side from which on a frame is searched for regions by itself


@dataclass(frozen=True)
class TraversalPlan:
    """What is done with each frame."""

    tile: int | None = option(None, "pixels along a side of a tile; by default the network's own")
    stride: int | None = option(None, "pixels from tile to tile; by default half a tile")
    map_bin: int | None = option(
        None, "pixels along a side of a pixel of the map; by default a quarter of the stride"
    )
    whole: bool = option(False, "no regions: one row for each frame")
    tiles: bool = option(
        False, f"look for regions in every frame, not only in those of {_LARGE} tiles and more"
    )
    threshold: float = option(0.5, "smallest probability of a region's class")
    map: bool = option(False, "write the probability map of every frame, as FITS and PNG")
    bar_chart: bool = option(False, "draw the probabilities of every whole frame")
    log_axis: bool = option(True, "logarithmic axis for the bars")

    def __post_init__(self):
        if self.whole and self.tiles:
            raise ValueError("--whole and --tiles exclude one another; give one of them")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"--threshold is a probability from 0 to 1, got {self.threshold}")
        for name in ("tile", "stride", "map_bin"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more, got {value}")

    def settled(self, own_tile: int) -> TraversalPlan:
        """Return the plan with the values that its defaults stand for.

        Raises
        ------
        ValueError
            If tiles would leave gaps, or the map be coarser than the stride.
        """
        tile = self.tile or own_tile
        stride = self.stride or max(tile // 2, 1)
        step = self.map_bin or default_bin(stride)
        if stride > tile or step > stride:
            raise ValueError(
                f"expected --map-bin <= --stride <= --tile, got {step}, {stride} and {tile}"
            )
        return dataclasses.replace(self, tile=tile, stride=stride, map_bin=step)

    def searches(self, shape: tuple[int, ...]) -> bool:
        """Return whether a frame (y, x) is searched for regions."""
        is_large = min(shape) >= _LARGE * self.tile
        return not self.whole and (self.tiles or is_large)


def identity_of_catalogue(identity: str, plan: TraversalPlan, inputs: Sequence[str]) -> dict:
    """Return what decides a catalogue, JSON types.

    Parameters
    ----------
    identity : str
        Of the classifier.
    plan : TraversalPlan
    inputs : sequence of str
        Files and folders, as they were given.
    """
    return {
        "model": identity,
        "inputs": [str(Path(name).resolve()) for name in inputs],
        **dataclasses.asdict(plan),
    }
