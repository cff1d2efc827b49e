"""How near inversions come to the truth of simulated maps, family by family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.dem_ways import Way, bars
from tools.emission_measure.families import (
    FINE_LOG_T,
    LOG_T_EDGES,
    OUT_OF_PRIOR,
    profile,
)
from tools.emission_measure.inversion import EmissionMeasure
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS, aia_response, bin_response
from tools.emission_measure.scores import (
    blocks_of_map,
    covered,
    misfit,
    paired_interval,
    relative_l1,
    temperature_distance,
    total_error,
)
from tools.emission_measure.simulated_maps import MAP_FAMILIES, simulated_map
from tools.emission_measure.status import NOT_FITTED, OK

__all__ = ["LEVELS", "TEMPERATURES", "Pixels", "accuracy", "draw_pixels", "group_of"]

LEVELS = {"64 pixels averaged": 64, "1 pixel": 1}
TEMPERATURES = (5.8, 6.0, 6.2, 6.4, 6.6, 6.8, 7.0, 7.2)  # log10 of K; 7.0 is 10 MK
_SHAPES = {"isothermal": 0.0, "log-normal": 0.1}  # and their widths, dex
_BRIGHT_CM5 = 1e27
_BLOCK = 8  # pixels along a side, that are drawn together


@dataclass(frozen=True)
class Pixels:
    """Pixels of all maps, one after another, and at the end plasma of single temperatures.

    Attributes
    ----------
    em, rate, dn, sigma
        As of a ``SimulatedMap``.
    part : (pixel,) bool
        What slow ways get: the same share of every block of neighbours.
    blocks : (pixel,) int
    places : dict
        By (level, family): where they lie; by (``""``, shape) those of single temperatures.
    """

    em: np.ndarray
    rate: np.ndarray
    dn: np.ndarray
    sigma: np.ndarray
    part: np.ndarray
    blocks: np.ndarray
    places: dict[tuple[str, str], slice]


def draw_pixels(side: int, *, version: str, share: float, seed: int = 131) -> Pixels:
    """Make all maps of both noise levels, and plasma of single temperatures without noise.

    Parameters
    ----------
    side : int
        Pixels of a map.
    version : str
        Of the response.
    share : float
        Of the pixels that slow ways get.
    """
    maps, places, start = [], {}, 0
    for level, n_averaged in LEVELS.items():
        for index, family in enumerate(MAP_FAMILIES):
            found = simulated_map(family, side, n_averaged, seed=seed + index, version=version)
            maps.append((found.em, found.rate, found.dn, found.sigma))
            places[level, family] = slice(start, start + side**2)
            start += side**2
    response = aia_response(FINE_LOG_T, version=version)
    n_maps = len(maps)
    for shape, width in _SHAPES.items():
        fine = profile(shape, np.array(TEMPERATURES), np.full(len(TEMPERATURES), width))
        rate = fine @ response.T * _BRIGHT_CM5
        sigma = aia_noise(rate, RESPONSE_CHANNELS, pixels_averaged=LEVELS["64 pixels averaged"])
        em = fine.reshape(len(fine), len(LOG_T_EDGES) - 1, -1).sum(axis=2) * _BRIGHT_CM5
        maps.append((em, rate, rate, sigma))
        places["", shape] = slice(start, start + len(fine))
        start += len(fine)
    blocks = blocks_of_map(side, _BLOCK)
    is_part = _part_of_blocks(blocks, share, np.random.default_rng(seed))
    last = np.ones(len(_SHAPES) * len(TEMPERATURES), bool)
    em, rate, dn, sigma = (np.concatenate(arrays) for arrays in zip(*maps, strict=True))
    return Pixels(
        em,
        rate,
        dn,
        sigma,
        np.concatenate([*[is_part] * n_maps, last]),
        np.concatenate([*[blocks] * n_maps, np.zeros(len(last), int)]),
        places,
    )


def group_of(family: str) -> str:
    """Say whether networks may have learnt from a family."""
    return "out of prior" if family in OUT_OF_PRIOR else "in prior"


def accuracy(pixels: Pixels, ways: dict[str, Way], *, version: str) -> dict:
    """Hold all ways to the truth.

    Returns
    -------
    dict
        ``scores`` by level, family and way; ``coverage`` by level, group and way;
        ``single temperatures`` by shape, way and log T; ``differences`` of every network by level,
        family and the other way: [difference, low, high] of the medians, first less second.
    """
    response = bin_response(LOG_T_EDGES, version=version)
    distances: dict[str, dict] = {}
    out: dict = {"scores": {}, "coverage": {}, "single temperatures": {}}
    maps = [key for key in pixels.places if key[0]]
    everything = np.arange(len(pixels.dn))
    truth = EmissionMeasure(
        pixels.em,
        np.full(pixels.em.shape, np.nan),
        np.zeros(len(everything)),
        np.zeros(len(everything), np.uint8),
        pixels.em @ response.T,
        LOG_T_EDGES,
        "truth",
    )
    judged = {"the truth in the bins": None}
    judged |= {name: way for name, way in ways.items() if way.is_judged}
    for name, way in judged.items():
        rows = np.flatnonzero(pixels.part) if way and way.is_slow else everything
        found = way.solve(pixels.dn[rows], pixels.sigma[rows]) if way else truth
        limits = bars(found)
        shares: dict[tuple[str, str], list[dict]] = {}
        for level, family in maps:
            chosen = _within(rows, pixels.places[level, family])
            scores, kept = _scores(found, chosen, rows[chosen], pixels, response)
            inside = {
                wide: covered(low[chosen], high[chosen], pixels.em[rows[chosen]])
                for wide, (low, high) in limits.items()
            }
            scores |= {f"within {wide}": _mean(values) for wide, values in inside.items()}
            out["scores"].setdefault(level, {}).setdefault(family, {})[name] = scores
            distances.setdefault(name, {})[level, family] = kept
            if inside:
                shares.setdefault((level, group_of(family)), []).append(inside)
        for (level, group), parts in shares.items():
            cover = out["coverage"].setdefault(level, {}).setdefault(group, {})
            cover[name] = _coverage(parts)
        for shape in _SHAPES:
            chosen = _within(rows, pixels.places["", shape])
            cells = _single_temperatures(found.em[chosen], rows[chosen], pixels, response)
            out["single temperatures"].setdefault(shape, {})[name] = cells
    networks = [name for name, way in judged.items() if way and way.is_network]
    out["differences"] = _differences(networks, distances, pixels)
    return out


def _part_of_blocks(blocks, share: float, generator: np.random.Generator) -> np.ndarray:
    """Take the same share of every block, at least one pixel: (pixel,) bool."""
    order = np.lexsort((generator.random(len(blocks)), blocks))
    size = np.bincount(blocks)
    rank = np.arange(len(blocks)) - (np.cumsum(size) - size)[blocks[order]]
    is_part = np.zeros(len(blocks), bool)
    is_part[order] = rank < np.maximum(np.round(share * size), 1)[blocks[order]]
    return is_part


def _within(rows: np.ndarray, place: slice) -> np.ndarray:
    return np.flatnonzero((rows >= place.start) & (rows < place.stop))


def _mean(values: np.ndarray, axis: int | None = None):
    """Give means of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    n = known.sum(axis=axis)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)[()]


