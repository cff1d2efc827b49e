"""The frozen parameters of the virtual Sun's flare process, and the probabilities they imply."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

__all__ = ["HOURS_PER_YEAR", "FlareProcessParameters", "FlareRates"]

HOURS_PER_YEAR = 8766  # 365.25 days


@dataclass(frozen=True)
class FlareProcessParameters:
    """Parameters of the flare process; docs/virtual_sun.md gives them with their reasons.

    Peak fluxes are GOES 1-8 A fluxes in W m-2 on the operational scale, that of the GOES event
    lists of 1996-2018. Rates are per hour and become probabilities through ``1 - exp(-rate)``.
    """

    n_size_classes: int = 16
    size_z_limit: float = 2.2
    size_sigma: float = 1.2
    cycle_years: float = 11.0
    cycle_sharpness: float = 1.5
    births_per_hour_minimum: float = 0.015
    births_per_hour_maximum: float = 0.12
    mean_lifetime_h: float = 120.0
    lifetime_size_exponent: float = 0.3
    maximum_age_h: int = 2400
    growth_h: float = 48.0
    decay_h: float = 160.0
    priming_per_hour: float = 0.003
    activity_size_exponent: float = 1.8
    calming_per_hour: float = 1 / 15
    discharge_probability: float = 0.45
    quiet_flares_per_hour: float = 0.0003
    primed_flares_per_hour: float = 0.25
    primed_size_exponent: float = 0.5
    peak_flux_index: float = 2.1
    smallest_peak_flux: float = 1e-6
    largest_peak_flux: float = 1e-4
    longitude_cells: int = 655

    def to_dict(self) -> dict:
        """Give all parameters by name, for a run's config.json."""
        return asdict(self)


class FlareRates:
    """Hourly probabilities of every region class, as tables over age.

    Attributes
    ----------
    size : (size_class,) float64
        Region size, dimensionless; 1 is the median region.
    birth_share : (size_class,) float64
        Probability that a new region has this size.
    activity : (age,) float64
        Envelope of a region's activity at each age in hours: linear growth, then exponential decay.
    priming : (age, size_class) float64
        Probability that a quiet region becomes primed in an hour.
    calming : float
        Probability that a primed region which does not flare becomes quiet in an hour.
    flare : (age, size_class, state) float64
        Probability of a flare in an hour; state 0 is quiet, 1 is primed. At most one flare per
        region and hour.
    death : (age, size_class) float64
        Probability that a region disappears at the end of an hour; 1 at the largest age.
    """

    def __init__(self, parameters: FlareProcessParameters):
        p = self.parameters = parameters
        z = np.linspace(-p.size_z_limit, p.size_z_limit, p.n_size_classes)
        weight = np.exp(-0.5 * z**2)
        self.birth_share = weight / weight.sum()
        self.size = np.exp(p.size_sigma * z)
        self.largest_peak_flux = np.maximum(
            p.largest_peak_flux * self.size, 1.01 * p.smallest_peak_flux
        )
        age_h = np.arange(p.maximum_age_h)
        self.activity = np.minimum((age_h + 1) / p.growth_h, 1) * np.exp(
            -np.maximum(age_h - p.growth_h, 0) / p.decay_h
        )
        activity = self.activity[:, None] * self.size**p.activity_size_exponent
        self.priming = -np.expm1(-p.priming_per_hour * activity)
        self.calming = float(-np.expm1(-p.calming_per_hour))
        quiet = -np.expm1(-p.quiet_flares_per_hour * activity)
        primed = -np.expm1(-p.primed_flares_per_hour * self.size**p.primed_size_exponent)
        self.flare = np.stack([quiet, np.broadcast_to(primed, quiet.shape)], axis=2)
        lifetime_h = p.mean_lifetime_h * self.size**p.lifetime_size_exponent
        self.death = np.broadcast_to(-np.expm1(-1 / lifetime_h), quiet.shape).copy()
        self.death[-1] = 1.0

    def exceedance(self, flux: np.ndarray) -> np.ndarray:
        """Give the probability that a peak flux is at least ``flux``: a truncated power law.

        ``S_c(F) = (min(F, F_c)^a - F_c^a) / (F_0^a - F_c^a)`` with ``a = 1 - alpha``, smallest
        peak flux ``F_0`` and largest ``F_c`` of size class c; 1 for ``F <= F_0``.

        Parameters
        ----------
        flux : (threshold,) array, W m-2

        Returns
        -------
        (threshold, size_class) float64
        """
        power = 1 - self.parameters.peak_flux_index
        smallest, largest = self.parameters.smallest_peak_flux, self.largest_peak_flux
        flux = np.maximum(np.atleast_1d(np.asarray(flux, float)), smallest)[:, None]
        return (np.minimum(flux, largest) ** power - largest**power) / (
            smallest**power - largest**power
        )

    def draw_peak_flux(self, size_class: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw a peak flux in W m-2 for each entry of ``size_class`` (inverts ``exceedance``)."""
        power = 1 - self.parameters.peak_flux_index
        smallest, largest = (
            self.parameters.smallest_peak_flux**power,
            self.largest_peak_flux[size_class] ** power,
        )
        return (largest + generator.random(len(size_class)) * (smallest - largest)) ** (1 / power)

    def births_per_hour(self, hour: np.ndarray) -> np.ndarray:
        """Give the expected births per hour on the whole Sun, at hours since a cycle's start."""
        p = self.parameters
        phase = np.mod(np.asarray(hour, float) / (p.cycle_years * HOURS_PER_YEAR), 1)
        rise = np.sin(np.pi * phase) ** p.cycle_sharpness
        return (
            p.births_per_hour_minimum
            + (p.births_per_hour_maximum - p.births_per_hour_minimum) * rise
        )

    def is_in_front(self, longitude_cell: np.ndarray) -> np.ndarray:
        """Say which longitude cells lie within 90 degrees of the central meridian."""
        return np.abs(self.longitude_deg(longitude_cell)) < 90

    def longitude_deg(self, longitude_cell: np.ndarray) -> np.ndarray:
        """Give the longitude from the central meridian in degrees, west positive."""
        n = self.parameters.longitude_cells
        return (np.mod(longitude_cell, n) - (n - 1) / 2) * (360 / n)
