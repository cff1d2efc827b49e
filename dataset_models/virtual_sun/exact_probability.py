"""The exact probability of every virtual label: the best possible forecast, in closed form.

A label says whether a flare with peak flux at least F, in front of the limb, peaks in ``(t +
delay, t + delay + catch]``. For one region let ``q_h`` and ``m_h`` be the probabilities that it is
alive and quiet, or alive and primed, after h hours without such a flare. With e the flare
probability, S(F) the share of flares at least F, v = 1 in front of the limb within the window and
0 elsewhere, d the death probability, r priming, k calming and D discharge, an hour changes them by

    quiet without event     Q = q (1 - e0 v S)
    primed, no flare        A = m (1 - e1)
    primed, smaller flare   B = m e1 (1 - v S)
    dead                    x' = x + d (Q + A + B)
    q' = (1 - d) [Q (1 - r) + A k + B D]
    m' = (1 - d) [Q r + A (1 - k) + B (1 - D)]

and ``u = q + m + x`` after the window is the probability of no event. Regions are independent and
births are Poisson with rate beta, uniform in longitude, so that for the whole Sun

    P(no event) = prod_regions u * exp(- sum_(j = 1 .. H-1) beta_(t+j-1) G_j)
    G_j = sum_c w_c mean_longitude [1 - u(region of age 0 from hour t + j to the end)]

where H = delay + catch and w_c is the share of births of size class c. Nothing is approximated:
the thinning of a marked Poisson process is exact.
"""

from __future__ import annotations

import numpy as np

from dataset_models.virtual_sun.parameters import FlareRates
from dataset_models.virtual_sun.process import RegionStates

__all__ = ["exact_probabilities"]

_REGIONS_AT_ONCE = 20_000  # bounds memory at about 30 MB per threshold


def exact_probabilities(
    rates: FlareRates,
    states: RegionStates,
    hours: np.ndarray,
    *,
    thresholds: np.ndarray,
    delay_h: int,
    catch_h: int,
) -> np.ndarray:
    """Give the exact probability that a visible flare of the threshold peaks in the window.

    Parameters
    ----------
    states : RegionStates
        All regions, hidden ones included, at the start of each of ``hours``
        (``VirtualRecord.states_at``).
    hours : (time,) int
        Hours since the start of a cycle.
    thresholds : (threshold,) float, W m-2
    delay_h, catch_h : int
        The window is ``(t + delay, t + delay + catch]``.

    Returns
    -------
    (time, threshold) float64

    Raises
    ------
    ValueError
        If the window is not in whole hours, or empty.
    """
    if delay_h != int(delay_h) or catch_h != int(catch_h) or delay_h < 0 or catch_h < 1:
        raise ValueError(
            "the exact probability is known for whole hours with delay >= 0 and catch >= 1, "
            f"got delay {delay_h} h and catch {catch_h} h"
        )
    hours = np.asarray(hours)
    thresholds = np.atleast_1d(np.asarray(thresholds, float))
    window = np.arange(delay_h + catch_h) >= delay_h
    log_no_event = np.zeros((len(thresholds), len(hours)))
    for start in range(0, len(states.sun), _REGIONS_AT_ONCE):
        part = slice(start, start + _REGIONS_AT_ONCE)
        no_event = _no_event(
            rates,
            states.size_class[part],
            states.is_primed[part],
            age_h=states.age_h[part],
            longitude_cell=states.longitude_cell[part],
            thresholds=thresholds,
            window=window,
        )
        for row, values in zip(log_no_event, np.log(np.minimum(no_event, 1.0)), strict=True):
            row += np.bincount(states.sun[part], weights=values, minlength=len(hours))
    born_event = _new_region_event(rates, thresholds, window)
    for j in range(1, len(window)):
        log_no_event -= rates.births_per_hour(hours + j - 1) * born_event[j, :, None]
    return -np.expm1(log_no_event).T


def _no_event(
    rates: FlareRates,
    size_class: np.ndarray,
    is_primed: np.ndarray,
    *,
    age_h: np.ndarray,
    longitude_cell: np.ndarray,
    thresholds: np.ndarray,
    window: np.ndarray,
) -> np.ndarray:
    """Follow regions through the hours of ``window``; give P(no event), (threshold, region)."""
    share = rates.exceedance(thresholds)[:, size_class]
    quiet = np.where(is_primed, 0.0, 1.0) * np.ones((len(thresholds), 1))
    primed, dead = 1.0 - quiet, np.zeros_like(quiet)
    discharge, calming = rates.parameters.discharge_probability, rates.calming
    for j, inside in enumerate(window):
        age = np.minimum(age_h + j, rates.parameters.maximum_age_h - 1)
        flare_quiet, flare_primed = rates.flare[age, size_class].T
        counts = share * (rates.is_in_front(longitude_cell + j) if inside else 0.0)
        death, priming = rates.death[age, size_class], rates.priming[age, size_class]
        quiet_on = quiet * (1 - flare_quiet * counts)
        primed_on, flared_on = primed * (1 - flare_primed), primed * flare_primed * (1 - counts)
        dead = dead + death * (quiet_on + primed_on + flared_on)
        quiet = (1 - death) * (
            quiet_on * (1 - priming) + primed_on * calming + flared_on * discharge
        )
        primed = (1 - death) * (
            quiet_on * priming + primed_on * (1 - calming) + flared_on * (1 - discharge)
        )
    return quiet + primed + dead


def _new_region_event(rates: FlareRates, thresholds: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Give the chance of an event for a region born at the end of hour j - 1, (j, threshold).

    The region first flares in hour j; entry 0 is not used (births before the span are in the
    state).
    """
    p = rates.parameters
    cells = np.tile(np.arange(p.longitude_cells), p.n_size_classes)
    size_class = np.repeat(np.arange(p.n_size_classes), p.longitude_cells)
    chance = np.zeros((len(window), len(thresholds)))
    for j in range(1, len(window)):
        no_event = _no_event(
            rates,
            size_class,
            np.zeros(len(cells), bool),
            age_h=np.zeros(len(cells), int),
            longitude_cell=cells,
            thresholds=thresholds,
            window=window[j:],
        )
        by_class = (
            (1 - no_event)
            .reshape(len(thresholds), p.n_size_classes, p.longitude_cells)
            .mean(axis=2)
        )
        chance[j] = by_class @ rates.birth_share
    return chance
