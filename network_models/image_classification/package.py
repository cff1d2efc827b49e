"""Keep a finished run's classifier in the suite, so that classify.py works at once.

python network_models/image_classification/package.py RUN
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.command_line import make_parser, quiet_start, run_script

_LARGEST_BYTES = 2_000_000
_KEPT = ("problem", "script", "identity", "options", "versions", "data", "targets", "split")
_KEPT += ("figures",)  # no places


def main(argv: Sequence[str] | None = None) -> int:
    """Package and give the exit status."""
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="finished run of slic/train.py")
    parser.add_argument(
        "--output", default=str(Path(__file__).parent / "packaged"), help="folder of the networks"
    )
    arguments = parser.parse_args(argv)
    with quiet_start():
        from network_models.files.safe_loading import load_network
        from network_models.image_classification.classifier import (
            SETTINGS_FILE,
            ClassifierSettings,
            open_classifier,
        )
        from network_models.training.checkpoint import save_network
    from tools.atomic_files import write_json
    from tools.run_folder import RunFolder

    run = RunFolder(arguments.run)
    if not run.is_finished:
        raise ValueError(f"{run.path} is not finished: it has no report.html; train it to its end")
    size = run.best_network.stat().st_size
    if size > _LARGEST_BYTES:
        raise ValueError(f"the network has {size} bytes; packaged are at most {_LARGEST_BYTES}")
    open_classifier(run.path)  # refuses what classify.py could not use
    config = run.config
    folder = RunFolder(Path(arguments.output) / config["options"]["network"])
    folder.path.mkdir(parents=True, exist_ok=True)
    ClassifierSettings.from_json(run / SETTINGS_FILE).to_json(folder / SETTINGS_FILE)
    save_network(folder.best_network, load_network(run.best_network))
    kept = {"packaged": True} | {name: config[name] for name in _KEPT}
    kept["options"] = {k: v for k, v in kept["options"].items() if k != "output"}
    write_json(folder / "config.json", kept)
    print(f"Packaged: {folder.path} ({size / 1e6:.2f} MB)")
    return 0


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
