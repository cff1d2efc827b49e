"""Label frames of the Sun: a catalogue of an archive, with probabilities, places and maps.

    python network_models/image_classification/classify.py MODEL FILES_OR_FOLDERS... --output DIR
        [--tiles | --whole] [--map] [--bar-chart]

MODEL is a run folder of train.py, a .keras file, or the word packaged. Each frame gets one row, for
which it is resized as in the training; with --tiles, and by itself where a frame
is large, there is one more row for each region that tiles at the frame's own resolution show.
DIR/catalogue.csv and .fits hold all rows, those of files that failed with the reason. The same
command goes on where it was stopped. The exit status is 1 if every file failed, else 0.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_models.reading_summary import ReadingSummary
from network_models.image_classification.archive.traversal_plan import TraversalPlan
from tools.command_line import config_from, config_parser, quiet_start, run_script
from tools.long_work.progress import Progress
from tools.options import option, part_of


@dataclass(frozen=True)
class ClassifyConfig(TraversalPlan):
    """What the command takes."""

    output: str = option("catalogue", "folder for the catalogue")
    workers: int = option(2, "threads that read frames")

    def __post_init__(self):
        super().__post_init__()
        if self.workers < 1:
            raise ValueError(f"--workers must be 1 or more, got {self.workers}")


def main(argv: Sequence[str] | None = None) -> int:
    """Classify and give the exit status."""
    with quiet_start():
        from dataset_models.solar_scenes.files.frames import list_frames
        from network_models.image_classification.archive.traversal import classify_files
        from network_models.image_classification.classifier import open_classifier

    parser = config_parser(ClassifyConfig, __doc__.splitlines()[0])
    parser.add_argument("model", help="a run folder, a .keras file, or the word packaged")
    parser.add_argument("data", nargs="+", help="FITS files, or folders that hold them")
    arguments = parser.parse_args(argv)
    config = config_from(ClassifyConfig, arguments)
    classifier = open_classifier(arguments.model)
    files, skipped = list_frames(*arguments.data)
    own = Path(config.output).resolve()
    if own not in {Path(place).resolve() for place in arguments.data}:  # what it wrote before
        files = [file for file in files if not file.resolve().is_relative_to(own)]
    unique: dict[Path, Path] = {}  # a file that is given twice has one row
    for file in files:
        unique.setdefault(file.resolve(), file)
    files = list(unique.values())
    if not files:
        raise ValueError(f"no FITS files in {', '.join(arguments.data)}; nothing to classify")
    print(f"{len(files)} files, network {classifier.name} ({classifier.identity})")
    progress = Progress(len(files), "files", stream=sys.stderr)
    outcome = classify_files(
        classifier,
        files,
        part_of(config, TraversalPlan),
        config.output,
        inputs=arguments.data,
        workers=config.workers,
        tell=lambda done, new, failed: progress.done(done, new=new, note=f"{failed} failed"),
    )
    progress.close()
    return _summary(outcome, Path(config.output), [reason for _, reason in skipped])


def _summary(outcome, folder: Path, skipped: list[str]) -> int:
    before = outcome.n_files - outcome.n_new
    print(
        f"{outcome.n_new} files classified, {before} were there, {outcome.n_failed} failed; "
        f"{outcome.n_rows - outcome.n_files} regions"
    )
    counts = [f"{n} {name}" for name, n in outcome.classes.items() if n]
    if counts:
        print(f"  whole frames: {', '.join(counts)}")
    failed = [
        reason if Path(file).name in reason else f"{file}: {reason}"
        for file, reason in outcome.failed
    ]
    left_out = (*skipped, *failed)
    for line in ReadingSummary(outcome.n_files + len(skipped), left_out).lines():
        print(line)
    print(f"Catalogue: {folder / 'catalogue.csv'}")
    return 1 if outcome.n_failed == outcome.n_files else 0


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]))
