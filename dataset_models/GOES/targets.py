"""Forecast targets: the largest 1-8 A flux in ``(t + delay, t + delay + catch]``."""

from __future__ import annotations

import numpy as np

from dataset_models.GOES.flare_record import FLARE_PEAKS, FlareRecord

__all__ = ["window_flux", "window_maximum", "window_peak"]


def window_flux(
    record: FlareRecord, times: np.ndarray, *, delay: np.timedelta64, catch: np.timedelta64
) -> np.ndarray:
    """Give the largest flux of each window, by the record's own kind of label.

    Parameters
    ----------
    times : (sample,) datetime64[s]
        Issue times t.
    delay, catch : timedelta64
        The window is ``(t + delay, t + delay + catch]``.

    Returns
    -------
    (sample,) float64, W m-2
        0 where no flare is listed in the window (labels from flare peaks only), NaN where the
        window is not defined: it reaches past the record or touches one of its gaps.

    Raises
    ------
    ValueError
        If delay is negative or catch is not positive.
    """
    _check_window(delay, catch)
    if record.label_kind == FLARE_PEAKS:
        flux = window_peak(record.peak_time, record.peak_flux, times, delay=delay, catch=catch)
    else:
        flux = window_maximum(record.flux_time, record.flux, times, delay=delay, catch=catch)
    undefined = (times + delay < record.start) | (times + delay + catch > record.end)
    for gap_start, gap_end in record.gaps:
        undefined |= (times + delay < gap_end) & (times + delay + catch > gap_start)
    return np.where(undefined, np.nan, flux)


def window_peak(
    peak_time: np.ndarray,
    peak_flux: np.ndarray,
    times: np.ndarray,
    *,
    delay: np.timedelta64,
    catch: np.timedelta64,
) -> np.ndarray:
    """Give the largest listed peak flux in each window, 0 where none is listed."""
    return np.nan_to_num(
        window_maximum(peak_time, peak_flux, times, delay=delay, catch=catch), nan=0.0
    )


def window_maximum(
    value_time: np.ndarray,
    value: np.ndarray,
    times: np.ndarray,
    *,
    delay: np.timedelta64,
    catch: np.timedelta64,
) -> np.ndarray:
    """Give the largest value whose time lies in each window, NaN where there is none.

    Parameters
    ----------
    value_time : (value,) datetime64, sorted
    value : (value,) float64
    """
    _check_window(delay, catch)
    first = np.searchsorted(value_time, times + delay, side="right")
    stop = np.searchsorted(value_time, times + delay + catch, side="right")
    out = np.full(len(times), np.nan)
    filled = stop > first
    if filled.any():
        edges = np.stack([first[filled], stop[filled]], axis=1).ravel()
        padded = np.append(value, -np.inf)  # reduceat needs every edge to be an index
        out[filled] = np.maximum.reduceat(padded, edges)[::2]
    return out


def _check_window(delay: np.timedelta64, catch: np.timedelta64) -> None:
    zero = np.timedelta64(0, "s")
    if delay < zero or catch <= zero:
        raise ValueError(
            f"expected a delay of 0 or more and a positive catch, got {delay} and {catch}"
        )
