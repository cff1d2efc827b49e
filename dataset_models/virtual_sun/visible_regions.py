"""What stands on and above the virtual Sun at an hour: active regions, simple regions, flares.

Everything is given as blobs of plasma in space, in solar radii; x to the west, y to the north, z
towards the Earth.

*Simple* regions are bright but harmless: they have loops and a cool core and never flare. There
are such regions on the real Sun, and they keep the disc's total brightness from giving the forecast
away.
"""

from __future__ import annotations

import numpy as np

from dataset_models.virtual_sun.flux_series import flare_profile
from dataset_models.virtual_sun.parameters import HOURS_PER_YEAR
from dataset_models.virtual_sun.plasma import flare_emission_measure
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.region_look import (
    CORE_EM,
    DIFFUSE_EM,
    FAN_EM,
    LAYERS,
    PLAGE_304,
    PLAGE_1600,
    PRECURSOR_EM,
    REGION_RADIUS,
    RegionLook,
    region_look,
)
from tools.physics.flare_class import SCALING_FACTORS
from tools.random_streams import random_stream

__all__ = ["VisibleRegions"]

_FARTHEST_DEG = 115.0  # loops of regions farther behind the limb can't be seen
_FLARE_MEMORY_H = 14
_ARCADE_HOURS = 3.0
# the core is hot where log10 of the drive towards flaring, activity times size^1.8, exceeds this
_HOT_DRIVE_DEX, _HOT_DRIVE_WIDTH_DEX = 0.8, 0.3
_SIMPLE_PER_BIRTH = 0.6  # births of simple regions per birth of an active one
_SIMPLE_LIFETIME_H = 300.0
_SIMPLE_HOT_SHARE = 0.02
_LOOKS_KEPT = 500


class VisibleRegions:
    """Blobs of a virtual record's regions and flares.

    Parameters
    ----------
    record : VirtualRecord
    """

    def __init__(self, record: VirtualRecord):
        self.record = record
        self._looks: dict[tuple[str, int], RegionLook] = {}
        self._simple = _simple_regions(record)

    def blobs(self, hour: int) -> list[tuple]:
        """Give groups of blobs at an hour, each ``(x, y, z, width, amount, layer)``.

        Amounts are volume emission measures (cm-3); those of the proxies DN s-1 pix-1 times solar
        radii squared.
        """
        return [blob for _, blob in self._named(hour)]

    def regions(self, hour: int) -> dict[tuple[str, int], list[tuple]]:
        """Give the blobs at an hour by the region that they belong to, its flares included."""
        found: dict[tuple[str, int], list[tuple]] = {}
        for name, blob in self._named(hour):
            found.setdefault(name, []).append(blob)
        return found

    def _named(self, hour: int) -> list[tuple[tuple[str, int], tuple]]:
        return [
            *self._active_regions(hour),
            *self._simple_regions(hour),
            *self._flares(hour),
        ]

    def _active_regions(self, hour: int) -> list[tuple[tuple[str, int], tuple]]:
        record, rates = self.record, self.record.rates
        states = record.states_at(np.array([hour]))
        longitude = rates.longitude_deg(states.longitude_cell)
        out = []
        for k in np.flatnonzero(np.abs(longitude) < _FARTHEST_DEG):
            region, age_h = int(states.identity[k]), int(states.age_h[k])
            size = float(rates.size[states.size_class[k]])
            latitude = float(record.latitude_deg[region])
            look = self._look("look", region, size, latitude)
            activity = float(rates.activity[age_h])
            growth = min((age_h + 12) / 60, 1.0)
            old = np.exp(-max(age_h - 48, 0) / 400) * growth  # loops outlive the flaring
            drive = np.log10(activity * size**rates.parameters.activity_size_exponent)
            hot = 1 / (1 + np.exp(-(drive - _HOT_DRIVE_DEX) / _HOT_DRIVE_WIDTH_DEX))
            precursor = look.precursor_level if states.is_primed[k] else 0.0
            totals = _totals(
                look,
                size,
                loops=old,
                core=activity**0.5,
                hot_share=float(hot),
                precursor=look.hot_level + precursor,
            )
            radius = REGION_RADIUS * size**0.3 * growth**0.5 * (1 + 0.10 * age_h / 160)
            blob = _placed(look, totals, radius, latitude, float(longitude[k]), hour)
            out.append((("active", region), blob))
        return out

    def _simple_regions(self, hour: int) -> list[tuple[tuple[str, int], tuple]]:
        first, last, size, latitude, cell = self._simple
        out = []
        for k in np.flatnonzero((first <= hour) & (hour < last)):
            turned = np.array([cell[k] + hour - first[k]])
            longitude = float(self.record.rates.longitude_deg(turned)[0])
            if abs(longitude) >= _FARTHEST_DEG:
                continue
            look = self._look("simple look", int(k), float(size[k]), float(latitude[k]))
            age = (hour - first[k]) / (last[k] - first[k])
            strength = float(np.sin(np.pi * min(age + 0.05, 1.0)) ** 0.5)
            totals = _totals(
                look,
                float(size[k]),
                loops=strength,
                core=0.8 * strength,
                hot_share=_SIMPLE_HOT_SHARE,
                precursor=look.hot_level,
            )
            radius = REGION_RADIUS * float(size[k]) ** 0.3 * (0.7 + 0.3 * strength)
            blob = _placed(look, totals, radius, float(latitude[k]), longitude, hour)
            out.append((("simple", int(k)), blob))
        return out

    def _flares(self, hour: int) -> list[tuple[tuple[str, int], tuple]]:
        """Give what flared in the last hours: flare plasma, arcade, ribbons."""
        record, flares = self.record, self.record.flares
        first, stop = np.searchsorted(flares.hour, [hour - _FLARE_MEMORY_H, hour])
        out = []
        for k in range(first, stop):
            region, peak = int(flares.region[k]), float(flares.peak_flux[k])
            cell = record.longitude_cell(np.array([region]), np.array([hour]))
            longitude = float(record.rates.longitude_deg(cell)[0])
            if abs(longitude) >= _FARTHEST_DEG:
                continue
            minutes = (hour - flares.hour[k]) * 60 - float(flares.minute[k])
            em_at_peak = flare_emission_measure(peak / SCALING_FACTORS["long"])
            now = float(flare_profile(np.array([minutes]), np.array([peak]))[0])
            slow = minutes / (60 * _ARCADE_HOURS * (peak / 1e-5) ** 0.15)
            amounts = {
                "flare": em_at_peak * now,
                "arcade": 0.8 * em_at_peak * slow * np.exp(1 - slow),
                "chromosphere": 3.0 * (peak / 1e-5) ** 0.6 * now,
                "photosphere": 6.0 * (peak / 1e-5) ** 0.6 * now,
            }
            size = float(record.rates.size[record.size_class[region]])
            latitude = float(record.latitude_deg[region])
            look, radius = self._look("look", region, size, latitude), REGION_RADIUS * size**0.3
            channel = look.layer == LAYERS.index("precursor")
            east, north = look.east[channel] * radius, look.north[channel] * radius
            n = len(east)
            place = _place(latitude, longitude, east, north, np.full(n, 0.012))
            for name, amount in amounts.items():
                width = np.full(n, 0.22 * radius if name == "arcade" else 0.08 * radius)
                layer = np.full(n, LAYERS.index(name))
                blob = (*place, width, np.full(n, amount / n), layer)
                out.append((("active", region), blob))
        return out

    def _look(self, kind: str, region: int, size: float, latitude_deg: float) -> RegionLook:
        key = kind, region
        if key not in self._looks:
            if len(self._looks) > _LOOKS_KEPT:
                self._looks.clear()
            generator = random_stream(self.record.seed, "virtual sun", kind, region)
            self._looks[key] = region_look(generator, size=size, latitude_deg=latitude_deg)
        return self._looks[key]