def _scores(found, chosen, rows, pixels: Pixels, response) -> tuple[dict, dict]:
    """Give the scores of one map, and L1 and W1 of the pixels of the part."""
    em, truth = found.em[chosen], pixels.em[rows]
    model = np.nan_to_num(em) @ response.T
    l1, w1 = relative_l1(em, truth), temperature_distance(em, truth, LOG_T_EDGES)
    status = found.status[chosen]
    ratio = np.median(model / pixels.rate[rows], axis=0)
    scores = {
        "pixels": len(rows),
        "L1": np.median(l1),
        "W1, dex": np.median(w1),
        "total EM, relative error": np.median(total_error(em, truth)),
        "chi2": np.median(misfit(model, pixels.dn[rows], pixels.sigma[rows])),
        "failed": np.mean((status != OK) & (status != NOT_FITTED)),
        "not fitted": np.mean(status == NOT_FITTED),
        "with a negative bin": np.mean((em < 0).any(axis=1)),
        "all zero": np.mean(~(em != 0).any(axis=1)),
        "channels over the true ones": dict(zip(map(str, RESPONSE_CHANNELS), ratio, strict=True)),
    }
    kept = pixels.part[rows]
    return scores, {"L1": l1[kept], "W1, dex": w1[kept], "blocks": pixels.blocks[rows][kept]}


def _coverage(parts: list[dict]) -> dict:
    """Give the shares of bins within their bars, over all families of a group."""
    out: dict = {}
    for wide in parts[0]:
        inside = np.concatenate([part[wide] for part in parts])
        out[wide] = _mean(inside)
        out[f"{wide}, bin by bin"] = list(_mean(inside, axis=0))
    return out


def _single_temperatures(em, rows, pixels: Pixels, response) -> dict:
    """Say what becomes of plasma of single temperatures, the worst channel last."""
    middles = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2
    total = em.sum(axis=1)
    found = em @ middles / np.where(total > 0, total, np.nan)
    ratio = (em @ response.T) / pixels.rate[rows]
    worst = np.abs(np.log(np.maximum(ratio, 1e-9))).argmax(axis=1)
    return {
        str(temperature): {
            "log T": found[i],
            "EM ratio": total[i] / pixels.em[rows[i]].sum(),
            "worst channel": RESPONSE_CHANNELS[worst[i]],
            "its ratio": ratio[i, worst[i]],
            "171 ratio": ratio[i, RESPONSE_CHANNELS.index(171)],
        }
        for i, temperature in enumerate(TEMPERATURES)
    }


def _differences(networks: list[str], distances: dict, pixels: Pixels) -> dict:
    """Compare each network with every other way on the same part of the pixels."""
    out: dict = {}
    for network in networks:
        for other in distances:
            if other == network or other == "the truth in the bins":
                continue
            for (level, family), mine in distances[network].items():
                theirs = distances[other][level, family]
                cell = {
                    score: paired_interval(
                        mine[score],
                        theirs[score],
                        mine["blocks"],
                        generator=np.random.default_rng(0),
                    )
                    for score in ("L1", "W1, dex")
                }
                by_level = out.setdefault(network, {}).setdefault(level, {})
                by_level.setdefault(family, {})[other] = cell
    return out
