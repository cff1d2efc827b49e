"""The virtual Sun's X-ray light curve: background and flares with rise and decay, once a minute.

Labels taken from this curve count background and decay tails; the best possible forecast of them is
simulated (``simulated_exceedances``), never the closed form, which is for flare peaks.
"""

from __future__ import annotations

import logging

import numpy as np

from dataset_models.GOES.flare_finder import record_of_minutes
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.virtual_sun.parameters import FlareRates
from dataset_models.virtual_sun.process import VirtualRecord, simulate_futures
from dataset_models.virtual_sun.record import VIRTUAL_START
from tools.physics.flare_class import OPERATIONAL
from tools.random_streams import random_stream

logger = logging.getLogger(__name__)

__all__ = ["flare_profile", "simulated_exceedances", "virtual_flux", "virtual_flux_record"]

# declared choices of this model, on the operational scale
QUIET_SUN_FLUX = 3e-8  # W m-2
REGION_FLUX = 6e-8  # W m-2, of a region of size 1 at full activity
RISE_MINUTES = 4.0  # Gaussian rise
DECAY_MINUTES = 12.0  # e-folding time of a C1 flare
DECAY_EXPONENT = 0.3  # large flares last longer
_LIMB_RAMP = 0.1  # cosine of the longitude over which a region comes into full view
_TAIL = 8.0  # decay times after which a flare is forgotten


def virtual_flux(virtual: VirtualRecord, first_hour: int, n_hours: int) -> np.ndarray:
    """Give the 1-8 A flux at the end of each minute, (60 n_hours,) float64, W m-2."""
    hours = first_hour + np.arange(n_hours)
    states = virtual.states_at(hours)
    background = _background(
        virtual.rates,
        states.sun,
        states.size_class,
        age_h=states.age_h,
        cell=states.longitude_cell,
        n_rows=n_hours,
    )
    flares = virtual.visible_flares()
    minute = (flares.hour - first_hour) * 60 + flares.minute
    out = np.repeat(background, 60)[None]
    _add_flares(out, np.zeros(len(minute), int), minute, flares.peak_flux)
    return out[0]


def virtual_flux_record(virtual: VirtualRecord) -> FlareRecord:
    """Give the virtual light curve as a record, its flares found as in real light curves."""
    flux = virtual_flux(virtual, 0, virtual.n_hours)
    minute = VIRTUAL_START + 60 * np.arange(len(flux)).astype("timedelta64[s]")
    return record_of_minutes(
        minute,
        flux,
        class_scale=OPERATIONAL,
        source=f"virtual Sun (synthetic) light curve, seed {virtual.seed}",
        satellites=("virtual",),
    )


def simulated_exceedances(
    virtual: VirtualRecord,
    hours: np.ndarray,
    *,
    fluxes: np.ndarray,
    delay_h: int,
    catch_h: int,
    n_futures: int,
    seed: int,
) -> np.ndarray:
    """Give the simulated probability that the flux reaches each level in the window.

    Parameters
    ----------
    hours : (time,) int
        Issue hours.
    fluxes : (level,) float, W m-2
    n_futures : int
        Futures drawn for each issue hour; the standard error is at most ``0.5 / sqrt(n_futures)``.

    Returns
    -------
    (time, level) float64
    """
    fluxes, n_hours = np.asarray(fluxes, float), delay_h + catch_h
    out = np.empty((len(hours), len(fluxes)))
    states, past = virtual.states_at(hours), virtual.visible_flares()
    logger.info("Simulating the limit: %d futures for each of %d windows", n_futures, len(hours))
    for row, hour in enumerate(hours):
        if row and row % max(len(hours) // 10, 1) == 0:
            logger.info("  %d of %d windows", row, len(hours))
        generator = random_stream(seed, "simulated limit", int(hour))
        futures = simulate_futures(
            virtual.rates,
            states.of_sun(row),
            hour=int(hour),
            n_hours=n_hours,
            n_futures=n_futures,
            generator=generator,
        )
        flux = np.repeat(_futures_background(virtual.rates, futures, n_futures, n_hours), 60, 1)
        flares = futures.flares.where(futures.is_visible)
        minute = flares.hour * 60 + flares.minute
        _add_flares(flux, futures.future[flares.region], minute, flares.peak_flux)
        flux += _tails(past, int(hour), n_hours * 60)
        top = flux[:, 60 * delay_h :].max(axis=1)
        out[row] = (top[:, None] >= fluxes).mean(axis=0)
    return out


def _futures_background(rates: FlareRates, futures, n_futures: int, n_hours: int) -> np.ndarray:
    """Give the background of each future and hour, (future, hour)."""
    region = np.repeat(np.arange(len(futures.future)), futures.n_hours_alive)
    first = np.cumsum(futures.n_hours_alive) - futures.n_hours_alive
    lived = np.arange(len(region)) - np.repeat(first, futures.n_hours_alive)
    return _background(
        rates,
        futures.future[region] * n_hours + futures.start[region] + lived,
        futures.size_class[region],
        age_h=futures.age_h[region] + lived,
        cell=futures.longitude_cell[region] + lived,
        n_rows=n_futures * n_hours,
    ).reshape(n_futures, n_hours)


def _background(
    rates: FlareRates,
    row: np.ndarray,
    size_class: np.ndarray,
    *,
    age_h: np.ndarray,
    cell: np.ndarray,
    n_rows: int,
) -> np.ndarray:
    """Add up quiet Sun and visible regions, (row,) W m-2."""
    view = np.clip(np.cos(np.radians(rates.longitude_deg(cell))) / _LIMB_RAMP, 0, 1)
    age = np.minimum(age_h, rates.parameters.maximum_age_h - 1)
    flux = REGION_FLUX * rates.size[size_class] * rates.activity[age] * view
    return QUIET_SUN_FLUX + np.bincount(row, flux, minlength=n_rows)


def _add_flares(flux: np.ndarray, row: np.ndarray, minute: np.ndarray, peak: np.ndarray) -> None:
    """Add flares to (row, minute) in place; entry j is the flux at the end of minute j + 1."""
    before, after = int(3 * RISE_MINUTES), np.ceil(_TAIL * _decay_minutes(peak)).astype(int)
    length = before + 1 + after
    flare = np.repeat(np.arange(len(row)), length)
    offset = np.arange(len(flare)) - np.repeat(np.cumsum(length) - length, length) - before
    position = minute[flare] - 1 + offset
    inside = (position >= 0) & (position < flux.shape[1])
    flare, offset, position = flare[inside], offset[inside], position[inside]
    np.add.at(flux, (row[flare], position), peak[flare] * flare_profile(offset, peak[flare]))


def _tails(flares, hour: int, n_minutes: int) -> np.ndarray:
    """Give what flares before ``hour`` still add to the minutes after it, (minute,)."""
    recent = flares.where((flares.hour < hour) & (flares.hour >= hour - 24))
    out = np.zeros((1, n_minutes))
    minute = (recent.hour - hour) * 60 + recent.minute
    _add_flares(out, np.zeros(len(minute), int), minute, recent.peak_flux)
    return out[0]


def _decay_minutes(peak: np.ndarray) -> np.ndarray:
    return DECAY_MINUTES * (peak / 1e-6) ** DECAY_EXPONENT


def flare_profile(offset: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Give a flare's share of its peak flux ``offset`` minutes after the peak."""
    rise = np.exp(-((np.minimum(offset, 0) / RISE_MINUTES) ** 2))
    return rise * np.exp(-np.maximum(offset, 0) / _decay_minutes(peak))
