"""Write Slic's two prepared sets from folders of frames, and say what their split is worth.

python dataset_models/solar_scenes/prepare.py --dataset FOLDER --percent_split 10 --save_dir DIR
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.classes import CLASSES, NONE, OUTPUTS
from dataset_models.solar_scenes.files.folder import SceneFolder
from dataset_models.solar_scenes.files.frames import read_frame
from dataset_models.solar_scenes.files.near_copies import largest_aligned_correlation, thumbnail
from dataset_models.solar_scenes.files.resize import legacy_slic
from dataset_models.solar_scenes.files.slic_files import SlicWriter
from tools.command_line import make_parser, run_script
from tools.random_streams import random_stream

__all__ = ["TRAINING_FILE", "VALIDATION_FILE", "PreparedSets", "main", "prepare_sets"]

logger = logging.getLogger(__name__)

TRAINING_FILE, VALIDATION_FILE = "solar_train_data.npz", "solar_test_data.npz"
_NEAR_COPY = 0.95


@dataclass(frozen=True)
class PreparedSets:
    """What was written, and what a score on it is worth.

    Attributes
    ----------
    training, validation : Path
    n_training, n_validation : int
        Frames.
    n_shared : int
        Validation frames whose observation is also in training.
    correlation : (validation frame,) float
        Largest correlation with a training frame, at the best shift.
    skipped : list of (Path, str)
    """

    training: Path
    validation: Path
    n_training: int
    n_validation: int
    n_shared: int
    correlation: np.ndarray
    skipped: list[tuple[Path, str]]

    def worth(self) -> str:
        """Describe in two sentences whether the validation set is independent."""
        known = self.correlation[np.isfinite(self.correlation)]
        text = (
            f"{self.n_shared} of {self.n_validation} validation frames show an observation that is "
            "also in training"
        )
        if len(known):
            text += (
                f"; their largest correlation with a training frame is {known.max():.3f}, and "
                f"{int((known > _NEAR_COPY).sum())} exceed {_NEAR_COPY}"
            )
        if self.n_shared:
            return (
                f"warning: {text}. A score on them says how well a network remembers, not how well "
                "it tells unseen scenes; split with --groups."
            )
        return f"{text}."


def prepare_sets(
    dataset: SceneFolder,
    save_dir: str | Path,
    *,
    percent_split: int = 10,
    by_groups: bool = False,
    with_header: bool = False,
    seed: int = 1,
) -> PreparedSets:
    """Write the two sets, each frame as ``legacy_slic`` makes it.

    Parameters
    ----------
    dataset : SceneFolder
    save_dir : str or Path
        Made if it is not there.
    percent_split : int
        Every so manieth frame of each class, in order of time, goes into the validation set, as
        Slic did; by groups, the same share of each class.
    by_groups : bool
        Whether frames of one observation stay together.
    with_header : bool
        Whether file, time and group are written beside the frames, as JSON text.
    seed : int
        Draws the groups.

    Raises
    ------
    ValueError
        If ``percent_split`` is below 2, or a set is empty.
    OSError
        If the folder can't be written.
    """
    if percent_split < 2:
        raise ValueError(
            f"percent_split takes 2 or more (10 puts every tenth frame into the validation set), "
            f"got {percent_split}"
        )
    if by_groups:
        is_validation = _groups_apart(dataset, percent_split, seed)
    else:
        is_validation = _every_nth(dataset, percent_split)
    paths = Path(save_dir) / TRAINING_FILE, Path(save_dir) / VALIDATION_FILE
    with contextlib.ExitStack() as stack:
        writers = _writers(paths, stack)
        kept, thumbnails, broken = _write(dataset, is_validation, writers)
        for writer, name in zip(writers, ("training", "validation"), strict=True):
            if writer.n_rows == 0:
                raise ValueError(
                    f"the {name} set would be empty: {len(kept)} frames of "
                    f"{len(np.unique(dataset.table.group[kept]))} observations are too few for "
                    f"percent_split {percent_split}{' by groups' if by_groups else ''}"
                )
        for writer in writers:
            writer.finish(with_header=with_header)
    group, second = dataset.table.group[kept], is_validation[kept]
    return PreparedSets(
        *paths,
        n_training=int((~second).sum()),
        n_validation=int(second.sum()),
        n_shared=int(np.isin(group[second], group[~second]).sum()),
        correlation=largest_aligned_correlation(thumbnails[second], thumbnails[~second]),
        skipped=dataset.skipped + broken,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the sets that the command line asks for; give the exit status."""
    parser = make_parser("Write Slic's prepared training and validation sets.")
    parser.add_argument("--dataset", required=True, help="folder with a folder for each class")
    parser.add_argument(
        "--percent-split",
        "--percent_split",
        type=int,
        default=10,
        metavar="N",
        help="every Nth frame of each class is for validation",
    )
    parser.add_argument("--save-dir", "--save_dir", default=".", metavar="DIR", help="for results")
    parser.add_argument("--groups", action="store_true", help="keep observations together")
    parser.add_argument("--header", action="store_true", help="write file, time and group, too")
    parser.add_argument("--seed", type=int, default=1, help="draws the groups")
    arguments = parser.parse_args(argv)
    dataset = SceneFolder(arguments.dataset, check_data=False)
    sets = prepare_sets(
        dataset,
        arguments.save_dir,
        percent_split=arguments.percent_split,
        by_groups=arguments.groups,
        with_header=arguments.header,
        seed=arguments.seed,
    )
    for _, reason in sets.skipped:
        print(f"left out: {reason}")
    print(f"{sets.training}: {sets.n_training} frames")
    print(f"{sets.validation}: {sets.n_validation} frames; {len(sets.skipped)} files left out")
    print(sets.worth())
    return 0


