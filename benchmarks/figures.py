"""Run everything that a figure in the docs rests on, at full size, and write docs/figures.md.

python benchmarks/figures.py [--only PART...] [--flares FLARES.csv] [--x-ray-files FILES...]

Every part of the page names the commit that it was made at; ``--only`` makes some parts anew and
keeps the others. Without the real files their figures are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figure_dem import (
    corona,
    deepem,
    distillation,
    emission_measure,
    emission_networks,
    intervals,
)
from benchmarks.figure_inversions import (
    coherent_dem,
    coupled_atmospheres,
    derivatives,
    gaussian_fit,
    milne_eddington,
    neural_field,
    real_lines,
    weak_field,
)
from benchmarks.figure_scenes import regions, scene_maps, scenes, slic_speed
from benchmarks.figure_search import robust_search, search, searches
from benchmarks.figure_text import listed, markdown, processor, verdicts
from benchmarks.running import ROOT, Outcome, run
from network_models.xray_flux_forecast.report_sections import score_tables
from tools.atomic_files import write_bytes, write_text
from tools.report.report import read_sections
from tools.run_folder import software_versions

PAGE = ROOT / "docs" / "figures.md"
_HISTORY = "network_models/xray_flux_forecast/history_only.py"
_IMAGES = "network_models/xray_flux_forecast/fdl1/aia_only.py"
_BOTH = "network_models/xray_flux_forecast/fdl1/aia_and_goes.py"
_LONG = ("--virtual-years", "176", "--epochs", "12", "--virtual-seed", "3")
_TESTS = "software_tests/network_models"

logger = logging.getLogger(__name__)


def main() -> None:
    """Run all parts, or some, and write the page after each."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="parts to make anew")
    parser.add_argument("--flares", default="", help="GOES event list, 1996-2018")
    parser.add_argument("--x-ray-files", nargs="*", default=[], help="real GOES X-ray days")
    parser.add_argument("--keep", default="", help="a folder in which runs and stores are kept")
    parser.add_argument("--deepem", default="", help="run of the seed's network by its own recipe")
    parser.add_argument("--smooth", default="", help="run of train.py --rough-share 0")
    parser.add_argument("--kills", type=int, default=100, help="random kill -9 in the resume test")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    page = read_page()
    for name in arguments.only or list(PARTS):
        title, make = PARTS[name]
        with contextlib.ExitStack() as stack:
            folder = Path(arguments.keep).resolve() / name
            if not arguments.keep:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            shutil.rmtree(folder / "runs", ignore_errors=True)  # of an earlier making
            folder.mkdir(parents=True, exist_ok=True)
            at = made_at()  # before pictures in docs change
            body = make(folder, arguments)
        page[title] = "\n".join([at, *body]).rstrip("\n") + "\n"
        write_text(PAGE, page_text(page))
        logger.info("wrote %s of %s", name, PAGE.relative_to(ROOT))


def made_at() -> str:
    """Say when, at which commit and on what a part was made."""
    versions = software_versions()
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    names = ("keras", "tensorflow-cpu", "jax", "numpy", "scikit-learn")
    software = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return f"Commit {versions['commit']}, {date}. {machine}; {software}.\n"


def read_page() -> dict[str, str]:
    """Give the parts of the page by their titles."""
    if not PAGE.exists():
        return {}
    parts = PAGE.read_text().split("\n## ")[1:]
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1].lstrip("\n") for part in parts}


def page_text(page: dict[str, str]) -> str:
    """Write the parts in their order; what is no longer made is left out."""
    heading = (
        "# Figures\n\n"
        "Written by `make figures`; every figure in README.md and docs stands here with the "
        "command that made it and the commit that it was made at.\n"
    )
    titles = [title for title, _ in PARTS.values() if title in page]
    return "\n".join([heading, *(f"## {title}\n\n{page[title]}" for title in titles)])


