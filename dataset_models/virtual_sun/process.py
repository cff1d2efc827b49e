"""The virtual Sun's flare process: regions are born, age, turn over the limb and flare.

A region has a size, an age, a longitude that turns by one cell an hour, and a hidden state, quiet
or primed. In each hour the order is: flares, deaths, changes of state, births (quiet, age 0). A
flare of a primed region discharges it with a given probability. Regions are independent of one
another, so that one kernel, ``simulate_lives``, serves a long record and thousands of futures of
one state of the Sun.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from dataset_models.virtual_sun.parameters import HOURS_PER_YEAR, FlareProcessParameters, FlareRates
from tools.random_streams import random_stream

__all__ = [
    "Flares",
    "Futures",
    "Lives",
    "RegionStates",
    "VirtualRecord",
    "simulate_futures",
    "simulate_lives",
    "simulate_record",
]


@dataclass(frozen=True)
class RegionStates:
    """Regions alive at the start of some hours, each entry one region of one Sun.

    Attributes
    ----------
    sun : (region,) int
        Which hour (or which copy of the Sun) the region belongs to, counted from 0.
    identity : (region,) int
        The region's number in its record, -1 where it has none.
    size_class, age_h, longitude_cell : (region,) int
    is_primed : (region,) bool
    """

    sun: np.ndarray
    identity: np.ndarray
    size_class: np.ndarray
    age_h: np.ndarray
    longitude_cell: np.ndarray
    is_primed: np.ndarray

    def of_sun(self, index: int) -> RegionStates:
        """Give the regions of one Sun, renumbered as Sun 0."""
        chosen = self.sun == index
        fields = (self.identity, self.size_class, self.age_h, self.longitude_cell, self.is_primed)
        return RegionStates(np.zeros(chosen.sum(), int), *(field[chosen] for field in fields))


@dataclass(frozen=True)
class Flares:
    """Flares: region index, hour, minute of the peak in that hour (1..60), peak flux in W m-2."""

    region: np.ndarray
    hour: np.ndarray
    minute: np.ndarray
    peak_flux: np.ndarray

    def where(self, chosen: np.ndarray) -> Flares:
        """Give the chosen flares."""
        return Flares(
            self.region[chosen], self.hour[chosen], self.minute[chosen], self.peak_flux[chosen]
        )


@dataclass(frozen=True)
class Lives:
    """What became of a set of regions: their flares (hours counted from the start) and hours alive.

    ``path_region``, ``path_hour`` and ``path_is_primed`` list the state of each region at the
    start of each hour alive.
    """

    flares: Flares
    n_hours_alive: np.ndarray
    path_region: np.ndarray
    path_hour: np.ndarray
    path_is_primed: np.ndarray


def simulate_lives(
    rates: FlareRates,
    size_class: np.ndarray,
    is_primed: np.ndarray,
    *,
    age_h: np.ndarray,
    n_hours: np.ndarray,
    generator: np.random.Generator,
) -> Lives:
    """Draw the lives of independent regions, wherever they are on the Sun.

    Parameters
    ----------
    size_class, is_primed, age_h : (region,) arrays
        State at the start.
    n_hours : (region,) int
        How many hours each region is followed.

    Returns
    -------
    Lives
        ``flares.hour`` counts from each region's own start.
    """
    discharge = rates.parameters.discharge_probability
    n_hours_alive = np.zeros(len(size_class), int)
    found: list[tuple[np.ndarray, ...]] = []
    path: list[tuple[np.ndarray, np.ndarray]] = []
    region = np.flatnonzero(n_hours > 0)
    primed = np.asarray(is_primed, bool)[region]
    hour = 0
    while len(region):
        path.append((region, primed))
        n_hours_alive[region] += 1
        size, age = size_class[region], age_h[region] + hour
        flares = generator.random(len(region)) < rates.flare[age, size, primed.astype(int)]
        flaring = region[flares]
        found.append(
            (
                flaring,
                np.full(len(flaring), hour),
                generator.integers(1, 61, len(flaring)),
                rates.draw_peak_flux(size_class[flaring], generator),
            )
        )
        lives_on = generator.random(len(region)) >= rates.death[age, size]
        chance = generator.random(len(region))
        stays_primed = chance >= np.where(flares, discharge, rates.calming)
        primed = np.where(primed, stays_primed, chance < rates.priming[age, size])
        hour += 1
        lives_on &= n_hours[region] > hour
        region, primed = region[lives_on], primed[lives_on]
    columns = (
        [np.concatenate(column) for column in zip(*found, strict=True)]
        if found
        else [np.zeros(0, int)] * 4
    )
    path_hours = np.repeat(np.arange(len(path)), [len(regions) for regions, _ in path])
    return Lives(
        flares=Flares(*columns),
        n_hours_alive=n_hours_alive,
        path_region=np.concatenate([regions for regions, _ in path]) if path else np.zeros(0, int),
        path_hour=path_hours,
        path_is_primed=np.concatenate([states for _, states in path])
        if path
        else np.zeros(0, bool),
    )


@dataclass(frozen=True)
class VirtualRecord:
    """A long stretch of the virtual Sun, from hour 0 (start of a cycle) to ``n_hours``.

    Attributes
    ----------
    first_hour : (region,) int
        First hour in which a region exists (age 0); may be negative.
    size_class, birth_cell : (region,) int
        Size class and longitude cell in the first hour.
    latitude_deg : (region,) float
        Heliographic latitude; it has no part in the flare process.
    flares : Flares
        All flares of hours 0 .. n_hours - 1, those behind the limb included; sorted by time.
    path_hour, path_region, path_is_primed : arrays
        Each region's state at the start of each hour, sorted by hour.
    """

    rates: FlareRates
    seed: int
    n_hours: int
    first_hour: np.ndarray
    size_class: np.ndarray
    birth_cell: np.ndarray
    latitude_deg: np.ndarray
    flares: Flares
    path_hour: np.ndarray
    path_region: np.ndarray
    path_is_primed: np.ndarray

    def fingerprint(self) -> str:
        """Give a hash of all that happens in the record."""
        digest = hashlib.sha256(repr((self.seed, self.n_hours)).encode())
        columns = (self.first_hour, self.size_class, self.birth_cell, self.latitude_deg)
        columns += (self.flares.region, self.flares.hour, self.flares.minute)
        columns += (self.flares.peak_flux, self.path_hour, self.path_region, self.path_is_primed)
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]

    def longitude_cell(self, region: np.ndarray, hour: np.ndarray) -> np.ndarray:
        """Give the longitude cell of regions during hours."""
        turned = self.birth_cell[region] + hour - self.first_hour[region]
        return np.mod(turned, self.rates.parameters.longitude_cells)

    def visible_flares(self) -> Flares:
        """Give the flares in front of the limb: what a GOES event list would hold."""
        return self.flares.where(
            self.rates.is_in_front(self.longitude_cell(self.flares.region, self.flares.hour))
        )

    def states_at(self, hours: np.ndarray) -> RegionStates:
        """Give all regions, hidden ones included, alive at the start of each of ``hours``."""
        hours = np.asarray(hours)
        first = np.searchsorted(self.path_hour, hours, side="left")
        count = np.searchsorted(self.path_hour, hours, side="right") - first
        sun = np.repeat(np.arange(len(hours)), count)
        entry = np.repeat(first - np.r_[0, np.cumsum(count)[:-1]], count) + np.arange(count.sum())
        region = self.path_region[entry]
        return RegionStates(
            sun=sun,
            identity=region,
            size_class=self.size_class[region],
            age_h=hours[sun] - self.first_hour[region],
            longitude_cell=self.longitude_cell(region, hours[sun]),
            is_primed=self.path_is_primed[entry],
        )


def simulate_record(
    parameters: FlareProcessParameters, *, years: float, seed: int
) -> VirtualRecord:
    """Simulate the virtual Sun for some years from the start of a cycle.

    The Sun is warmed up for the largest age of a region before hour 0, so that no region is
    missing at the start.

    Raises
    ------
    ValueError
        If ``years`` is not positive.
    """
    if not years > 0:
        raise ValueError(f"the virtual Sun needs a positive number of years, got {years}")
    rates = FlareRates(parameters)
    n_hours = int(round(years * HOURS_PER_YEAR))
    generator = random_stream(seed, "virtual sun", "births")
    hours = np.arange(-parameters.maximum_age_h, n_hours)
    birth_hour = np.repeat(hours, generator.poisson(rates.births_per_hour(hours)))
    n_regions = len(birth_hour)
    size_class = generator.choice(parameters.n_size_classes, n_regions, p=rates.birth_share)
    birth_cell = generator.integers(parameters.longitude_cells, size=n_regions)
    first_hour = birth_hour + 1
    lives = simulate_lives(
        rates,
        size_class,
        np.zeros(n_regions, bool),
        age_h=np.zeros(n_regions, int),
        n_hours=np.maximum(n_hours - first_hour, 0),
        generator=random_stream(seed, "virtual sun", "lives"),
    )
    found = lives.flares
    hour = found.hour + first_hour[found.region]
    order = np.lexsort((found.minute, hour))
    order = order[hour[order] >= 0]
    path_hour = lives.path_hour + first_hour[lives.path_region]
    path_order = np.lexsort((lives.path_region, path_hour))
    path_order = path_order[path_hour[path_order] >= 0]
    return VirtualRecord(
        rates=rates,
        seed=seed,
        n_hours=n_hours,
        first_hour=first_hour,
        size_class=size_class,
        birth_cell=birth_cell,
        latitude_deg=_latitudes(
            parameters, birth_hour, random_stream(seed, "virtual sun", "latitudes")
        ),
        flares=Flares(
            found.region[order], hour[order], found.minute[order], found.peak_flux[order]
        ),
        path_hour=path_hour[path_order],
        path_region=lives.path_region[path_order],
        path_is_primed=lives.path_is_primed[path_order],
    )


@dataclass(frozen=True)
class Futures:
    """Many futures of one Sun.

    Attributes
    ----------
    flares : Flares
        All flares of all futures, in front of the limb or not; hours count from the start.
    is_visible : (flare,) bool
        Whether the flare is in front of the limb.
    future : (region,) int
        The future that each region of any future belongs to; ``flares.region`` points here.
    start, age_h, size_class, longitude_cell, n_hours_alive : (region,) int
        First hour, and age and place in it, and the hours that the region lives on.
    """

    flares: Flares
    is_visible: np.ndarray
    future: np.ndarray
    start: np.ndarray
    age_h: np.ndarray
    size_class: np.ndarray
    longitude_cell: np.ndarray
    n_hours_alive: np.ndarray


def simulate_futures(
    rates: FlareRates,
    states: RegionStates,
    *,
    hour: int,
    n_hours: int,
    n_futures: int,
    generator: np.random.Generator,
) -> Futures:
    """Draw many futures of one state of the Sun, births included.

    Parameters
    ----------
    states : RegionStates
        Regions of one Sun at the start of ``hour``.
    hour : int
        Hour since the start of a cycle; it sets the birth rate.
    n_hours : int
        Hours that each future lasts.
    """
    p, n_old = rates.parameters, len(states.sun)
    births = rates.births_per_hour(hour + np.arange(n_hours))
    births = generator.poisson(births, (n_futures, n_hours)).ravel()
    born_future, born_hour = np.divmod(np.repeat(np.arange(births.size), births), n_hours)
    n_born = len(born_hour)
    size_class = generator.choice(p.n_size_classes, n_born, p=rates.birth_share)
    cell = generator.integers(p.longitude_cells, size=n_born)
    future = np.r_[np.repeat(np.arange(n_futures), n_old), born_future]
    start = np.r_[np.zeros(n_futures * n_old, int), born_hour + 1]
    size_class = np.r_[np.tile(states.size_class, n_futures), size_class]
    cell = np.r_[np.tile(states.longitude_cell, n_futures), cell]
    age_h = np.r_[np.tile(states.age_h, n_futures), np.zeros(n_born, int)]
    lives = simulate_lives(
        rates,
        size_class,
        np.r_[np.tile(states.is_primed, n_futures), np.zeros(n_born, bool)],
        age_h=age_h,
        n_hours=n_hours - start,
        generator=generator,
    )
    found = lives.flares
    return Futures(
        flares=Flares(
            found.region, found.hour + start[found.region], found.minute, found.peak_flux
        ),
        is_visible=rates.is_in_front(cell[found.region] + found.hour),
        future=future,
        start=start,
        age_h=age_h,
        size_class=size_class,
        longitude_cell=cell,
        n_hours_alive=lives.n_hours_alive,
    )


def _latitudes(
    parameters: FlareProcessParameters, birth_hour: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw latitudes that drift towards the equator through each cycle (the butterfly diagram)."""
    phase = np.mod(birth_hour / (parameters.cycle_years * HOURS_PER_YEAR), 1)
    latitude_deg = np.clip(generator.normal(28 - 20 * phase, 5), 2, 45)
    return latitude_deg * generator.choice([-1, 1], len(birth_hour))
