"""A folder for TensorBoard's projector, without TensorFlow: features and t-SNE side by side."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector

from tools.atomic_files import write_bytes, write_text

__all__ = ["MOST_ROWS", "sprite_sheet", "write_projector"]

MOST_ROWS = 100_000  # that the page loads
_SHEET = 8192  # pixels a side, the page's limit


def sprite_sheet(thumbnails: np.ndarray) -> tuple[Image.Image, int]:
    """Put thumbnails on one sheet, row by row, as many columns as rows.

    Parameters
    ----------
    thumbnails : (sample, side, side, 3) uint8

    Returns
    -------
    The sheet, at most 8192 pixels a side, and the side of a thumbnail on it.
    """
    n, side = thumbnails.shape[:2]
    columns = math.ceil(math.sqrt(n))
    fits = min(side, _SHEET // columns)
    sheet = Image.new("RGB", (columns * fits, columns * fits))  # the page wants a square
    for k, pixels in enumerate(thumbnails):
        image = Image.fromarray(pixels)
        if fits != side:
            image = image.resize((fits, fits), Image.Resampling.LANCZOS)
        sheet.paste(image, (k % columns * fits, k // columns * fits))
    return sheet, fits


def write_projector(
    folder: str | Path,
    features: np.ndarray,
    places: np.ndarray,
    metadata: dict[str, list],
    thumbnails: np.ndarray | None,
    *,
    colour_by: str,
) -> None:
    """Write what the projector opens.

    Parameters
    ----------
    features : (sample, feature) float
    places : (sample, 2) float
        Of the t-SNE. A third column of zeros is added: with two, the page stays empty.
    metadata : dict of list
        At least two columns, or the page takes the header for a row.
    thumbnails : (sample, side, side, 3) uint8, optional
    colour_by : str
        Column that the bookmark colours by.

    Raises
    ------
    ValueError
        If there are too many rows or too few columns.
    """
    n = len(features)
    if n > MOST_ROWS:
        raise ValueError(f"the projector loads {MOST_ROWS} rows, not {n}: give --samples")
    if len(metadata) < 2:
        raise ValueError("the projector needs at least two columns of metadata")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    flat = np.column_stack([places, np.zeros(n)])
    for name, table in (("features", features), ("tsne", flat)):
        text = io.StringIO()
        np.savetxt(text, table, delimiter="\t", fmt="%.5g")
        write_text(folder / f"{name}.tsv", text.getvalue())
    rows = zip(*metadata.values(), strict=True)
    lines = ["\t".join(metadata), *("\t".join(map(_cell, row)) for row in rows)]
    write_text(folder / "metadata.tsv", "\n".join(lines) + "\n")
    side = None
    if thumbnails is not None:
        sheet, side = sprite_sheet(thumbnails)
        buffer = io.BytesIO()
        sheet.save(buffer, format="PNG")
        write_bytes(folder / "sprite.png", buffer.getvalue())
    state = _bookmark(places, features.shape[1], colour_by)
    write_text(folder / "bookmarks.txt", json.dumps([state]))
    config = projector.ProjectorConfig()
    for name in ("features", "tsne"):
        entry = config.embeddings.add()
        entry.tensor_name, entry.tensor_path = name, f"{name}.tsv"
        entry.metadata_path = "metadata.tsv"
        if name == "features":
            entry.bookmarks_path = "bookmarks.txt"
        if side is not None:
            entry.sprite.image_path = "sprite.png"
            entry.sprite.single_image_dim.extend([side, side])
    write_text(folder / "projector_config.pbtxt", text_format.MessageToString(config))


def _cell(value: object) -> str:
    return str(value).replace("\t", " ").replace("\n", " ")


def _bookmark(places: np.ndarray, width: int, colour_by: str) -> dict:
    """Give the page's state with the t-SNE laid on the features; it wants every one of these."""
    centred = places - places.mean(axis=0)
    centred = centred / max(float(np.abs(centred).max()), 1e-12)
    sides = ("XLeft", "XRight", "YUp", "YDown")
    pca = {"pca-0": 0.0, "pca-1": 0.0, "pca-2": 0.0}
    return {
        "label": "t-SNE, computed before",
        "isSelected": False,
        "selectedProjection": "tsne",
        "tSNEIteration": 750,
        "tSNEPerplexity": 30,
        "tSNELearningRate": 10,
        "tSNEis3d": False,
        "pcaComponentDimensions": [0, 1, 2],
        "umapIs3d": True,
        "umapNeighbors": 15,
        "umapMinDist": 0.1,
        "dataSetDimensions": [len(places), width],
        "customSelectedSearchByMetadataOption": colour_by,
        **{f"custom{side}Text": "" for side in sides},
        **{f"custom{side}Regex": False for side in sides},
        "selectedPoints": [],
        "shuffledDataIndices": list(range(len(places))),
        "projections": [{"tsne-0": float(x), "tsne-1": float(y), **pca} for x, y in centred],
        "selectedColorOptionName": colour_by,
        "forceCategoricalColoring": True,
        "selectedLabelOption": colour_by,
        "cameraDef": {
            "orthographic": True,
            "position": [0, 0, 10],
            "target": [0, 0, 0],
            "zoom": 1.2,
        },
    }
