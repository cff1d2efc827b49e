"""An embedding as one page: every point shows its thumbnail and facts when it is pointed at.

No JavaScript and no outside links; the thumbnails lie on one sheet inside the page.
"""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import jinja2
import numpy as np

from science.embedding.projector import sprite_sheet
from tools.atomic_files import write_text
from tools.plotting.embedding import class_colours

__all__ = ["write_page"]

_SIDE = 40  # pixels of a thumbnail


def write_page(
    path: str | Path,
    places: np.ndarray,
    metadata: dict[str, list],
    thumbnails: np.ndarray | None,
    *,
    title: str,
    legend: str,
) -> None:
    """Write the page in one step.

    Parameters
    ----------
    places : (sample, 2) float
    metadata : dict of list
        ``class`` chooses the colour; all is shown.
    thumbnails : (sample, side, side, 3) uint8, optional
    legend : str
        What the classes are.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    unit = (places - low) / np.maximum(high - low, 1e-12)
    sheet, side = None, _SIDE
    if thumbnails is not None:
        image, side = sprite_sheet(thumbnails)
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        sheet = base64.b64encode(buffer.getvalue()).decode()
    columns = math.ceil(math.sqrt(len(places)))
    colours = class_colours(metadata["class"])
    kinds = {name: f"k{k}" for k, name in enumerate(colours)}
    points = []
    for k, (x, y) in enumerate(unit):
        points.append(
            {
                "kind": kinds[metadata["class"][k]],
                "x": round(15 + 870 * float(x)),
                "y": round(685 - 670 * float(y)),
                "left": k % columns * side,
                "top": k // columns * side,
                "text": "\n".join(f"{name}: {values[k]}" for name, values in metadata.items()),
            }
        )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True
    )
    page = environment.get_template("page.html").render(
        title=title, legend=legend, points=points, sheet=sheet, side=side, colours=colours
    )
    write_text(path, page)