def image_demo(folder: Path, _: argparse.Namespace) -> list[str]:
    """Run the demo, then ask for the same again."""
    lines = _image_forecast(folder, "`make demo`, that is ")
    pictures = {
        "real_sun/goes_day": "goes_day",
        "real_sun/aia_171": "aia_171",
        "band/band": "band_images",
        "scores/reliability": "reliability_images",
        "misses/miss_1": "miss_images",
    }
    _keep_pictures(folder / "runs", pictures)
    store, store_script = str(folder / "sheet"), "dataset_models/store.py"
    run(store_script, "build", store, *"--size 512 --years 5.3 --cadence-h 9000 --seed 2".split())
    run(store_script, "inspect", store, "--contact-sheet", "docs/pictures/virtual_sun.png")
    return lines


def image_forecast(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train longer on more virtual years."""
    return _image_forecast(folder, "", *_LONG)


def both_forecast(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train as long on images and flare history."""
    return _image_forecast(folder, "", *_LONG, script=_BOTH)


def _image_forecast(folder: Path, what: str, *options: str, script: str = _IMAGES) -> list[str]:
    """Render, train and score on the virtual Sun's images, then ask for the same again."""
    stores, output = folder / "stores", folder / "runs"
    command = [script, *options, "--output", str(output), "--stores", str(stores)]
    outcome = run(*command)
    again = run(*command)
    seed = options[options.index("--virtual-seed") + 1] if "--virtual-seed" in options else 2
    size = sum(f.stat().st_size for f in stores.rglob("*") if f.is_file()) / 1e6
    lines = [
        f"{what}`python {shlex.join([script, *options])}`: {outcome.cost}, {size:.0f} MB of "
        f"images; run again, it shows the finished run in {again.seconds:.0f} s. The virtual Sun "
        f"has seed {seed}, the network was designed on seed 1.\n"
    ]
    (path,) = output.iterdir()
    events = json.loads((path / "performance/skill.json").read_text())["events"]
    for name in (">=C1", ">=M1"):
        scores = {n: s["BSS"][0] for n, s in events[name]["scores"].items()}
        shares = [
            f"{n} {scores[n] / scores['exact']:.3f}"
            for n in ("network", "disc totals", "history network", "logistic")
        ]
        lines.append(f"- {name}: share of the exact forecast's Brier skill: {', '.join(shares)}")
    lines[-1] += "\n"
    statistics = next(s for _, s in read_sections(path) if "beside the real one" in s.title)
    return [*lines, *(markdown(table) for table in statistics.tables), *_scores(output)]


def virtual_forecast(folder: Path, _: argparse.Namespace) -> list[str]:
    """Train and score on the virtual Sun's history, then ask for the same again."""
    outcome = run(_HISTORY, "--output", str(folder / "runs"))
    again = run(_HISTORY, "--output", str(folder / "runs"))
    lines = [
        f"`python {_HISTORY}`: {outcome.cost}; run again, it shows the finished run in "
        f"{again.seconds:.0f} s.\n",
    ]
    pictures = {"band/band": "band_virtual", "scores/reliability": "reliability_virtual"}
    _keep_pictures(folder / "runs", pictures)
    return lines + _scores(folder / "runs")


def real_forecast(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Train and score on the real event list."""
    if not arguments.flares:
        return ["Left out: no event list was given (`--flares`).\n"]
    outcome = run(_HISTORY, "--data", arguments.flares, "--output", str(folder / "runs"))
    name = Path(arguments.flares).name
    text = f"`python {_HISTORY} --data {name}`: {outcome.cost}.\n"
    pictures = {"band/band": "band_real", "scores/reliability": "reliability_real"}
    _keep_pictures(folder / "runs", pictures)
    return [text, *_scores(folder / "runs")]


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
    lines.append(verdicts(card))
    lines += [markdown(table) for table in score_tables(card)]
    leak = next(s for _, s in read_sections(path) if s.title.startswith("What a random split"))
    return [*lines, f"{leak.title}: {leak.text[-1]}\n", markdown(leak.tables[0])]


def virtual_sun(_: Path, arguments: argparse.Namespace) -> list[str]:
    """Hold the exact probability to simulation, and the base rates to the real Sun's."""
    more = ["--flares", arguments.flares] if arguments.flares else []
    outcome = run("benchmarks/virtual_sun_checks.py", *more)
    command = "`python benchmarks/virtual_sun_checks.py --flares FLARES.csv`"
    return [f"{command}: {outcome.cost}.\n", listed(outcome.json)]


def x_ray_days(_: Path, arguments: argparse.Namespace) -> list[str]:
    """Read real X-ray days."""
    if not arguments.x_ray_files:
        return ["Left out: no files were given (`--x-ray-files`).\n"]
    outcome = run("benchmarks/goes_days.py", *arguments.x_ray_files)
    return ["`python benchmarks/goes_days.py FILES`\n", listed(outcome.json)]


def robustness(_: Path, arguments: argparse.Namespace) -> list[str]:
    """Kill trainings of the history network, and compare backends."""
    files = [f"{_TESTS}/test_training.py", f"{_TESTS}/test_checkpoint.py"]
    killed = run("-m", "pytest", *files, "-m", "", "-q", HELIOLENS_KILLS=str(arguments.kills))
    backends = run("benchmarks/backends.py")
    return [
        f"`HELIOLENS_KILLS={arguments.kills} python -m pytest {' '.join(files)} -m ''`: "
        f"{_last_line(killed)}. Among them: killed at every write, fsync and replace; "
        f"{arguments.kills} kill -9 at random moments, all arrays equal to the uninterrupted "
        "run's; 20 commands started together get 20 folders.\n",
        "`python benchmarks/backends.py`\n",
        listed(backends.json),
    ]


def suite(_: Path, arguments: argparse.Namespace) -> list[str]:
    """Run the whole test suite, and kill trainings of the image network."""
    tests = run("software_tests/tests.py", "-q")
    kills = str(arguments.kills)
    file = f"{_TESTS}/test_image_training.py"
    killed = run("-m", "pytest", file, "-q", HELIOLENS_KILLS=kills)
    return [
        f"`make test`: {_last_line(tests)}, largest process {tests.peak_mib:.0f} MiB.\n",
        f"`HELIOLENS_KILLS={kills} python -m pytest {file}`: {_last_line(killed)}; {kills} kill -9 "
        "at random moments of an image network's training, all arrays equal to the uninterrupted "
        "run's.\n",
    ]


def explanations(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Explain the demo's run, and hold every method to what truly moves its forecast."""
    runs = Path(arguments.keep).resolve() / "demo" / "runs"
    found = sorted(runs.glob("*/report.html")) if arguments.keep else []
    if not found:
        return ["Left out: the demo's run was not kept (`--keep FOLDER --only demo why`).\n"]
    path = found[-1].parent
    card = (path / "performance/predictions.csv").read_text().splitlines()
    times = [line.split(",")[0] for line in card[1:]]
    chance = [float(line.split(",")[card[0].split(",").index("P(>=M1)")]) for line in card[1:]]
    time_of = times[max(range(len(chance)), key=chance.__getitem__)]
    saliency = "science/saliency/saliency.py"
    shutil.rmtree(folder)  # what an earlier run explained
    shown = run(
        saliency, str(path), time_of, "--target", "P(>=M1)", "--log-odds", "--output", str(folder)
    )
    features = run(
        "science/deconvolutional/deconvolutional.py", str(path), time_of, "--output", str(folder)
    )
    embedding = run("science/embedding/tsne.py", str(path), "--output", str(folder))
    for pattern, name in (
        ("*/map.png", "saliency"),
        ("*/filters.png", "deconvolution"),
        ("*/embedding.png", "embedding"),
    ):
        (picture,) = folder.glob(pattern)
        write_bytes(ROOT / f"docs/pictures/{name}.png", picture.read_bytes())
    costs = run("benchmarks/explaining.py")
    zero = "--sets validation --methods integrated-gradients --baseline zero".split()
    other = run("benchmarks/attribution.py", str(path), *zero)
    truth = run("benchmarks/attribution.py", str(path))
    return [
        f"On the demo's run, at the time of its largest P(>=M1), {time_of}: `{saliency}` "
        f"{shown.cost}; `deconvolutional.py` {features.cost}; `tsne.py` {embedding.cost}.\n",
        "`python benchmarks/attribution.py RUN`: shares with 95 % intervals and their number.\n",
        listed(truth.json),
        f"`python benchmarks/attribution.py RUN {' '.join(zero)}`: the baseline that was not "
        "chosen.\n",
        listed(other.json),
        "`python benchmarks/explaining.py`\n",
        listed(costs.json),
    ]


def _speed_of(*scripts: str) -> Callable[[Path, argparse.Namespace], list[str]]:
    """Give a part that runs comparisons of speed."""

    def make(_: Path, __: argparse.Namespace) -> list[str]:
        lines = []
        for script in scripts:
            outcome = run(f"benchmarks/{script}.py")
            lines += [f"`python benchmarks/{script}.py`\n", listed(outcome.json)]
        return lines

    return make


def _last_line(outcome: Outcome) -> str:
    return outcome.text.strip().splitlines()[-1].strip("= ")


PARTS = {
    "demo": ("The demo: a forecast from AIA images on the virtual Sun (synthetic)", image_demo),
    "images": ("The same on more virtual years (synthetic)", image_forecast),
    "both": ("AIA images and flare history on the virtual Sun (synthetic)", both_forecast),
    "history": ("The forecast from history on the virtual Sun (synthetic)", virtual_forecast),
    "real": ("The forecast from history on the real GOES event list", real_forecast),
    "exact": ("The exact probability", virtual_sun),
    "goes": ("Real GOES days", x_ray_days),
    "feeding": ("Feeding the image network", _speed_of("feeding", "mixed_precision")),
    "kills": ("Resume and backends", robustness),
    "why": ("Explanations of the demo's network (synthetic)", explanations),
    "dem": ("Emission measure of simulated maps (synthetic)", emission_measure),
    "corona": ("Emission measure of the virtual Sun (synthetic)", corona),
    "networks": ("Training the networks of emission measure (synthetic)", emission_networks),
    "deepem": ("Training DeepEM by its own recipe (synthetic)", deepem),
    "distillation": ("Networks of emission measure that imitate solvers (synthetic)", distillation),
    "intervals": ("Intervals of the networks, and random curves (synthetic)", intervals),
    "weak-field": ("Magnetic field in weak fields (synthetic)", weak_field),
    "gaussian-fit": (
        "Gaussian fits of lines, compared with other programs (synthetic)",
        gaussian_fit,
    ),
    "milne-eddington": ("Milne-Eddington inversions (synthetic)", milne_eddington),
    "coupled-atmospheres": (
        "Milne-Eddington behind a telescope (synthetic)",
        coupled_atmospheres,
    ),
    "coherent-dem": ("Emission measure coherent in time (synthetic)", coherent_dem),
    "neural-field": ("Neural fields of maps (synthetic)", neural_field),
    "derivatives": ("Derivatives of the forward models", derivatives),
    "real-lines": ("Gaussian fits of real lines", real_lines),
    "scenes": ("Classes of solar scenes (synthetic training)", scenes),
    "scene-maps": (
        "The packaged classifier of scenes, and where its maps lie",
        scene_maps,
    ),
    "slic-speed": ("Slic's network beside PyTorch's", slic_speed),
    "regions": ("Regions of the virtual Sun (synthetic)", regions),
    "search": ("Architecture search: the virtual Sun forecast (synthetic)", search),
    "searches": ("Architecture search: emission measure and scenes (synthetic)", searches),
    "search-kills": ("Architecture search: killed workers and drivers", robust_search),
    "suite": ("The test suite", suite),
    "speed": ("Speed", _speed_of("exact_probability", "streaming")),
}

if __name__ == "__main__":
    main()
