"""Run everything that a figure in the docs rests on, at full size, and write docs/figures.md.

python benchmarks/figures.py [--flares FLARES.csv] [--x-ray-files FILES...] [--kills 100]

Without the real files their figures are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from network_models.xray_flux_forecast.report_sections import score_tables
from tools.atomic_files import write_bytes, write_text
from tools.report.report import Table, read_sections
from tools.run_folder import software_versions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "figures.md"
_HISTORY = "network_models/xray_flux_forecast/history_only.py"
_IMAGES = "network_models/xray_flux_forecast/fdl1/aia_only.py"
_DECIDED = ("logistic", "history network", "disc totals", "exact")  # rivals of the verdicts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a command gave: its output, wall time and the memory of its largest process."""

    text: str
    seconds: float
    peak_mib: float

    @property
    def json(self) -> dict:
        """The JSON object in the last line."""
        return json.loads(self.text.strip().splitlines()[-1])

    @property
    def cost(self) -> str:
        """Wall time and memory in words."""
        return f"{self.seconds:.0f} s, {self.peak_mib:.0f} MiB"


def run(*arguments: str, **environment: str) -> Outcome:
    """Run a Python script of the suite.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    logger.info("%s", shlex.join(arguments))
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, *arguments],
            {**os.environ, **environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
        )
        _, status, usage = os.wait4(process, 0)
        output.seek(0)
        text = output.read().decode()
    if status != 0:
        raise RuntimeError(f"{shlex.join(arguments)} failed:\n{text[-3000:]}")
    return Outcome(text, time.monotonic() - start, usage.ru_maxrss / 1024)


def main() -> None:
    """Run all and write the page."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flares", default="", help="GOES event list, 1996-2018")
    parser.add_argument("--x-ray-files", nargs="*", default=[], help="real GOES X-ray days")
    parser.add_argument("--kills", type=int, default=100, help="random kill -9 in the resume test")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    parts = [heading()]
    with tempfile.TemporaryDirectory() as folder:
        parts += [
            *image_forecast(Path(folder) / "images"),
            *virtual_forecast(Path(folder) / "virtual"),
            *real_forecast(Path(folder) / "real", arguments.flares),
            *virtual_sun(arguments.flares),
            *x_ray_days(arguments.x_ray_files),
            *robustness(arguments.kills),
            *speed(),
        ]
    write_text(PAGE, "\n".join(parts))
    logger.info("wrote %s", PAGE.relative_to(ROOT))


def heading() -> str:
    """Say when, at which commit and on what the figures were made."""
    versions = software_versions()
    machine = f"{os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}"
    names = ("keras", "tensorflow-cpu", "jax", "numpy", "scikit-learn")
    software = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    return (
        "# Figures\n\n"
        "Written by `make figures`; every figure in README.md and docs stands here with the "
        "command that made it.\n\n"
        f"Commit {versions['commit']}, {time.strftime('%Y-%m-%d', time.gmtime())}. "
        f"{machine}; {software}.\n"
    )


def image_forecast(output: Path) -> list[str]:
    """Render, train and score on the virtual Sun's images, then ask for the same again."""
    stores = output.parent / "stores"
    command = [_IMAGES, "--output", str(output), "--stores", str(stores)]
    outcome = run(*command)
    again = run(*command)
    size = sum(f.stat().st_size for f in stores.rglob("*") if f.is_file()) / 1e6
    lines = [
        "## The forecast from AIA images on the virtual Sun (synthetic)\n",
        f"`make demo`, that is `python {_IMAGES}`: {outcome.cost}, {size:.0f} MB of images; run "
        f"again, it shows the finished run in {again.seconds:.0f} s. The virtual Sun has a seed "
        "that was used in no choice of the network.\n",
    ]
    (path,) = output.iterdir()
    events = json.loads((path / "performance/skill.json").read_text())["events"]
    for name in (">=C1", ">=M1"):
        scores = {n: s["BSS"][0] for n, s in events[name]["scores"].items()}
        best = scores["exact"]
        shares = [
            f"{n} {scores[n] / best:.2f}"
            for n in ("network", "disc totals", "history network", "logistic")
        ]
        lines.append(f"- {name}: share of the exact forecast's Brier skill: {', '.join(shares)}")
    lines[-1] += "\n"
    statistics = next(s for _, s in read_sections(path) if "beside the real one" in s.title)
    lines += [_markdown(table) for table in statistics.tables]
    _keep_pictures(
        output,
        {
            "real_sun/goes_day": "goes_day",
            "real_sun/aia_171": "aia_171",
            "band/band": "band_images",
            "scores/reliability": "reliability_images",
            "misses/miss_1": "miss_images",
        },
    )
    return lines + _scores(output)


def virtual_forecast(output: Path) -> list[str]:
    """Train and score on the virtual Sun, then ask for the same again."""
    outcome = run(_HISTORY, "--output", str(output))
    again = run(_HISTORY, "--output", str(output))
    lines = [
        "## The forecast from history on the virtual Sun (synthetic)\n",
        f"`python {_HISTORY}`: {outcome.cost}; run again, it shows the "
        f"finished run in {again.seconds:.0f} s.\n",
    ]
    _keep_pictures(
        output,
        {
            "band/band": "band_virtual",
            "scores/reliability": "reliability_virtual",
        },
    )
    return lines + _scores(output)


def real_forecast(output: Path, flares: str) -> list[str]:
    """Train and score on the real event list."""
    title = "## The forecast from history on the real GOES event list\n"
    if not flares:
        return [title, "Left out: no event list was given (`--flares`).\n"]
    outcome = run(_HISTORY, "--data", flares, "--output", str(output))
    name = Path(flares).name
    text = f"`python {_HISTORY} --data {name}`: {outcome.cost}.\n"
    _keep_pictures(output, {"band/band": "band_real", "scores/reliability": "reliability_real"})
    return [title, text, *_scores(output)]


