"""Audit and score anybody's flare forecasts against a flare list or X-ray light curves.

    python network_models/xray_flux_forecast/score.py FORECASTS.csv TRUTH

FORECASTS.csv has a column ``time`` (ISO, UTC) and columns such as ``P(>=M1)``. TRUTH is a flare
list, or an X-ray file or folder. Beside the forecasts stand persistence, climatology, chance and,
where TRUTH begins two years or more before them, a logistic regression on flare history.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.command_line import make_parser, run_script

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Audit, score, print and write; give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("forecasts", help="CSV with time and probabilities")
    parser.add_argument("truth", help="flare list, X-ray file or folder")
    parser.add_argument("--delay-h", type=int, default=0, help="hours from issue to window")
    parser.add_argument("--catch-h", type=int, default=24, help="length of the window, hours")
    parser.add_argument(
        "--class-scale",
        choices=("operational", "true"),
        default="operational",
        help="scale of the classes that were forecast",
    )
    parser.add_argument(
        "--trained-until", default="", metavar="DATE", help="end of the data the forecasts know"
    )
    parser.add_argument("--seed", type=int, default=0, help="of chance and bootstrap")
    parser.add_argument(
        "--output", default="", metavar="FOLDER", help="write skill.json and report.html here"
    )
    return _score(parser.parse_args(argv))


def _score(arguments: argparse.Namespace) -> int:
    from network_models.xray_flux_forecast.forecast_data import read_record
    from network_models.xray_flux_forecast.foreign_forecasts import (
        audit_forecasts,
        read_forecasts,
        score_forecasts,
    )
    from network_models.xray_flux_forecast.report_sections import score_tables
    from tools.atomic_files import write_json
    from tools.report.report import Section, write_report, write_section

    if arguments.output and (Path(arguments.output) / "config.json").exists():
        raise ValueError(
            f"{arguments.output} is a run folder; its report would be overwritten. Give --output "
            "another folder"
        )
    forecasts = read_forecasts(arguments.forecasts)
    record = read_record([arguments.truth], class_scale=arguments.class_scale)
    window = {"delay_h": arguments.delay_h, "catch_h": arguments.catch_h}
    report = audit_forecasts(forecasts, record, trained_until=arguments.trained_until, **window)
    print("Audit of the forecasts\n" + report.text())
    report.require("to score these forecasts")
    card = score_forecasts(forecasts, record, seed=arguments.seed, **window)
    tables = score_tables(card)
    for table in tables:
        print("\n" + _as_text(table))
    if arguments.output:
        folder = Path(arguments.output)
        source = f"{Path(arguments.forecasts).name} against {record.source}"
        checks = [f"{check.name}: {check.detail}" for check in report.checks]
        section = Section("Scores", 40, text=[source, *checks], tables=tables)
        write_section(folder / "scores", section)
        write_json(folder / "skill.json", card)
        page = write_report(folder, title="Scores of flare forecasts", subtitle=source)
        print(f"\nReport: {page}")
    return 0


def _as_text(table) -> str:
    """Lay a table out in columns."""
    rows = [table.header, *table.rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(table.header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([table.caption, *(line.rstrip() for line in lines)])


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
