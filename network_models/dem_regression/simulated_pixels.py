"""Unlimited simulated pixels: what networks of emission measure learn from (synthetic).

Each pixel is a sum of parts from a library: log-normals, boxes, power laws, single temperatures,
bells whose two sides differ, CHIANTI's quiet Sun and active region; placed as in the corona, with
flares of 9 to 19 MK, or anywhere; on request some are multiplied by random curves. Any noise,
exposure time, binning, loss of throughput and version of the responses. The families that
networks are judged on are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dataset_models.solar_data import INPUT, TARGET, ArrayInfo, SampleTable, SolarData
from dataset_models.splits import Split
from network_models.dem_regression.random_curves import roughened
from tools.channels import CAMERA
from tools.emission_measure.families import FINE_LOG_T, FROZEN_HASH, profile, require_in_prior
from tools.emission_measure.response import RESPONSE_CHANNELS, RESPONSE_VERSIONS, aia_response
from tools.emission_measure.simulated_maps import chianti_profile
from tools.random_streams import random_stream

__all__ = ["MISSING_SIGMA", "N_INPUTS", "TRAINING_FAMILIES", "PixelSimulator", "SimulatedPixels"]

TRAINING_FAMILIES = ("log-normal", "box", "power law", "isothermal")
MISSING_SIGMA = 1e6  # DN s-1 pix-1: the error of a channel that was not observed
LARGEST_SIGMA = 1e5  # DN s-1 pix-1: from here on networks take a channel for not observed
N_BINS, N_CHANNELS = 18, len(RESPONSE_CHANNELS)
N_INPUTS = 2 * N_CHANNELS + len(RESPONSE_VERSIONS)
_UNIT_CM5 = 1e26
_UNEVEN = "uneven bell"  # drawn here: its sides have widths and exponents of their own
_LIBRARY = (*TRAINING_FAMILIES, _UNEVEN)
_PLACES = ("anywhere", "quiet", "active", "hot", "transition", "flare")
_VERSION_SHARES = {"v10_evenorm_chiantifix": 0.4, "v10_evenorm": 0.3}  # the others share the rest
_MOST_PARTS = 4
_MISSING_SHARE = 0.03


class PixelSimulator:
    """Draws pixels whose emission measure is known.

    Parameters
    ----------
    n_parts : int
        Parts in the library, of each family and place.
    seed : int
        Of the library.
    rough_share : float
        Of the pixels, whose parts are multiplied by random curves (``random_curves``).
    """

    def __init__(self, n_parts: int = 12000, seed: int = 0, *, rough_share: float = 0.0):
        require_in_prior(TRAINING_FAMILIES)
        self.rough_share = rough_share
        generator = random_stream(seed, "library of emission measure")
        responses = [aia_response(FINE_LOG_T, version=v) * _UNIT_CM5 for v in RESPONSE_VERSIONS]
        stacked = np.concatenate(responses)  # (version x channel, temperature)
        parts, seen = [], []
        for family in _LIBRARY:
            for place in _PLACES:
                centre, width = _placed(place, n_parts, generator)
                if family == _UNEVEN:
                    fine = _uneven_bell(centre, width, generator)
                else:
                    fine = profile(family, centre, width)
                parts.append(_bins(fine))
                seen.append((fine @ stacked.T).astype(np.float32))
        fine = np.concatenate(
            [_chianti(n, n_parts, generator) for n in ("quiet Sun", "active region")]
        )
        parts.append(_bins(fine))
        seen.append((fine @ stacked.T).astype(np.float32))
        if rough_share:
            for place in _PLACES:
                fine = _rough(place, n_parts, generator)
                parts.append(_bins(fine))
                seen.append((fine @ stacked.T).astype(np.float32))
        self.n_parts = n_parts
        self._em = np.concatenate(parts)
        self._seen = np.concatenate(seen).reshape(-1, len(RESPONSE_VERSIONS), N_CHANNELS)
        shares = np.array([_VERSION_SHARES.get(v, 0.1) for v in RESPONSE_VERSIONS])
        self._version_shares = shares / shares.sum()

    def draw(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw pixels.

        Returns
        -------
        inputs : (n, 17) float32
            Brightness and its error in six channels, DN s-1 pix-1; which version of the responses
            holds (five columns, one of them 1).
        targets : (n, 36) float32
            Emission measure in 18 bins, 1e26 cm-5; brightness and error as in the inputs, and
            brightness without noise.
        """
        rows, log_em = self._mixtures(n, generator)
        amount = np.where(np.isfinite(log_em), 10.0 ** (log_em - 26), 0.0).astype(np.float32)
        version = generator.choice(len(RESPONSE_VERSIONS), n, p=self._version_shares)
        em = np.einsum("np,npb->nb", amount, self._em[rows])
        rate = np.einsum("np,npc->nc", amount, self._seen[rows, version[:, None]])
        dn, sigma = _observe(rate.astype(float), generator)
        missing = np.zeros(dn.shape, bool)
        chosen = np.flatnonzero(generator.random(n) < _MISSING_SHARE)
        missing[chosen, generator.integers(N_CHANNELS, size=len(chosen))] = True
        dn, sigma = np.where(missing, 0.0, dn), np.where(missing, MISSING_SIGMA, sigma)
        one_hot = np.eye(len(RESPONSE_VERSIONS))[version]
        inputs = np.concatenate([dn, sigma, one_hot], axis=1).astype(np.float32)
        return inputs, np.concatenate([em, dn, sigma, rate], axis=1).astype(np.float32)

    def _mixtures(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Give each pixel's parts, (n, 4) rows of the library, and their log10 EM (-inf: none)."""
        kind = generator.choice(4, n, p=[0.48, 0.24, 0.18, 0.1])
        family = generator.choice(len(_LIBRARY), (n, 1), p=[0.32, 0.22, 0.24, 0.07, 0.15])
        family = np.repeat(family, _MOST_PARTS, axis=1)
        mixed = generator.random(n) < 0.3
        family[mixed] = generator.choice(
            len(_LIBRARY), (int(mixed.sum()), _MOST_PARTS), p=[0.25, 0.2, 0.2, 0.15, 0.2]
        )
        # as in the corona: quiet, active, hot, transition region
        place = np.broadcast_to([1, 2, 3, 4], (n, _MOST_PARTS)).copy()
        normal = generator.standard_normal((n, _MOST_PARTS))
        log_em = [26.0, 26.2, 25.3, 24.6] + [0.6, 1.0, 1.0, 0.7] * normal
        log_em[generator.random(n) < 0.55, 2] = -np.inf
        absent = generator.random((n, _MOST_PARTS)) < [0.06, 0.15, 0.0, 0.15]
        # anywhere: one to four parts
        anywhere = kind == 1
        place[anywhere] = 0
        total = generator.uniform(24.5, 29.0, (n, 1))
        free = total + generator.uniform(-2.0, 0.0, (n, _MOST_PARTS))
        free[:, 0] = total[:, 0]
        count = generator.integers(1, _MOST_PARTS + 1, (n, 1))
        free[np.arange(_MOST_PARTS) >= count] = -np.inf
        log_em = np.where(anywhere[:, None], free, log_em)
        # flares outshine all else
        flare = kind == 2
        place[flare, 2] = _PLACES.index("flare")
        log_em[flare, 2] = generator.uniform(26.5, 29.5, int(flare.sum()))
        log_em[absent & ~anywhere[:, None]] = -np.inf
        rows = (family * len(_PLACES) + place) * self.n_parts
        rows += generator.integers(self.n_parts, size=rows.shape)
        # CHIANTI's tables, with hot parts and the transition region as above
        tables = kind == 3
        first = len(_LIBRARY) * len(_PLACES) * self.n_parts
        for k in (0, 1):
            drawn = first + k * self.n_parts + generator.integers(self.n_parts, size=n)
            rows[tables, k] = drawn[tables]
        if self.rough_share:
            rough = generator.random(n) < self.rough_share
            drawn = first + (2 + place) * self.n_parts
            drawn += generator.integers(self.n_parts, size=rows.shape)
            rows[rough] = drawn[rough]
        empty = ~np.isfinite(log_em).any(axis=1)
        log_em[empty, 0] = 26.0
        return rows, log_em


def _placed(place: str, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw centres (log10 of K) and widths (dex)."""
    if place == "anywhere":
        centre, width = generator.uniform(5.42, 7.3, n), 10.0 ** generator.uniform(-1.7, -0.35, n)
    elif place == "flare":
        centre = generator.uniform(6.95, 7.28, n)
        width = 0.09 * np.exp(generator.normal(0, 0.5, n))
    else:
        middle, spread, typical = {
            "quiet": (6.0, 0.13, 0.16),
            "active": (6.46, 0.14, 0.12),
            "hot": (7.0, 0.12, 0.09),
            "transition": (5.67, 0.12, 0.15),
        }[place]
        centre = generator.normal(middle, spread, n)
        width = typical * np.exp(generator.normal(0, 0.4, n))
    lowest, highest = FINE_LOG_T[0], FINE_LOG_T[-1]
    return np.clip(centre, lowest, highest), np.clip(width, 0.02, 0.45)


def _uneven_bell(
    centre: np.ndarray, width: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Give ``exp(-|x / w|^p / 2)`` with another w and p on each side: (n, 180), of unit sum."""
    x = FINE_LOG_T - centre[:, None]
    sides = width * np.exp(generator.normal(0, 0.5, (2, len(width))))
    exponent = 10.0 ** generator.uniform(-0.1, 0.7, (2, len(width)))
    w = np.where(x < 0, sides[0][:, None], sides[1][:, None])
    p = np.where(x < 0, exponent[0][:, None], exponent[1][:, None])
    value = np.exp(-0.5 * np.abs(x / np.maximum(w, 0.01)) ** p) + 1e-12
    return value / value.sum(axis=1, keepdims=True)


def _rough(place: str, n: int, generator: np.random.Generator) -> np.ndarray:
    """Give log-normals, boxes, power laws and uneven bells times random curves: (n, 180)."""
    centre, width = _placed(place, n, generator)
    width = np.minimum(width * np.exp(generator.normal(0.3, 0.4, n)), 0.6)
    kind = generator.choice(4, n, p=[0.4, 0.15, 0.2, 0.25])
    fine = np.empty((n, len(FINE_LOG_T)))
    for k, family in enumerate(("log-normal", "box", "power law")):
        fine[kind == k] = profile(family, centre[kind == k], width[kind == k])
    fine[kind == 3] = _uneven_bell(centre[kind == 3], width[kind == 3], generator)
    return roughened(fine, generator)


def _chianti(name: str, n: int, generator: np.random.Generator) -> np.ndarray:
    """Give CHIANTI's table moved along log T and tilted: (n, 180), of unit sum."""
    log_shape = np.log10(chianti_profile(name))
    moved = FINE_LOG_T - generator.normal(0, 0.06, (n, 1))
    shape = np.interp(moved, FINE_LOG_T, log_shape)
    shape += generator.normal(0, 0.5, (n, 1)) * (FINE_LOG_T - 6.2)
    value = 10.0 ** (shape - shape.max(axis=1, keepdims=True))
    return value / value.sum(axis=1, keepdims=True)


def _bins(fine: np.ndarray) -> np.ndarray:
    return fine.reshape(len(fine), N_BINS, -1).sum(axis=2).astype(np.float32)


def _observe(rate: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give brightness with noise, and its error, for all kinds of exposures."""
    n = len(rate)
    cameras = [CAMERA[channel] for channel in RESPONSE_CHANNELS]
    per_photon = np.array([c.dn_per_photon for c in cameras])
    read2 = np.array([c.read_noise_dn for c in cameras]) ** 2 + 1 / 12
    averaged = 2.0 ** generator.uniform(0, 7, (n, 1))
    seconds = np.array([c.exposure_s for c in cameras]) * 2.0 ** np.minimum(
        generator.uniform(-3, 3, (n, 1)), 0
    )
    left = np.where(generator.random((n, 1)) < 0.5, 1, generator.uniform(0.15, 1, rate.shape))
    gain = seconds * left  # DN per exposure for one DN/s
    photons = generator.poisson(np.minimum(rate * gain / per_photon * averaged, 1e12))
    counts = photons / averaged * per_photon
    counts += np.sqrt(read2 / averaged) * generator.standard_normal(rate.shape)
    variance = (np.maximum(counts, 0) * per_photon + read2) / averaged
    return counts / gain, np.sqrt(variance) / gain


@dataclass(frozen=True)
class _Sizes:
    """How many blocks of pixels there are."""

    training: int
    validation: int
    test: int


class SimulatedPixels(SolarData):
    """Blocks of simulated pixels as a dataset: one sample is one block, made anew from its number.

    Parameters
    ----------
    seed : int
    block_pixels : int
        Pixels of a block.
    n_training, n_validation, n_test : int
        Blocks. In every epoch the training blocks are new ones, so that none is seen twice.
    n_parts : int
        Of ``PixelSimulator``.
    rough_share : float
        Of ``PixelSimulator``.
    """

    def __init__(
        self,
        seed: int,
        *,
        block_pixels: int = 1024,
        n_training: int,
        n_validation: int = 32,
        n_test: int = 32,
        n_parts: int = 12000,
        rough_share: float = 0.0,
    ):
        self.seed, self.block_pixels, self.rows_at_once = seed, block_pixels, 8
        self._sizes = _Sizes(n_training, n_validation, n_test)
        self._simulator = PixelSimulator(n_parts, seed, rough_share=rough_share)
        n = n_training + n_validation + n_test
        time = np.datetime64("2010-05-01T00:00:00", "s") + np.arange(n) * np.timedelta64(12, "s")
        hashes = np.array([hash((seed, k)) & (2**63 - 1) for k in range(n)], np.uint64)
        groups = np.array([f"block {k}" for k in range(n)])
        self._table = SampleTable(
            time, time, time, time, time, groups, np.zeros(n, np.int8), hashes
        )

    @property
    def table(self) -> SampleTable:
        """One row per block; the times only keep their order."""
        return self._table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """Brightness with errors, and emission measure, of the pixels of a block."""
        n = self.block_pixels
        return {
            "brightness": ArrayInfo(("pixel", "column"), (n, N_INPUTS), "DN s-1 pix-1", INPUT),
            "emission": ArrayInfo(
                ("pixel", "column"), (n, N_BINS + 3 * N_CHANNELS), "1e26 cm-5", TARGET
            ),
        }

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Make blocks from their numbers."""
        blocks = [
            self._simulator.draw(self.block_pixels, random_stream(self.seed, "pixels", int(k)))
            for k in indices
        ]
        inputs, targets = (np.stack(arrays) for arrays in zip(*blocks, strict=True))
        return {"brightness": inputs, "emission": targets}

    def provenance(self) -> dict:
        """Say how the pixels are made."""
        share = self._simulator.rough_share
        rough = {"share of pixels times random curves": share} if share else {}
        return {
            "source": "simulated pixels (synthetic)",
            "families": [*_LIBRARY, "CHIANTI", "flares"],
            **rough,
            "out of prior (refused), SHA-256 of the list": FROZEN_HASH,
            "seed": self.seed,
        }

    def split(self) -> Split:
        """Give the blocks of each set."""
        ends = np.cumsum([self._sizes.training, self._sizes.validation, self._sizes.test])
        parts = np.split(np.arange(ends[-1]), ends[:-1])
        return Split(*parts, scheme="blocks of simulated pixels, each drawn alone", by_time=False)

    def training_batches(self, split: Split, *, batch_size: int, seed: int):
        """Stream training blocks, other ones in every epoch."""
        from dataset_models.streaming import Batches

        n = len(self.table)

        class FreshBatches(Batches):
            """Blocks whose numbers no epoch and no other set has had."""

            def set_epoch(self, epoch: int) -> None:
                super().set_epoch(epoch)
                self._order = self._order + epoch * n

        return FreshBatches(self, split.training, batch_size=batch_size, seed=seed)
