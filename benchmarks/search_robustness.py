"""What a search loses when workers and drivers are killed: nothing, counted trial by trial.

    python benchmarks/search_robustness.py [--trials 30] [--stores FOLDER]

First the virtual Sun forecast from images is searched by a dask scheduler and two workers of one
thread each, one of which is killed while it works; then a search of the forecast from history is
killed at five moments and gone on with, beside one that nobody killed. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.running import ROOT
from network_models.smac.trials import finished_trials
from tools.long_work.journal import Journal

_OPTIMIZE = str(ROOT / "network_models/smac/optimize.py")
_IMAGES = "network_models/xray_flux_forecast/fdl1/aia_only.py"
_HISTORY = "network_models/xray_flux_forecast/history_only.py"
_HERE = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
_FAST = ("--no-random-search", "--no-retrain")
_YEARS = ("--virtual-years", "11", "--cadence-h", "48", "--history-h", "168")


def main() -> None:
    """Run both, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30, help="of each search")
    parser.add_argument("--stores", default="image_stores", help="where images are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = _on_a_cluster(Path(folder), arguments.trials, arguments.stores)
        killed = _killed(Path(folder), arguments.trials)
    print(json.dumps({"cluster that lost a worker": cluster, "driver killed": killed}))


def _on_a_cluster(folder: Path, trials: int, stores: str) -> dict:
    """Search on a scheduler with two workers; kill one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    processes = [_dask("scheduler", "--port", port, *_HERE)]
    try:
        worker = ("worker", address, "--nthreads", "1", "--no-nanny", *_HERE)
        processes += [_dask(*worker) for _ in range(2)]
        start = time.monotonic()
        small = ["--training-share", "0.03", "--max-epochs", "3", "--trials", str(trials)]
        options = ["--scheduler", address, "--minutes", "60", "--output", str(folder / "cluster")]
        command = [_OPTIMIZE, _IMAGES, *small, *options, *_FAST, "--", "--stores", stores]
        driver = subprocess.Popen([sys.executable, *command], stdout=sys.stderr)
        _wait_for(folder / "cluster", driver, 5)
        os.killpg(processes[1].pid, signal.SIGKILL)
        status = driver.wait()
        seconds = time.monotonic() - start
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {**_counted(folder / "cluster"), "exit status": status, "s": round(seconds)}


def _killed(folder: Path, trials: int) -> dict:
    """Kill a driver five times, and count beside a search that nobody killed."""
    found = {}
    for name, kills in (("nobody killed", 0), ("killed five times", 5)):
        output, n_killed = folder / name.replace(" ", "_"), 0
        command = [
            sys.executable,
            _OPTIMIZE,
            _HISTORY,
            "--trials",
            str(trials),
            "--max-epochs",
            "9",
        ]
        command += ["--minutes", "60", "--output", str(output), *_FAST, "--", *_YEARS]
        for kill in range(kills):
            driver = subprocess.Popen(command, stdout=sys.stderr)
            _wait_for(output, driver, 1 + kill * trials // 6)
            n_killed += driver.poll() is None
            driver.kill()
            driver.wait()
        subprocess.run(command, stdout=sys.stderr, check=True)
        found[name] = {**_counted(output), "killed while it searched": n_killed}
    return found


def _dask(*arguments: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_for(folder: Path, driver: subprocess.Popen, n: int) -> None:
    """Wait until a search has some finished trials, or has ended."""
    table = folder / "trials.csv"
    while driver.poll() is None and not (table.exists() and table.read_text().count("\n") > n):
        time.sleep(0.2)


def _counted(folder: Path) -> dict:
    """Count what the journals of a search hold: its trials, and the finals beside them."""
    trials = _of_a_journal(folder / "trials.journal")
    finals = _of_a_journal(folder / "finals.journal")
    names = ("asked", "finished", "without a result")
    return trials | {"finals": {name: finals[name] for name in names}}


def _of_a_journal(file: Path) -> dict:
    with Journal(file) as journal:
        records = [record for _, record in journal.entries()]
    finished = finished_trials(records)
    asked = sum("asked" in record for record in records)
    return {
        "asked": asked,
        "finished": len({trial.number for trial, _ in finished}),
        "without a result": asked - len(finished),
        "by status": dict(Counter(result.status for _, result in finished)),
        "by passes": {
            f"{b:g}": n for b, n in sorted(Counter(t.budget for t, _ in finished).items())
        },
        "processes": len({result.facts.get("process") for _, result in finished}),
    }


if __name__ == "__main__":
    main()
