"""A series inverted coherently in time: all times of a tile together, resumed tile by tile."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.SDO.AIA.six_channel_series import SixChannelTimes
from dataset_models.SDO.AIA.six_channels import SixChannels
from science.dem.coherent_tiles import StagedTimes, Tiles, stage_times
from science.dem.cube import open_cube
from science.dem.inversion_map import _cards, _summary
from science.dem.plan import InversionPlan, SeriesConfig
from science.dem.series import Outcome, _draw, _file_names, _finished, _listed, _table_hash
from tools.atomic_files import commit_file, scratch_path, write_json, write_text
from tools.code_dependencies import fingerprint_of_code
from tools.emission_measure.coherent import CoherentSolution, find_reference, solve_coherent
from tools.emission_measure.pixels import known_of
from tools.emission_measure.status import NOT_FITTED
from tools.emission_measure.time_weight import choose_time_weight
from tools.long_work.progress import Progress
from tools.long_work.resumable import resumable_folder
from tools.options import part_of

__all__ = ["METHOD", "invert_coherent_series"]

logger = logging.getLogger(__name__)

METHOD = "coherent"
TILE_NUMBERS = 1 << 17  # pixels times times, about 0.2 GB with all that is computed of them
_SAMPLE_SIDE = 20  # rows and columns of the pixels that the weight in time is chosen by
_FLARES = 0.5  # of flare_share: from there on a pixel counts as flaring
_HOT = 6.9  # log T from which emission measure tells the brightest kernel
_WORK = "coherent"
_OWN = ("coherent", "time_penalty", "time_weight", "weight_by")


def invert_coherent_series(
    times: SixChannelTimes, config: SeriesConfig, folder: str | Path, *, n_jobs: int = 1
) -> list[Outcome]:
    """Invert all times of every pixel together into a folder, or what an earlier call has left.

    Each time becomes a FITS file as in ``invert_series``; ``series.csv`` and ``series.png`` as
    there; ``in_time.png`` compares frame by frame with coherent; ``prior_share.fits`` holds, for
    each time (time, y, x), the share that the priors decided. A call that was killed is resumed at
    the next tile.

    Parameters
    ----------
    times : SixChannelTimes
    config : SeriesConfig
        With ``coherent``.
    folder : str or Path
    n_jobs : int
        Threads.

    Raises
    ------
    ValueError
        If times lie on several grids, fewer than two can be read, or the folder holds another
        series.
    """
    plan = part_of(config, InversionPlan)
    own = {name: getattr(config, name) for name in _OWN}
    options = {**dataclasses.asdict(plan), **own, "method": METHOD}
    options["response_values"] = _table_hash(plan.table().response)
    with resumable_folder(
        folder, lock="series.lock", options_file="series.json", options=options, what="series"
    ) as place:
        items = [times.item(k) for k in range(len(times.times))]
        paths = [place / name for name in _file_names(times.times)]
        identity = _identity(options, items)
        finished = [_finished(path, identity) for path in paths]
        if all(finished) and (place / "in_time.png").exists():
            return [
                dataclasses.replace(o, time=item.time, is_new=False)
                for o, item in zip(finished, items, strict=True)
            ]
        staged = stage_times(items, place / _WORK, is_coregistered=plan.coregister)
        outcomes = _solved(staged, config, place, paths, items, identity, n_jobs=n_jobs)
        write_text(place / "series.csv", _listed(outcomes, plan))
        titled = dataclasses.replace(plan, method=f"{METHOD} in time")
        _draw(outcomes, titled, times.source, place / "series.png")
        shutil.rmtree(place / _WORK)
    return outcomes


def _identity(options: dict, items: list) -> str:
    """Return a hash of data, options and code."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    digest.update(fingerprint_of_code([__file__]).encode())
    for item in items:
        try:
            digest.update(item.identity().encode())
        except OSError:
            digest.update(b"unreadable")
    return digest.hexdigest()[:32]


