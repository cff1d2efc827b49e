"""Keep a finished run's network in the suite, so that inversion works at once.

python network_models/dem_regression/package.py RUN
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.command_line import make_parser, quiet_start, run_script

_LARGEST_BYTES = 2_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Package and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="finished run of train.py or deepem/train.py")
    parser.add_argument(
        "--output", default=str(Path(__file__).parent / "packaged"), help="folder of the networks"
    )
    arguments = parser.parse_args(argv)
    with quiet_start():
        from network_models.dem_regression.emission_network import (
            SIZES,
            build_emission_network,
            size_from,
        )
        from network_models.dem_regression.network_settings import NETWORK_FILE, SETTINGS_FILE
        from network_models.files.safe_loading import load_network
        from network_models.training.checkpoint import save_network
    from tools.atomic_files import write_json
    from tools.run_folder import RunFolder

    run = RunFolder(arguments.run)
    config = run.config
    if not run.is_finished:
        raise ValueError(f"{run.path} is not finished: it has no report.html; train it to its end")
    if config.get("network") == "DeepEM":
        settings, network = {"size": "deepem"}, load_network(run.best_network)
    else:
        settings = json.loads((run / SETTINGS_FILE).read_text())
        trained = load_network(run / NETWORK_FILE)
        network = build_emission_network(size_from(settings))
        if size_from(settings) != SIZES[settings["size"]]:
            raise ValueError(
                f"{run.path} is no {settings['size']} network: its width, layers or steps were "
                "changed. Packaged are the sizes as they stand; use it by --run"
            )
        network.set_weights(trained.get_weights())
        network.get_layer("intervals").table = trained.get_layer("intervals").table
    folder = Path(arguments.output) / settings["size"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="heliolens-") as scratch:
        save_network(Path(scratch) / NETWORK_FILE, network)
        size = (Path(scratch) / NETWORK_FILE).stat().st_size
    if size > _LARGEST_BYTES:
        raise ValueError(f"the network has {size} bytes; packaged are at most {_LARGEST_BYTES}")
    save_network(folder / NETWORK_FILE, network)
    options = {name: value for name, value in config["options"].items() if name != "output"}
    origin = {"run": run.path.name, "options": options, "versions": config["versions"]}
    origin["data"] = config["data"]
    write_json(folder / SETTINGS_FILE, {**settings, "trained": origin})
    kept = {name: config[name] for name in ("problem", "script", "versions", "data", "targets")}
    write_json(folder / "config.json", {"packaged": True, "options": options, **kept})
    print(f"Packaged: {folder} ({size / 1e6:.2f} MB)")
    return 0


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
