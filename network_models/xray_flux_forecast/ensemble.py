"""Combine finished flux forecasts into one, and score it beside its members.

    python network_models/xray_flux_forecast/ensemble.py RUN RUN...

The members may be of different kinds, on the same record: history, images, other seeds. Their
distributions are averaged with equal weights, so nothing is fitted. Only times that lie in the test
set of every member are scored, so that no member saw any of them.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.command_line import make_parser, quiet_start, run_script

if TYPE_CHECKING:
    from dataset_models.splits import Split
    from network_models.training.reopen import OpenedRun

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Combine, score and report; give the exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="finished run folders")
    parser.add_argument(
        "--output",
        default="network_models/xray_flux_forecast/trained_models",
        help="where the ensemble's run folder is made",
    )
    parser.add_argument("--bootstrap-draws", type=int, default=1000, help="resampled test sets")
    arguments = parser.parse_args(given)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if len(arguments.runs) < 2:
        raise ValueError("an ensemble needs two or more runs")
    if len({Path(path).resolve() for path in arguments.runs}) < len(arguments.runs):
        raise ValueError("a run is named twice")
    if arguments.bootstrap_draws < 1:
        raise ValueError("--bootstrap-draws must be 1 or more")
    script = "network_models/xray_flux_forecast/ensemble.py"
    command = " ".join(["python", script, *(shlex.quote(text) for text in given)])
    with quiet_start():
        from dataset_models.SDO.AIA.fdl_1 import FDL1
        from network_models.training.reopen import reopen_run
        from network_models.xray_flux_forecast.flux_forecast import bins_of_run

    members = [reopen_run(path) for path in arguments.runs]
    for member in members:
        bins_of_run(member.run)  # refuses what is no flux forecast
    with quiet_start():
        # one on images first: it has all baselines
        members.sort(key=lambda member: not isinstance(member.data.dataset, FDL1))
    return _combine(members, arguments.output, arguments.bootstrap_draws, command)


def _combine(members: list[OpenedRun], output: str, n_draws: int, command: str) -> int:
    from network_models.training.targets import written_targets
    from network_models.xray_flux_forecast.evaluation import evaluate
    from network_models.xray_flux_forecast.flux_forecast import (
        bins_of_run,
        flux_targets,
        write_forecasts,
    )
    from network_models.xray_flux_forecast.report_sections import (
        headline_figures,
        write_repeat_section,
        write_scores_section,
    )
    from tools.atomic_files import write_json
    from tools.report.report import write_report
    from tools.run_folder import new_run_folder, software_versions

    _require_alike(members)
    first = members[0]
    split = _common_split(members)
    names = [_name(member) for member in members]
    dataset, bins = first.data.dataset, bins_of_run(first.run)
    outputs = [_outputs(member, first, split) for member in members]
    mean = tuple(np.mean([pair[k] for pair in outputs], axis=0) for k in (0, 1))
    evaluation = evaluate(
        dataset,
        split,
        bins,
        training_output=mean[0],
        test_output=mean[1],
        rivals=dict(zip(names, outputs, strict=True)),
        limit=first.data.more,
        n_draws=n_draws,
        block_days=first.config.bootstrap_block_days,
        seed=first.config.seed,
    )
    run = new_run_folder(output)
    try:
        run.write_config(
            {
                "network": "ensemble",
                "members": [str(member.run.path) for member in members],
                "weights": "equal",
                "bins": {"edges": list(bins.edges), "tail_index": bins.tail_index},
                "targets": written_targets(flux_targets(bins)),
                "versions": software_versions(),
                "data": first.run.config["data"],
                "data_of_members": [member.run.config["data"] for member in members],
                "split": split.to_dict(dataset.table),
            }
        )
        times = dataset.times[split.test]
        observed = {"observed_log10_flux": dataset.log10_peak_flux[split.test]}
        write_forecasts(run / "performance/predictions.csv", times, bins, mean[1], more=observed)
        write_json(run / "performance/skill.json", evaluation.card)
        for name in ("scores", "repeat"):
            (run / "performance" / name).mkdir(exist_ok=True)
        write_scores_section(run / "performance/scores", evaluation)
        write_repeat_section(run / "performance/repeat", run.config, command)
        write_report(
            run.path,
            title=f"X-ray flux forecast: an ensemble of {len(members)} runs",
            subtitle=f"{dataset.record.source}. Members, with equal weights: {', '.join(names)}.",
        )
    finally:
        run.unlock()
    for line in headline_figures(evaluation.card):
        print(line.replace("network", "ensemble", 1))
    print(f"Report: {run / 'report.html'}")
    return 0


def _require_alike(members: list[OpenedRun]) -> None:
    """Refuse members whose forecasts are of different things."""
    first = members[0]
    what = ("delay_h", "catch_h", "floor_flux", "class_scale")
    for member in members[1:]:
        for name in what:
            mine, other = getattr(first.config, name), getattr(member.config, name)
            if mine != other:
                raise ValueError(
                    f"{member.run.path} forecasts with {name} {other}, {first.run.path} with "
                    f"{mine}; only forecasts of the same thing can be combined"
                )
        a, b = first.data.dataset.record, member.data.dataset.record
        if not (
            np.array_equal(a.peak_time, b.peak_time)
            and np.array_equal(a.peak_flux, b.peak_flux)
            and first.run.config["data"]["label_kind"] == member.run.config["data"]["label_kind"]
        ):
            raise ValueError(
                f"{member.run.path} and {first.run.path} were trained on different records"
            )


def _common_split(members: list[OpenedRun]) -> Split:
    """Return the first member's split, cut to times that all members have in the same set."""
    first = members[0]
    sets = {}
    for name in ("training", "test"):
        times = first.data.dataset.times[getattr(first.data.split, name)]
        for member in members[1:]:
            others = member.data.dataset.times[getattr(member.data.split, name)]
            times = np.intersect1d(times, others)
        if len(times) == 0:
            raise ValueError(
                f"the runs have no time in common in their {name} sets: train them with the same "
                "--test-from and --cadence-h"
            )
        sets[name] = np.searchsorted(first.data.dataset.times, times)
    logger.info("%d common test times", len(sets["test"]))
    none = np.array([], int)
    scheme = f"the times that {len(members)} runs have in common"
    return replace(first.data.split, **sets, validation=none, scheme=scheme, n_purged=0)


def _outputs(member: OpenedRun, first: OpenedRun, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return a member's distributions at the common training and test times."""
    from dataset_models.streaming import Batches
    from network_models.training.fitting import predict

    dataset, network = member.data.dataset, member.network()
    found = []
    for rows in (split.training, split.test):
        own = np.searchsorted(dataset.times, first.data.dataset.times[rows])
        found.append(predict(network, Batches(dataset, own, batch_size=dataset.rows_at_once)))
    return found[0], found[1]


def _name(member: OpenedRun) -> str:
    return f"{member.run.config['network']} ({member.run.path.name})"


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
