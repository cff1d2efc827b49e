"""Reads a line that a tunable filter scanned: filtergrams at several offsets become a cube.

Made for level 0 of Hinode/SOT's narrow-band filter, whose WAVEOFF counts milliangstrom from the
line. Errors: sigma^2 = (DN - dark) / g + r^2 with the dark level 111 DN that the covered edge
columns of these frames show. g = 240 electrons/DN and r = 0.5 DN are no camera constants but what
was measured on nine frames of 2011-10-08: differences of neighbouring frames scatter between pixels
by 1.0 DN at 470 DN and 1.4 DN at 550 DN, after a lossy compression that took a part of the noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.fits_files.cards import HeaderCards, finite_number, header_cards
from dataset_models.fits_files.coordinates import celestial_coordinates
from dataset_models.fits_files.header_time import observation_time
from dataset_models.fits_files.opening import image_hdus, opened_hdus
from dataset_models.fits_files.values import pixel_values
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.spectral_cube import SpectralCube

__all__ = ["is_filtergram", "read_line_scan"]

# angstrom in air, NIST Atomic Spectra Database
_LINES = {"5576": 5576.09, "6302": 6302.494, "5896": 5895.924, "6563": 6562.79, "5172": 5172.684}
_DARK_DN = 111.0
_ELECTRONS_PER_DN = 240.0
_READOUT_DN = 0.5
_FULL_DN = 4095.0  # 12 bits
_DARK_EDGE = 0.5  # of the image's median: a covered column shows 111 DN against 550
_WIDEST_EDGE = 16  # columns
_FEWEST = 3


@dataclass(frozen=True)
class _Frame:
    name: str
    offset: float
    values: np.ndarray
    cards: HeaderCards
    time: np.datetime64
    remark: str


def is_filtergram(cards: HeaderCards) -> bool:
    """Return whether a header is one of an image at an offset from a line."""
    return "WAVEOFF" in cards and cards.get("NAXIS") == 2


def read_line_scan(
    paths: Sequence[str | Path], *, rest_wavelength: float | None = None
) -> SpectralCube:
    """Read filtergrams of one line, (y, x, 1, wavelength) in DN, ordered by WAVEOFF.

    Wavelengths are ``rest_wavelength`` + WAVEOFF / 1000. The filter's zero is uncertain (on the
    nine frames the quiet Sun's line lies at -25 to -40 mA): take velocities from the quiet mean.
    Dark columns at the edges, which the field stop covers in some frames, are NaN in all. Values
    are as stored, with the dark level; frames are 1.6 s apart and are not aligned.

    Parameters
    ----------
    paths : sequence of paths
        At least three, of different WAVEOFF.
    rest_wavelength : float, optional
        Angstrom; by the filter's name in WAVE by default.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    DataIntegrityError
        If fewer than three offsets are left, one is there twice, or the line is unknown.
    """
    files = [Path(path) for path in paths]
    frames, left_out = [], []
    for path in files:
        try:
            frames.append(_read_frame(path))
        except DataIntegrityError as error:
            left_out.append(str(error))
    kept = _of_one_kind(frames, left_out)
    offsets = np.array([frame.offset for frame in kept])
    if len(kept) < _FEWEST:
        raise DataIntegrityError(
            f"expected at least {_FEWEST} filtergrams of one line, got {len(kept)} that can be "
            f"used of {len(files)}{': ' + left_out[0] if left_out else ''}; give a whole line scan"
        )
    for k in np.flatnonzero(np.diff(offsets) == 0):
        raise DataIntegrityError(
            f"{kept[k + 1].name}: expected each WAVEOFF once, got {offsets[k]:g} also in "
            f"{kept[k].name}; give one line scan"
        )
    first = min(kept, key=lambda frame: frame.time)
    filter_name = str(first.cards.get("WAVE", "")).strip()
    rest = rest_wavelength or next((w for n, w in _LINES.items() if n in filter_name), None)
    if rest is None:
        raise DataIntegrityError(
            f"{first.name}: the line of the filter {filter_name!r} is unknown; give its wavelength "
            "in angstrom with rest_wavelength"
        )
    values = np.stack([frame.values for frame in kept], axis=-1)
    full = (values >= _FULL_DN).any(2)
    values[values >= _FULL_DN] = np.nan
    n_left, n_right = _dark_edges(values)
    notes = []
    if n_left or n_right:
        values[:, :n_left] = np.nan
        values[:, values.shape[1] - n_right :] = np.nan
        notes.append(f"{n_left} dark columns at the left and {n_right} at the right are missing")
    sigma = np.sqrt(np.maximum(values - _DARK_DN, 0) / _ELECTRONS_PER_DN + _READOUT_DN**2)
    try:
        wcs = celestial_coordinates(first.cards, values.shape[:2])
    except (KeyError, ValueError) as error:
        wcs = {}
        notes.append(f"the map has no coordinates: {error}")
    remarks = [frame.remark for frame in kept if frame.remark]
    if [frame.name for frame in sorted(kept, key=lambda f: f.time)] != [f.name for f in kept]:
        notes.append("frames were not taken in the order of their wavelengths")
    keys = ("EXPTIME", "CAMGAIN", "WAVE", "DATA_LEV", "NOAA_NUM")
    return SpectralCube(
        values[:, :, None],
        rest + offsets / 1000,
        sigma=sigma[:, :, None],
        saturated=full,
        unit="DN",
        instrument="Hinode/SOT-NB",
        line=filter_name.removeprefix("TF").strip(),
        time="" if np.isnat(first.time) else str(first.time),
        wcs=wcs,
        header={key: first.cards[key] for key in keys if key in first.cards} | {"DARK": _DARK_DN},
        summary=ReadingSummary(len(files), tuple(left_out), tuple(remarks), tuple(notes)),
    )


def _read_frame(path: Path) -> _Frame:
    with opened_hdus(path) as hdus:
        k = image_hdus(hdus, path.name)[0]
        cards = header_cards(hdus[k].header)
        shape = hdus[k].shape
        try:
            offset = finite_number(cards, "WAVEOFF")
        except (KeyError, ValueError):
            offset = np.nan
        if len(shape) != 2 or not np.isfinite(offset):
            raise DataIntegrityError(
                f"{path.name}: expected an image (y, x) with WAVEOFF in mA, got {shape} with "
                f"{cards.get('WAVEOFF', 'none')}; leave it out"
            )
        found = pixel_values(hdus[k], cards, path.name, shape=shape)
    try:
        time = observation_time(cards)
    except (KeyError, ValueError):
        time = np.datetime64("NaT")
    return _Frame(path.name, offset, found.data, cards, time, found.mended(path.name))


def _of_one_kind(frames: list[_Frame], left_out: list[str]) -> list[_Frame]:
    """Return the frames of the commonest filter and size, by WAVEOFF."""
    kinds = Counter((str(f.cards.get("WAVE", "")), f.values.shape) for f in frames)
    kept = []
    for frame in frames:
        kind = str(frame.cards.get("WAVE", "")), frame.values.shape
        usual = kinds.most_common(1)[0][0]
        if kind == usual:
            kept.append(frame)
        else:
            left_out.append(f"{frame.name}: expected {usual} as in most frames, got {kind}")
    return sorted(kept, key=lambda frame: frame.offset)


def _dark_edges(values: np.ndarray) -> tuple[int, int]:
    """Return how many columns at the left and at the right are covered in any frame."""
    columns = np.nanmedian(values, axis=0)  # (x, wavelength)
    is_dark = (columns < _DARK_EDGE * np.nanmedian(columns, axis=0)).any(1)
    counts = []
    for edge in (is_dark, is_dark[::-1]):
        run = int(np.argmin(edge)) if not edge.all() else len(edge)
        counts.append(run if run <= _WIDEST_EDGE else 0)
    return counts[0], counts[1]