def _every_nth(dataset: SceneFolder, n: int) -> np.ndarray:
    """Choose every n-th frame of each class by time, then by name: Slic's split."""
    out = np.zeros(len(dataset), bool)
    names = np.array([path.name for path in dataset.paths])
    for k in range(len(OUTPUTS)):
        rows = np.flatnonzero(dataset.primary == k)
        order = np.lexsort((names[rows], dataset.table.time[rows]))
        out[rows[order][::n]] = True
    return out


def _groups_apart(dataset: SceneFolder, n: int, seed: int) -> np.ndarray:
    """Choose whole groups until an n-th of each class's frames is reached; no class goes."""
    group, primary = dataset.table.group, dataset.primary
    classes = [primary == k for k in np.unique(primary)]
    out = np.zeros(len(dataset), bool)
    for k, rows in enumerate(classes):
        names = np.unique(group[rows])
        order = random_stream(seed, "groups of prepared sets", k).permutation(len(names))
        for name in names[order]:
            wider = out | (group == name)
            if out[rows].sum() * n < rows.sum() and not any(wider[c].all() for c in classes):
                out = wider
    return out


def _writers(paths: tuple[Path, Path], stack: contextlib.ExitStack) -> list[SlicWriter]:
    folder = paths[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [stack.enter_context(contextlib.closing(SlicWriter(path))) for path in paths]
    except OSError as error:
        raise OSError(
            error.errno,
            f"can't be written ({error.strerror}); give another --save_dir",
            str(folder),
        ) from None


def _write(
    dataset: SceneFolder, is_validation: np.ndarray, writers: list[SlicWriter]
) -> tuple[np.ndarray, np.ndarray, list[tuple[Path, str]]]:
    """Write the frames that can be read; give their rows and thumbnails, and the others."""
    kept, thumbnails, broken = [], [], []
    for row in _by_class_and_time(dataset):
        path = dataset.paths[row]
        if dataset.primary[row] >= len(CLASSES):
            broken.append((path, f"{path.name}: Slic knows no {NONE!r}"))
            continue
        try:
            frame = read_frame(path)
        except (DataIntegrityError, OSError) as error:
            broken.append((path, str(error)))
            continue
        image = legacy_slic(frame.image)
        header = {
            "file": path.name,
            "time": frame.time,
            "group": str(dataset.table.group[row]),
        }
        writers[int(is_validation[row])].add(int(dataset.primary[row]), image, header)
        kept.append(row)
        thumbnails.append(thumbnail(image))
    return np.array(kept, int), np.array(thumbnails), broken


def _by_class_and_time(dataset: SceneFolder) -> np.ndarray:
    names = [path.name for path in dataset.paths]
    return np.lexsort((names, dataset.table.time, dataset.primary))


if __name__ == "__main__":
    run_script(lambda: main(sys.argv[1:]), resumes=False)
