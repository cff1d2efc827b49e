"""What all commands of inversions share: blocks of rows that can be resumed, results, figures."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.results import ParameterMaps, write_parameter_maps
from tools.atomic_files import write_bytes, write_json
from tools.code_dependencies import fingerprint_of_code
from tools.fitting.flags import flag_shares
from tools.long_work.progress import Progress
from tools.long_work.resumable import resumable_folder

__all__ = ["cube_fingerprint", "invert_in_blocks", "summary_lines"]

logger = logging.getLogger(__name__)

_PARTS = ("values", "errors", "prior_share")


def invert_in_blocks(
    cube: SpectralCube,
    invert: Callable[[SpectralCube], ParameterMaps],
    folder: str | Path,
    *,
    options: Mapping[str, object],
    code: str,
    method: str,
    rows: int | None = None,
    draw: Callable[[ParameterMaps, Path], None] | None = None,
) -> ParameterMaps:
    """Invert a cube block by block into a folder, or what an earlier call has left to invert.

    The folder gets ``maps.fits``, ``summary.json``, what ``draw`` draws, and while it is worked on
    a file for each block. A folder of other options, data or code is rejected.

    Parameters
    ----------
    cube : SpectralCube
    invert : callable
        From some rows of the cube to their maps.
    folder : path
    options : mapping
        That decide the result, JSON types.
    code : str
        ``__file__`` of the command, whose code decides, too.
    method : str
        Of the header card METHOD.
    rows : int, optional
        Of a block; without, the whole map is inverted at once, as coupled problems are.
    draw : callable, optional
        Draws the maps into the folder.

    Raises
    ------
    ValueError
        If the folder holds something else, or another process works in it.
    """
    own = {
        **options,
        "data": cube_fingerprint(cube),
        "code": fingerprint_of_code([code]),
    }
    height = cube.shape[0]
    step = height if rows is None else max(rows, 1)
    with resumable_folder(
        folder, lock="inversion.lock", options_file="options.json", options=own, what="inversion"
    ) as place:
        progress, blocks = Progress(height, "rows"), []
        for first in range(0, height, step):
            part = slice(first, min(first + step, height))
            file = place / f"rows_{first:05d}.npz"
            if not file.exists():
                write_bytes(file, _packed(invert(cube.rows(part))))
            blocks.append(_unpacked(file))
            progress.done(part.stop)
        maps = _joined(blocks)
        header = {
            "INSTRUME": cube.instrument,
            "METHOD": method,
            "SYNTHET": cube.is_synthetic,
            **({"DATE-OBS": cube.time} if cube.time else {}),
            **cube.header,
        }
        if draw is not None:
            draw(maps, place)
        write_json(place / "summary.json", _summary(maps))
        write_parameter_maps(place / "maps.fits", maps, wcs=cube.wcs, header=header)
    return maps


def summary_lines(maps: ParameterMaps) -> list[str]:
    """Return what the terminal says of a result: flags, then the spread of each parameter."""
    lines = [f"  {100 * share:5.1f} % {text}" for text, share in flag_shares(maps.flags).items()]
    for name, values in maps.values.items():
        finite = values[np.isfinite(values)]
        unit = f" {maps.units[name]}" if maps.units[name] else ""
        if len(finite):
            low, middle, high = np.percentile(finite, (5, 50, 95))
            lines.append(f"  {name}: {middle:.4g}{unit} (5 to 95 %: {low:.4g} to {high:.4g})")
        else:
            lines.append(f"  {name}: no answer anywhere")
    return lines


def cube_fingerprint(cube: SpectralCube) -> str:
    """Return a hash of a cube's values, errors and wavelengths."""
    digest = hashlib.sha256()
    for array in (cube.values, cube.wavelength, cube.sigma, cube.saturated):
        if array is not None:
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _summary(maps: ParameterMaps) -> dict:
    medians = {name: _median(values) for name, values in maps.values.items()}
    return {
        "flags": flag_shares(maps.flags),
        "median": medians,
        "median_error": {name: _median(values) for name, values in maps.errors.items()},
        "median_chi2": _median(maps.chi2),
    }


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _packed(maps: ParameterMaps) -> bytes:
    arrays = {f"{part}/{k}": v for part in _PARTS for k, v in getattr(maps, part).items()}
    units = [f"{name}={unit}" for name, unit in maps.units.items()]
    buffer = io.BytesIO()
    np.savez(buffer, chi2=maps.chi2, flags=maps.flags, units=np.array(units), **arrays)
    return buffer.getvalue()


def _unpacked(file: Path) -> ParameterMaps:
    with np.load(file) as stored:
        parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
        for key in stored.files:
            part, _, name = key.partition("/")
            if part in parts:
                parts[part][name] = stored[key]
        units = dict(str(text).split("=", 1) for text in stored["units"])
        return ParameterMaps(
            parts["values"],
            units,
            parts["errors"],
            stored["chi2"],
            stored["flags"],
            parts["prior_share"],
        )


def _joined(blocks: list[ParameterMaps]) -> ParameterMaps:
    def along(part: str) -> dict[str, np.ndarray]:
        names = getattr(blocks[0], part)
        return {name: np.concatenate([getattr(b, part)[name] for b in blocks]) for name in names}

    return ParameterMaps(
        along("values"),
        blocks[0].units,
        along("errors"),
        np.concatenate([b.chi2 for b in blocks]),
        np.concatenate([b.flags for b in blocks]),
        along("prior_share"),
    )