def _solved(
    staged: StagedTimes,
    config: SeriesConfig,
    place: Path,
    paths: list[Path],
    items: list,
    identity: str,
    *,
    n_jobs: int,
) -> list[Outcome]:
    """Solve all tiles, write a file for each time, draw; return what became of each time."""
    table = config.response_of(staged.given[0])
    response = table.in_bins(config.edges)
    key = hashlib.sha256(f"{identity} {staged.index}".encode()).hexdigest()[:16]
    tiles = Tiles(place / _WORK, key)
    weight = _weight(staged, config, response, place / _WORK / f"weight-{key}.json", n_jobs=n_jobs)
    height, width = staged.shape
    rows = max(TILE_NUMBERS // (width * len(staged.given)), 1)
    firsts = range(0, height, rows)
    progress = Progress(len(firsts), "tiles")
    for done, first in enumerate(firsts):
        if not tiles.has(first):
            part = slice(first, min(first + rows, height))
            tiles.write(first, _solve_tile(staged, part, config, response, weight, n_jobs=n_jobs))
        progress.done(done + 1)
    outcomes = {}
    for k, (given, index) in enumerate(zip(staged.given, staged.index, strict=True)):
        cards = {
            **_cards(given, config, table),
            "METHOD": METHOD,
            "IDENTITY": identity,
            "TIMEPEN": config.time_penalty,
            "TIMEWT": weight,
            "WEIGHTBY": "user" if config.time_weight else config.weight_by,
        }
        outcomes[index] = _write_time(given, k, cards, tiles, firsts, paths[index], config.edges)
    _write_prior_share(staged, tiles, firsts, place / "prior_share.fits")
    _draw_in_time(staged, tiles, firsts, config, weight, place / "in_time.png")
    failed = {k: Outcome(items[k].time, reason=text) for k, text in staged.reasons.items()}
    return [(outcomes | failed)[k] for k in range(len(items))]


def _data(staged: StagedTimes, config: SeriesConfig, rows, columns=slice(None)):
    """Return brightness, error and what is saturated as pixels (pixel, time, channel)."""
    dn, sigma, saturated = staged.tile(rows, columns)
    if config.model_error:
        sigma = np.hypot(sigma, config.model_error * np.maximum(dn, 0))
    return tuple(v.reshape(-1, *v.shape[2:]) for v in (dn, sigma, saturated))


def _weight(
    staged: StagedTimes, config: SeriesConfig, response: np.ndarray, path: Path, *, n_jobs: int
) -> float:
    """Return the weight in time: the user's, or that of the map, which is kept in a file."""
    if config.time_weight:
        return float(config.time_weight)
    if path.exists():
        return float(json.loads(path.read_text())["weight"])
    height, width = staged.shape
    every = max(-(-width // _SAMPLE_SIDE), 1)
    rows = np.unique(np.linspace(0, height - 1, min(height, _SAMPLE_SIDE)).astype(int))
    parts = [_data(staged, config, slice(r, r + 1), slice(r % every, None, every)) for r in rows]
    dn, sigma, saturated = (np.concatenate(p) for p in zip(*parts, strict=True))
    chosen = choose_time_weight(
        dn,
        sigma,
        response,
        config.edges,
        seconds=staged.seconds,
        by=config.weight_by,
        time_penalty=config.time_penalty,
        left_out=saturated,
        n_jobs=n_jobs,
    )
    logger.info("weight in time %.3g, by %s", chosen.weight, chosen.by)
    write_json(path, dataclasses.asdict(chosen))
    return chosen.weight


def _solve_tile(
    staged: StagedTimes,
    rows: slice,
    config: SeriesConfig,
    response: np.ndarray,
    weight: float,
    *,
    n_jobs: int,
) -> dict[str, np.ndarray]:
    """Return what a tile's file holds: results of each time, and curves of the flare."""
    edges, seconds = config.edges, staged.seconds
    dn, sigma, saturated = _data(staged, config, rows)
    reference = find_reference(dn, sigma, response, edges, left_out=saturated, n_jobs=n_jobs)
    found = solve_coherent(
        dn,
        sigma,
        response,
        edges,
        seconds=seconds,
        time_weight=weight,
        time_penalty=config.time_penalty,
        left_out=saturated,
        reference=reference,
        n_jobs=n_jobs,
    )
    arrays = _curves(found, reference.em, reference.tilt, saturated, edges)
    n_rows = rows.stop - rows.start
    for k in range(len(seconds)):
        maps = {name: getattr(found, name)[:, k] for name in _NAMES}
        for name, values in {**maps, "observed": dn[:, k]}.items():
            kind = np.uint8 if name == "status" else np.float32
            with np.errstate(over="ignore"):
                arrays[f"{name}_{k}"] = values.reshape(n_rows, -1, *values.shape[1:]).astype(kind)
    return {**arrays, "whole": np.array(True)}


_NAMES = ("em", "error", "chi2", "status", "model", "prior_share")


def _curves(
    found: CoherentSolution,
    frames: np.ndarray,
    tilt: np.ndarray,
    saturated: np.ndarray,
    edges: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return sums (time, bin) over flaring and over all pixels, and the hottest pixel's curves."""
    is_solved = (found.status <= NOT_FITTED).all(axis=1)
    arrays = {}
    for name, chosen in (
        ("flaring", is_solved & (tilt >= _FLARES).any(axis=1)),
        ("all", is_solved),
    ):
        arrays[f"{name}_coherent"] = found.em[chosen].sum(axis=0)
        arrays[f"{name}_frames"] = frames[chosen].sum(axis=0)
        arrays[f"{name}_saturated"] = saturated[chosen].any(axis=2).sum(axis=0)
        arrays[f"{name}_pixels"] = np.array(chosen.sum())
    is_hot = edges[:-1] >= _HOT - 1e-6
    hot = found.em[..., is_hot if is_hot.any() else slice(None)].sum(axis=2).max(axis=1)
    best = int(np.where(is_solved, hot, -1.0).argmax())
    arrays["kernel_score"] = np.array(hot[best] if is_solved[best] else -1.0)
    arrays["kernel_pixel"] = np.array(best)
    arrays["kernel_coherent"], arrays["kernel_frames"] = found.em[best], frames[best]
    arrays["kernel_saturated"] = saturated[best].any(axis=1)
    return arrays


def _write_time(
    given: SixChannels, k: int, cards: dict, tiles: Tiles, firsts: range, path: Path, edges
) -> Outcome:
    """Write the file of a time from the tiles."""
    n_bins = len(edges) - 1
    unknown = _summary(np.nan, np.nan, np.full(n_bins, np.nan), 0, 0.0)
    total, n_solved, chi2 = np.zeros(n_bins), 0, []
    is_seen = np.zeros(len(given.channels), bool)
    with open_cube(
        path,
        given.shape,
        edges,
        channels=given.channels,
        unit=given.unit,
        wcs={key: value for key, value in given.wcs.items() if key != "DATE-OBS"},
        header=cards,
        primary=unknown,
    ) as cube:
        names = ("em", "error", "chi2", "status", "model", "observed")
        for first in firsts:
            arrays = dict(zip(names, tiles.read(first, *(f"{n}_{k}" for n in names)), strict=True))
            n_rows = len(arrays["status"])
            cube.write(slice(first, first + n_rows), **arrays)
            solved = arrays["status"] <= NOT_FITTED
            n_solved += int(solved.sum())
            total += arrays["em"][solved].sum(axis=0, dtype=float)
            chi2.append(arrays["chi2"][solved])
            observed = arrays["observed"]
            is_seen |= known_of(observed, np.ones_like(observed)).any(axis=(0, 1))
        mean = total / n_solved if n_solved else np.full(n_bins, np.nan)
        median = float(np.median(np.concatenate(chi2))) if n_solved else np.nan
        share = n_solved / (given.shape[0] * given.shape[1])
        n_lacking = int((~is_seen).sum())
        cube.set_cards(_summary(share, median, mean, n_lacking, 0.0))
    return Outcome(
        given.time,
        path.name,
        solved=share,
        median_chi2=median,
        mean_em=tuple(mean.tolist()) if n_solved else (),
        n_lacking=n_lacking,
    )


def _write_prior_share(staged: StagedTimes, tiles: Tiles, firsts: range, path: Path) -> None:
    """Write the share that the priors decided, (time, y, x), one plane at a time."""
    header = fits.Header()
    header["QUANTITY"] = "share of the emission measure that priors decided"
    header["BUNIT"] = ""
    header["CTYPE3"] = "FRAME"
    for k, given in enumerate(staged.given):
        header[f"TIME{k + 1}"] = given.time
    scratch = scratch_path(path)
    shape = (len(staged.given), *staged.shape)
    header = fits.PrimaryHDU(np.zeros((1, 1, 1), np.float32), header).header
    for axis, side in enumerate(reversed(shape)):
        header[f"NAXIS{axis + 1}"] = side
    streamed = fits.StreamingHDU(str(scratch), header)
    for k in range(len(staged.given)):
        for first in firsts:
            (values,) = tiles.read(first, f"prior_share_{k}")
            streamed.write(np.ascontiguousarray(values, ">f4"))
    streamed.close()
    commit_file(scratch, path)


def _draw_in_time(
    staged: StagedTimes,
    tiles: Tiles,
    firsts: range,
    config: SeriesConfig,
    weight: float,
    path: Path,
) -> None:
    """Draw the hottest pixel and the mean of the flaring pixels, frame by frame and coherent."""
    from tools.plotting.dem_in_time import plot_in_time
    from tools.plotting.style import save_figure

    best = max(firsts, key=lambda first: float(tiles.read(first, "kernel_score")[0]))
    pixel = int(tiles.read(best, "kernel_pixel")[0])
    row, column = best + pixel // staged.shape[1], pixel % staged.shape[1]
    counts = {n: sum(int(tiles.read(f, f"{n}_pixels")[0]) for f in firsts) for n in _REGIONS}
    name = "flaring" if counts["flaring"] else "all"
    if not counts[name]:
        logger.warning("no pixel was solved at all times; in_time.png was left out")
        return
    sums = {
        kind: sum(tiles.read(f, f"{name}_{kind}")[0] for f in firsts) / counts[name]
        for kind in ("frames", "coherent", "saturated")
    }
    words = "mean of flaring pixels" if name == "flaring" else "mean of all pixels"
    kernel = f"pixel ({column}, {row})"
    frames, coherent, saturated = tiles.read(
        best, "kernel_frames", "kernel_coherent", "kernel_saturated"
    )
    region = f"{words} ({counts[name]})"
    times = np.array([g.time for g in staged.given], "datetime64[ms]")
    ways = ("frame by frame", "coherent in time")
    figure = plot_in_time(
        times,
        {
            kernel: dict(zip(ways, (frames, coherent), strict=True)),
            region: dict(zip(ways, (sums["frames"], sums["coherent"]), strict=True)),
        },
        config.edges,
        marked={kernel: saturated.astype(bool), region: sums["saturated"] > 0.5},
        mark_text="a channel is saturated (in most of a region's pixels)",
        title=f"{staged.given[0].time[:10]}, {config.time_penalty}, weight {weight:.3g}",
    )
    save_figure(figure, path)


_REGIONS = ("flaring", "all")