def _totals(
    look: RegionLook, size: float, *, loops: float, core: float, hot_share: float, precursor: float
) -> np.ndarray:
    """Give the amount of each layer in a region, (layer,)."""
    core_em = CORE_EM * size**0.6 * core * look.core_level
    totals = {
        "fan": FAN_EM * size**0.5 * loops * look.loop_level,
        "diffuse": DIFFUSE_EM * size**0.5 * loops * look.loop_level,
        "core": core_em * (1 - hot_share),
        "hot core": core_em * hot_share,
        "precursor": PRECURSOR_EM * size**0.4 * precursor,
        "chromosphere": PLAGE_304 * size**0.6 * loops,
        "photosphere": PLAGE_1600 * size**0.6 * loops,
    }
    return np.array([totals.get(name, 0.0) for name in LAYERS])


def _placed(
    look: RegionLook,
    totals: np.ndarray,
    radius: float,
    latitude_deg: float,
    longitude_deg: float,
    hour: int,
) -> tuple:
    """Put a region's blobs in space."""
    flickers = 1 + 0.5 * np.sin(2 * np.pi * hour / look.period_h + look.phase)
    steady = look.layer == LAYERS.index("precursor")
    amount = totals[look.layer] * look.weight * np.where(steady, 1.0, flickers)
    east, north, height = look.east * radius, look.north * radius, look.height * radius
    place = _place(latitude_deg, longitude_deg, east, north, height)
    return (*place, look.width * radius, amount, look.layer)


def _place(latitude_deg: float, longitude_deg: float, east, north, height) -> tuple:
    """Give x, y, z in solar radii of places in a region's frame."""
    lat, lon = np.radians([latitude_deg, longitude_deg])
    up = np.array([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)])
    # a look's "east" counts along increasing longitude, that is to the west on the sky
    to_west = np.array([np.cos(lon), 0.0, -np.sin(lon)])
    to_north = np.array([-np.sin(lat) * np.sin(lon), np.cos(lat), -np.sin(lat) * np.cos(lon)])
    place = up + np.multiply.outer(east, to_west) + np.multiply.outer(north, to_north)
    place *= ((1 + height) / np.linalg.norm(place, axis=1))[:, None]
    return place[:, 0], place[:, 1], place[:, 2]


def _simple_regions(record: VirtualRecord) -> tuple[np.ndarray, ...]:
    """Draw all simple regions of a record: first and last hour, size, latitude, longitude cell."""
    generator = random_stream(record.seed, "virtual sun", "simple regions")
    hours = np.arange(-1500, record.n_hours)
    births = generator.poisson(_SIMPLE_PER_BIRTH * record.rates.births_per_hour(hours))
    first = np.repeat(hours, births)
    n = len(first)
    last = first + 24 + generator.exponential(_SIMPLE_LIFETIME_H, n).astype(int)
    size = np.exp(generator.normal(0.5, 0.8, n))
    phase = np.mod(first / (record.rates.parameters.cycle_years * HOURS_PER_YEAR), 1)
    latitude = np.clip(generator.normal(28 - 20 * phase, 6), 2, 45) * generator.choice([-1, 1], n)
    cell = generator.integers(record.rates.parameters.longitude_cells, size=n)
    return first, last, size, latitude, cell
