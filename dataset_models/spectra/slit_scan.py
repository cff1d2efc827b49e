"""Places the map that a slit makes step by step: solar coordinates in the suite's one form."""

from __future__ import annotations

import numpy as np

from dataset_models.fits_files.coordinates import celestial_coordinates

__all__ = ["scan_coordinates", "usual_step"]

_LEAST_STEP_ARCSEC = 0.02  # below it, the slit stands still: IRIS' smallest step is 0.35


def scan_coordinates(
    shape: tuple[int, int],
    *,
    centre: tuple[float, float],
    step: tuple[float, float],
    roll_deg: float = 0.0,
    reference: tuple[float, float] | None = None,
) -> dict:
    """Return the coordinates of a map whose columns are slit positions, {} if the slit stands.

    Parameters
    ----------
    shape : (y, x)
    centre : (float, float)
        Solar x and y of ``reference``, arcsec.
    step : (float, float)
        Between slit positions (negative: the scan goes east), and along the slit, arcsec.
    roll_deg : float
        CROTA2, as ``celestial_coordinates`` defines it.
    reference : (float, float), optional
        Pixel of ``centre``, x and y counted from 1; the middle of the map by default.

    Raises
    ------
    ValueError
        If a number is not finite or the step along the slit is 0.
    """
    if not np.isfinite([*centre, *step, roll_deg]).all():
        raise ValueError(
            f"expected a finite centre, step and roll, got {centre}, {step}, {roll_deg}; leave "
            "the coordinates out"
        )
    if abs(step[0]) < _LEAST_STEP_ARCSEC:
        return {}
    pixel = reference or ((shape[1] + 1) / 2, (shape[0] + 1) / 2)
    cards = {"CROTA2": roll_deg}
    for k, kind in enumerate(("HPLN-TAN", "HPLT-TAN")):
        cards |= {
            f"CTYPE{k + 1}": kind,
            f"CUNIT{k + 1}": "arcsec",
            f"CRPIX{k + 1}": float(pixel[k]),
            f"CRVAL{k + 1}": float(centre[k]),
            f"CDELT{k + 1}": float(step[k]),
        }
    return celestial_coordinates(cards, shape)


def usual_step(index: np.ndarray, place: np.ndarray) -> float:
    """Return the median step of slit positions, arcsec per position; 0 from fewer than two."""
    good = np.isfinite(place)
    index, place = np.asarray(index, float)[good], np.asarray(place, float)[good]
    if len(place) < 2:
        return 0.0
    return float(np.median(np.diff(place) / np.diff(index)))