def _verdicts(card: dict) -> str:
    """Say what the paired intervals decide, event by event."""
    lines = []
    for event, entry in card["events"].items():
        for pair, scores in entry["differences"].items():
            first, second = pair.split(" - ")
            if second not in _DECIDED or event not in (">=C1", ">=M1"):
                continue
            for score in ("Brier", "log"):
                if not all(isinstance(v, float) for v in scores[score]):
                    continue  # not defined, or infinite
                value, low, high = scores[score]
                words = f"{value:.4f} [{low:.4f}, {high:.4f}]"
                if second == "exact":
                    verdict = "BETTER than exact: a defect" if high < 0 else "not better than exact"
                elif low > 0:
                    verdict = f"WORSE than {second}"
                else:
                    verdict = f"better than {second}" if high < 0 else f"not below {second}"
                lines.append(f"- {event}, {score}: {first} is {verdict}: difference {words}")
    return "What the paired intervals decide:\n\n" + "\n".join(lines) + "\n"


def _keep_pictures(output: Path, names: dict[str, str]) -> None:
    """Copy figures of the only run in a folder to docs/pictures, for README.md."""
    (path,) = output.iterdir()
    for source, target in names.items():
        picture = (path / f"performance/{source}.png").read_bytes()
        write_bytes(ROOT / f"docs/pictures/{target}.png", picture)


def _scores(output: Path) -> list[str]:
    """Give the score card and the leak table of the only run in a folder."""
    (path,) = output.iterdir()
    config = json.loads((path / "config.json").read_text())
    card = json.loads((path / "performance/skill.json").read_text())
    split = config["split"]
    sets = [f"{split[n]['samples']} {n}" for n in ("training", "validation", "test")]
    b = card["bootstrap"]
    lines = [
        f"Split by {split['scheme']}: {', '.join(sets)} samples, {split['purged']} purged; test "
        f"{card['first'][:10]} to {card['last'][:10]}. Intervals: 95 %, {b['draws']} draws of "
        f"{b['blocks']} blocks of {b['block_days']:g} days. Yes/no thresholds are fixed on the "
        "training set.\n"
    ]
    lines.append(_verdicts(card))
    lines += [_markdown(table) for table in score_tables(card)]
    leak = next(s for _, s in read_sections(path) if s.title.startswith("What a random split"))
    return [*lines, f"{leak.title}: {leak.text[-1]}\n", _markdown(leak.tables[0])]


def virtual_sun(flares: str) -> list[str]:
    """Hold the exact probability to simulation, and the base rates to the real Sun's."""
    more = ["--flares", flares] if flares else []
    outcome = run("benchmarks/virtual_sun_checks.py", *more)
    command = "`python benchmarks/virtual_sun_checks.py --flares FLARES.csv`"
    return ["## The exact probability\n", f"{command}: {outcome.cost}.\n", _listed(outcome.json)]


def x_ray_days(files: list[str]) -> list[str]:
    """Read real X-ray days."""
    title = "## Real GOES days\n"
    if not files:
        return [title, "Left out: no files were given (`--x-ray-files`).\n"]
    outcome = run("benchmarks/goes_days.py", *files)
    return [title, "`python benchmarks/goes_days.py FILES`\n", _listed(outcome.json)]


def robustness(kills: int) -> list[str]:
    """Kill trainings, compare backends, and run the whole suite."""
    tests = "software_tests/network_models"
    files = [f"{tests}/test_{name}.py" for name in ("training", "checkpoint", "image_training")]
    selected = [*files, "-m", "", "-q"]
    killed = run("-m", "pytest", *selected, HELIOLENS_KILLS=str(kills))
    suite = run("software_tests/tests.py", "-q")
    backends = run("benchmarks/backends.py")
    return [
        "## Resume, backends, tests\n",
        f"`HELIOLENS_KILLS={kills} python -m pytest {' '.join(files)} -m ''`: "
        f"{_last_line(killed)}. Among them: killed at every write, fsync and replace; {kills} kill "
        "-9 at random moments of each network's training, all arrays equal to the uninterrupted "
        "run's; 20 commands started together get 20 folders.\n",
        f"`make test`: {_last_line(suite)}, {suite.peak_mib:.0f} MiB.\n",
        "`python benchmarks/backends.py`\n",
        _listed(backends.json),
    ]


def speed() -> list[str]:
    """Run the comparisons of speed."""
    lines = ["## Speed\n"]
    for script in ("exact_probability", "streaming", "feeding", "mixed_precision"):
        outcome = run(f"benchmarks/{script}.py")
        lines += [f"`python benchmarks/{script}.py`\n", _listed(outcome.json)]
    return lines


def _last_line(outcome: Outcome) -> str:
    return outcome.text.strip().splitlines()[-1].strip("= ")


def _markdown(table: Table) -> str:
    """Write a table in Markdown."""
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return f"{table.caption}\n\n" + "\n".join(lines) + "\n"


def _listed(value: dict, depth: int = 0) -> str:
    """Write nested figures as a list."""
    lines = []
    for name, item in value.items():
        if isinstance(item, dict):
            lines += [f"{'  ' * depth}- {name}", _listed(item, depth + 1).rstrip("\n")]
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            lines += [f"{'  ' * depth}- {name}: " + "; ".join(_inline(i) for i in item)]
        else:
            lines.append(f"{'  ' * depth}- {name}: {item}")
    return "\n".join(lines) + "\n"


def _inline(value: dict) -> str:
    return ", ".join(f"{name} {item}" for name, item in value.items())


def _processor() -> str:
    """Give the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
