"""The figures of ``benchmarks/dem.py`` as tables in Markdown."""

from __future__ import annotations

import numpy as np

from benchmarks.dem_accuracy import group_of
from benchmarks.figure_text import markdown
from tools.emission_measure.families import LOG_T_EDGES
from tools.report.report import Table

__all__ = ["dem_tables"]

_MIDDLES = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2
_SHARES = {"failed": "no answer", "not fitted": "not fitted"}
_SHARES |= {"with a negative bin": "negative", "all zero": "all zero"}


def dem_tables(figures: dict) -> list[str]:
    """Write accuracy by family, faults, channels, coverage, single temperatures and speed.

    Parameters
    ----------
    figures : dict
        What ``benchmarks/dem.py`` prints.

    Returns
    -------
    list of str
    """
    parts = [
        f"Response {figures['response']}, {figures['threads']} threads. Maps of "
        f"{figures['pixels of a map']} pixels a family, truth known; slow peers have the same "
        f"{figures['pixels of a map for slow peers']} of them. L1 is sum |found - true| / sum "
        "true; W1 is how far emission measure has to be moved in log T. Medians over all pixels, "
        "those without an answer included. Networks never learnt from families marked *. "
        '"The truth in the bins" says what the bins themselves cost.\n'
    ]
    for level, families in figures["scores"].items():
        for score in ("L1", "W1, dex", "total EM, relative error", "chi2"):
            parts.append(_by_family(f"{level}: {score}", families, score))
        parts += [_faults(level, families), _channels(level, families)]
    parts += [_difference_table(*key) for key in _differences(figures["differences"])]
    parts += [_coverage(level, groups) for level, groups in figures["coverage"].items() if groups]
    parts += [_coverage_by_family(*item) for item in figures["scores"].items()]
    parts += [
        _single_temperatures(shape, ways) for shape, ways in figures["single temperatures"].items()
    ]
    return parts + _speeds(figures)


def _table(caption: str, header: list[str], rows: list[list]) -> str:
    cells = [[_cell(value) for value in row] for row in rows]
    return markdown(Table(caption, header, cells))


def _cell(value) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _heading(family: str) -> str:
    return family + ("*" if group_of(family) == "out of prior" else "")


def _by_family(caption: str, families: dict, score: str) -> str:
    ways = next(iter(families.values()))
    rows = [[way, *(families[family][way][score] for family in families)] for way in ways]
    return _table(caption, ["", *map(_heading, families)], rows)


def _faults(level: str, families: dict) -> str:
    """Give shares of all pixels of all families."""
    ways = next(iter(families.values()))
    rows = []
    for way in ways:
        shares = [np.mean([families[f][way][fault] for f in families]) for fault in _SHARES]
        rows.append([way, *(f"{100 * share:.2f} %" for share in shares)])
    return _table(f"{level}: pixels with faults, all families", ["", *_SHARES.values()], rows)


def _channels(level: str, families: dict) -> str:
    """Give the range over the families of what each channel's light is of the true one."""
    ways = next(iter(families.values()))
    rows, channels = [], None
    for way in ways:
        of_way = [families[f][way]["channels over the true ones"] for f in families]
        channels = list(of_way[0])
        ranges = [[ratios[c] for ratios in of_way] for c in channels]
        rows.append([way, *(f"{min(r):.2f} to {max(r):.2f}" for r in ranges)])
    caption = f"{level}: synthesised over true brightness, medians, from the lowest family to the "
    return _table(caption + "highest", ["", *(f"{c} Å" for c in channels or [])], rows)


def _differences(differences: dict) -> list[tuple]:
    return [
        (network, level, score, families)
        for network, levels in differences.items()
        for level, families in levels.items()
        for score in ("L1", "W1, dex")
    ]


def _difference_table(network: str, level: str, score: str, families: dict) -> str:
    others = next(iter(families.values()))
    rows = []
    for other in others:
        cells = [families[family][other][score] for family in families]
        rows.append([other, *(f"{d:.3f} [{low:.3f}, {high:.3f}]" for d, low, high in cells)])
    caption = f"{level}: {score} of {network}, less that of another way, with 95 % intervals over "
    return _table(caption + "blocks of 8 x 8 pixels", ["", *map(_heading, families)], rows)


def _coverage(level: str, groups: dict) -> str:
    """Give shares of bins within their bars: all, and by temperature."""
    rows = [
        [f"{way}, {group}", wide, cover[wide], *cover[f"{wide}, bin by bin"]]
        for group, ways in groups.items()
        for way, cover in ways.items()
        for wide in ("68 %", "95 %")
        if wide in cover
    ]
    caption = f"{level}: share of bins whose truth lies within their bars, all and by log T"
    return _table(caption, ["", "bars of", "all", *(f"{m:.1f}" for m in _MIDDLES)], rows)


def _coverage_by_family(level: str, families: dict) -> str:
    """Give shares of bins within their bars, by the family of the plasma."""
    ways = next(iter(families.values()))
    rows = []
    for way in ways:
        for wide in ("68 %", "95 %"):
            shares = [of_way[way].get(f"within {wide}") for of_way in families.values()]
            if any(share is not None for share in shares):
                rows.append([way, wide, *shares])
    caption = f"{level}: share of bins whose truth lies within their bars, by family"
    return _table(caption, ["", "bars of", *map(_heading, families)], rows)


def _single_temperatures(shape: str, ways: dict) -> str:
    temperatures = next(iter(ways.values()))
    rows = []
    for way, cells in ways.items():
        row = [way]
        for cell in cells.values():
            words = [_cell(cell[name]) for name in ("log T", "EM ratio", "its ratio")]
            row.append(f"{words[0]}, {words[1]}, {words[2]} ({cell['worst channel']})")
        rows.append([*row, cells["7.0"]["171 ratio"]])
    caption = (
        f"Plasma of one temperature ({shape}), no noise: log T found, emission measure over the "
        "true one, and the worst channel's brightness over the true one; log T 7.0 is 10 MK"
    )
    header = ["", *(f"log T {t}" for t in temperatures), "171 Å at 10 MK"]
    return _table(caption, header, rows)


def _speeds(figures: dict) -> list[str]:
    levels = figures["speed"]
    header = ["", *levels]

    def rows(key: str, cell=lambda value: value) -> list[list]:
        names = next(iter(levels.values()))[key]
        return [[name, *(cell(level[key][name]) for level in levels.values())] for name in names]

    parts = [
        _table(
            "Pixels per second, medians of rounds in one run; memory was touched before each",
            header,
            rows("pixels/s"),
        ),
        _table("Times as fast, medians of the ratios within rounds", header, rows("ratios")),
        _table(
            "Basis pursuit beside SciPy's HiGHS on random pixels",
            header,
            rows("basis pursuit and HiGHS", _exact),
        ),
    ]
    if "large map" in figures:
        large = dict(figures["large map"])
        side = large.pop("pixels along a side")
        cells = [
            [name, *(level[name] for level in large.values())]
            for name in next(iter(large.values()))
        ]
        caption = f"Basis pursuit of a {side} x {side} map, in tiles, in a process of its own"
        parts.append(_table(caption, ["", *large], cells))
    return parts


def _exact(value: float) -> str:
    return f"{value:.1e}" if isinstance(value, float) and value else f"{value:g}"
