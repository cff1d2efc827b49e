"""The virtual Sun's plasma in every pixel: quiet Sun, coronal holes, active regions, flares.

Orthographic view from the Earth with the Sun's axis upright: x to the west, y to the north, row 0
in the south. What lies behind the disc is hidden; what stands above the limb is not.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from dataset_models.virtual_sun.plasma import (
    KINDS,
    channel_gain,
    kind_profiles,
    quiet_emission_measure,
)
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.region_look import LAYERS
from dataset_models.virtual_sun.visible_regions import VisibleRegions
from tools.channels import AIA_CHANNELS
from tools.random_streams import random_stream

__all__ = [
    "FIELD_ARCSEC",
    "QUIET_LEVEL",
    "SUN_RADIUS_ARCSEC",
    "SUN_RADIUS_CM",
    "VirtualCorona",
    "is_in_view",
    "quiet_column_area",
]

FIELD_ARCSEC = 2457.6  # of a full AIA image: 4096 pixels of 0.6 arcsec
SUN_RADIUS_ARCSEC = 960.0  # the virtual Earth's distance does not change
SUN_RADIUS_CM = 6.957e10
_NOISE_CELLS = 96  # along a side of the periodic noise that textures are cut from
# textures: cells per solar radius, smoothing in cells, drift in cells per day
_TEXTURES = {"network": (64.0, 1.1, 1.5), "large": (9.0, 3.0, 0.25), "holes": (8.0, 4.5, 0.12)}
_SOFTENED = 0.75  # the real corona is no smooth layer: its limb is less bright than one
QUIET_LEVEL = 0.46  # the table's quiet Sun is brighter than AIA's discs on the mean
_SMALLEST_WIDTH = 0.6  # pixels; narrower blobs would be lost between pixel centres
_QUIET_304, _QUIET_1600 = 44.0, 80.0  # DN s-1 pix-1 at disc centre


class VirtualCorona:
    """The corona of a virtual record on an image grid.

    Parameters
    ----------
    record : VirtualRecord
    size : int
        Pixels along a side, 16 to 4096.
    """

    def __init__(self, record: VirtualRecord, size: int):
        if not 16 <= size <= 4096:
            raise ValueError(f"an image of the virtual Sun has 16 to 4096 pixels, not {size}")
        self.record, self.size = record, size
        self.radius_pixels = SUN_RADIUS_ARCSEC / FIELD_ARCSEC * size
        self._regions = VisibleRegions(record)

    def images(self, hour: int) -> np.ndarray:
        """Give the brightness without noise, (channel, y, x) float64, DN s-1 pix-1."""
        return _seen(self.layers(hour))

    def region_images(self, hour: int) -> dict[tuple[str, int], np.ndarray]:
        """Give what each region in view adds to ``images``, (channel, y, x) float64."""
        out = {}
        for name, blobs in self._regions.regions(hour).items():
            visible = [self._visible(*blob) for blob in blobs]
            if not any(len(columns[0]) for columns in visible):
                continue
            layers = np.zeros((len(LAYERS), self.size, self.size))
            self._add_blobs(
                layers, *(np.concatenate(column) for column in zip(*visible, strict=True))
            )
            out[name] = _seen(layers)
        return out

    def emission_measure(self, hour: int) -> np.ndarray:
        """Give the emission measure per bin of ``LOG_T_EDGES``, (bin, y, x) float64, cm-5."""
        return np.tensordot(kind_profiles().T, self.layers(hour)[: len(KINDS)], axes=1)

    def layers(self, hour: int) -> np.ndarray:
        """Give the column emission measure of each kind and the proxies, (layer, y, x)."""
        layers = self._background(hour)
        blobs = [self._visible(*blob) for blob in self._regions.blobs(hour)]
        if blobs:
            self._add_blobs(
                layers, *(np.concatenate(column) for column in zip(*blobs, strict=True))
            )
        return layers

    # -- quiet Sun and coronal holes

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixel centres in solar radii: x, y and distance from the centre."""
        centre = (np.arange(self.size) - (self.size - 1) / 2) / self.radius_pixels
        x, y = np.meshgrid(centre, centre)
        return x, y, np.hypot(x, y)

    @cached_property
    def _disc_share(self) -> np.ndarray:
        """Share of each pixel that the disc covers, so that the limb is round at any size."""
        _, _, distance = self._grid
        return np.clip((1 - distance) * self.radius_pixels + 0.5, 0, 1)

    @cached_property
    def _column(self) -> np.ndarray:
        """Column of the quiet corona relative to disc centre: limb brightening, off-limb decay."""
        _, _, distance = self._grid
        grid = np.r_[np.linspace(0, 1, 200, endpoint=False), np.linspace(1, 2, 200)]
        front = np.interp(distance, grid, [_line_of_sight(d, behind=False) for d in grid])
        whole = np.interp(distance, grid, [_line_of_sight(d, behind=True) for d in grid])
        column = self._disc_share * front + (1 - self._disc_share) * whole
        return column**_SOFTENED

    def _background(self, hour: int) -> np.ndarray:
        layers = np.zeros((len(LAYERS), self.size, self.size))
        x, y, distance = self._grid
        on_disc = np.minimum(1, 0.999 / np.maximum(distance, 1e-9))
        mu = np.sqrt(1 - np.minimum(distance, 0.999) ** 2)
        turned = 2 * np.pi * hour / self.record.rates.parameters.longitude_cells
        surface = _turned(x * on_disc, y * on_disc, mu, -turned)
        network = self._texture("network", hour, surface)
        open_field = self._texture("holes", hour, surface)
        # polar holes, and rare tongues towards the equator
        border = 0.80 + 0.16 * self._cycle_strength(hour)
        polar = (np.abs(surface[1]) - border - 0.05 * open_field) / 0.025
        tongue = (open_field - 2.0) / 0.15
        hole = 1 / (1 + np.exp(-np.clip(np.maximum(polar, tongue), -40, 40)))
        smooth = np.exp(0.2 * self._texture("large", hour, surface))
        column = QUIET_LEVEL * quiet_emission_measure() * self._column * smooth
        # above the limb the eye looks through many cells at once
        seen = network * np.exp(-np.maximum(distance - 1, 0) / 0.02) * mu**0.3
        layers[LAYERS.index("quiet")] = column * (1 - hole) * np.exp(0.2 * seen)
        layers[LAYERS.index("hole")] = 0.42 * column * hole * np.exp(0.12 * seen)
        bright = np.exp(0.35 * network) * (1 - 0.3 * hole)
        chromosphere = np.minimum(1 / np.maximum(mu, 0.35), 2) ** 0.35
        spicules = np.exp(-np.maximum(distance - 1, 0) / 0.012)
        inside, outside = self._disc_share, 1 - self._disc_share
        layers[LAYERS.index("chromosphere")] = (
            _QUIET_304 * bright * (inside * chromosphere + outside * 1.4 * spicules)
        )
        darkening = 1 - 0.45 * (1 - mu)
        grain = np.exp(0.22 * network)
        layers[LAYERS.index("photosphere")] = _QUIET_1600 * inside * darkening * grain
        return layers

    def _cycle_strength(self, hour: int) -> float:
        """Give the births of regions between cycle minimum (0) and maximum (1)."""
        p = self.record.rates.parameters
        births = float(self.record.rates.births_per_hour(np.array([hour]))[0])
        span = p.births_per_hour_maximum - p.births_per_hour_minimum
        return (births - p.births_per_hour_minimum) / span

    def _texture(self, name: str, hour: int, surface: tuple) -> np.ndarray:
        """Look a slowly changing random field of spread 1 up on the turning Sun.

        Two cuts through periodic noise drift in opposite directions, so that cells form and fade.
        """
        scale, _, drift = _TEXTURES[name]
        noise = self._noise[name]
        move = drift * hour / 24
        cuts = []
        for sign, offset in ((1, 0.0), (-1, 31.7)):
            place = [scale * axis + sign * move + offset for axis in surface]
            cuts.append(map_coordinates(noise, place, order=1, mode="grid-wrap"))
        field = (cuts[0] + cuts[1]) / np.sqrt(2)
        if name != "network":
            return field
        return (0.63 - np.abs(field) ** 0.7) / 0.45  # cells: bright where the field crosses zero

    @cached_property
    def _noise(self) -> dict[str, np.ndarray]:
        out = {}
        for name, (_, smoothing, _) in _TEXTURES.items():
            generator = random_stream(self.record.seed, "virtual sun", "texture", name)
            noise = generator.standard_normal((_NOISE_CELLS,) * 3, dtype=np.float32)
            smooth = gaussian_filter(noise, smoothing, mode="wrap")
            out[name] = smooth / smooth.std()
        return out

    # -- blobs of plasma

    def _visible(self, x, y, z, width, amount, layer) -> tuple:
        shown = is_in_view(x, y, z) & (amount > 0)
        flat = np.isin(layer, [LAYERS.index("chromosphere"), LAYERS.index("photosphere")])
        amount = np.where(flat, amount * np.clip(z, 0, 1), amount)  # thin layers foreshorten
        columns = (x, y, width * self.radius_pixels, amount, layer)
        return tuple(column[shown] for column in columns)

    def _add_blobs(self, layers: np.ndarray, x, y, width, amount, layer) -> None:
        """Add Gaussian blobs, conserving their amount; columns in cm-5, proxies in DN s-1 pix-1."""
        width = np.sqrt(width**2 + _SMALLEST_WIDTH**2)
        column = (self.size - 1) / 2 + x * self.radius_pixels
        row = (self.size - 1) / 2 + y * self.radius_pixels
        proxies = layer >= len(KINDS)
        pixel = 1 / self.radius_pixels  # in solar radii
        unit = np.where(proxies, pixel**2, (pixel * SUN_RADIUS_CM) ** 2)
        peak = amount / unit / (2 * np.pi * width**2)
        reach = np.ceil(3.2 * width).astype(int)
        flat = layers.reshape(-1)
        for r in np.unique(reach):
            chosen = np.flatnonzero(reach == r)
            step = np.arange(-r, r + 1)
            for part in np.array_split(chosen, -(-len(chosen) * len(step) ** 2 // 2_000_000)):
                c = np.round(column[part]).astype(int)[:, None] + step
                q = np.round(row[part]).astype(int)[:, None] + step
                scale = -0.5 / width[part, None] ** 2
                across = np.exp(scale * (c - column[part, None]) ** 2)
                along = np.exp(scale * (q - row[part, None]) ** 2)
                across *= (c >= 0) & (c < self.size)
                along *= (q >= 0) & (q < self.size)
                value = peak[part, None, None] * along[:, :, None] * across[:, None, :]
                index = layer[part, None, None] * self.size**2 + (
                    np.clip(q, 0, self.size - 1)[:, :, None] * self.size
                    + np.clip(c, 0, self.size - 1)[:, None, :]
                )
                flat += np.bincount(index.ravel(), value.ravel(), minlength=len(flat))


def _seen(layers: np.ndarray) -> np.ndarray:
    """Turn layers into brightness, (channel, y, x)."""
    images = np.tensordot(channel_gain().T, layers[: len(KINDS)], axes=1)
    images[AIA_CHANNELS.index(304)] = layers[LAYERS.index("chromosphere")]
    images[AIA_CHANNELS.index(1600)] = layers[LAYERS.index("photosphere")]
    return images


def is_in_view(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Say which places, in solar radii, are not hidden behind the disc."""
    return (z > 0) | (x**2 + y**2 > 1)


@cache
def quiet_column_area() -> float:
    """Integrate the quiet corona's column, relative to disc centre, over the sky: solar radii^2."""
    distance = np.linspace(0, 1.28, 400)
    column = [_line_of_sight(d, behind=bool(d > 1)) ** _SOFTENED for d in distance]
    return float(np.trapezoid(2 * np.pi * distance * column, distance))


def _turned(x: np.ndarray, y: np.ndarray, z: np.ndarray, angle: float) -> tuple:
    """Turn places about the Sun's axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return x * cos + z * sin, y, z * cos - x * sin


def _line_of_sight(distance: float, *, behind: bool) -> float:
    """Integrate a stratified corona along the line of sight, relative to disc centre.

    Squared density falls with two scales: most of it as 1 MK plasma does (0.045 solar radii), a
    share as hotter, more extended plasma.
    """
    share, short, long = 0.88, 0.045, 0.14
    z = np.linspace(0, 2.5, 4000)
    if not behind:
        z = z + np.sqrt(max(1 - distance**2, 0))
    height = np.maximum(np.sqrt(distance**2 + z**2) - 1, 0)
    squared = share * np.exp(-height / short) + (1 - share) * np.exp(-height / long)
    centre = share * short + (1 - share) * long
    return float(np.trapezoid(squared, z) * (2 if behind else 1) / centre)
