"""The one way to open what a training left: a run with its data, or a network to be explained."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from network_models.training.problem import (
    Problem,
    ProblemData,
    is_known,
    known_problems,
    open_problem,
    problem_scripts,
)
from network_models.training.targets import Target, output_targets, read_targets
from tools.options import from_plain
from tools.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from network_models.training.sample import ExplainedSamples

__all__ = ["OpenedNetwork", "OpenedRun", "open_network", "problem_of_run", "reopen_run"]

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_PACKAGED = "packaged"
_NETWORK_FILES = ("best_performing.keras", "network.keras")  # of a run; of a packaged one


@dataclass(frozen=True)
class OpenedRun:
    """A run of a problem.

    Attributes
    ----------
    run : RunFolder
    problem : Problem
    config : Trainable
        Its options.
    """

    run: RunFolder
    problem: Problem
    config: Any

    @cached_property
    def data(self) -> ProblemData:
        """The data that it was trained on, opened as its options name them.

        Raises
        ------
        FileNotFoundError
            If real data are gone; the virtual Sun is rendered again.
        ValueError
            If the run is not finished, or its data are no longer what they were.
        """
        config = self.run.config
        is_packaged = bool(config.get(_PACKAGED))
        if not self.run.is_finished and not is_packaged:
            raise ValueError(f"{self.run.path} is not finished; give its training command again")
        data = self.problem.open(self.config)
        before = self._entry("data", "fingerprint")
        if data.dataset.fingerprint() != before:
            now = data.dataset.provenance()
            by_other_code = any(
                name.endswith("code") and config["data"].get(name) != value
                for name, value in now.items()
            )
            told = (
                f"{self.run.path}: its data are no longer what it was trained on (fingerprint "
                f"{data.dataset.fingerprint()}, then {before})"
            )
            if not is_packaged and not by_other_code:
                raise ValueError(f"{told}; train it again")
            logger.warning("%s: they are made by other code, and may differ", told)
        return data

    def _entry(self, part: str, name: str) -> Any:
        """Return an entry of config.json that every run has."""
        found = self.run.config.get(part)
        if not isinstance(found, dict) or name not in found:
            raise ValueError(f"{self.run.path}: its config.json names no {name} of its {part}")
        return found[name]

    def network(self) -> keras.Model:
        """Load the best network."""
        from network_models.files.safe_loading import load_network

        return load_network(self.run / self.problem.samples.network_file)


def problem_of_run(run: RunFolder) -> Problem:
    """Return the problem that a run is of; its config.json names the training script.

    Raises
    ------
    ValueError
        If it names none.
    """
    config = run.config
    if "members" in config:
        raise ValueError(f"{run.path} is an ensemble; give its members instead")
    script = _script_of(run)
    if not script:
        raise ValueError(
            f"{run.path} is no run of a training: its config.json names no script; expected one of "
            f"{', '.join(problem_scripts())}"
        )
    if not is_known(script):
        raise ValueError(
            f"{run.path} is of {script!r}, which is none of this suite's training scripts and is "
            "not imported; if it is yours, name it in the environment variable HELIOLENS_PROBLEMS. "
            f"Known are {', '.join(problem_scripts())}"
        )
    return open_problem(script)


def _script_of(run: RunFolder) -> str:
    """Return a run's script, or that of the command which earlier versions wrote in its stead."""
    script = run.config.get("script")
    if script:
        return str(script)
    words = str(run.config.get("command", "")).split()
    return words[1] if len(words) > 1 and words[0] == "python" else ""


def reopen_run(path: str | Path) -> OpenedRun:
    """Open a run with the options that it was made with; its data are opened when asked for.

    Raises
    ------
    ValueError
        If it is no run of a problem, or its options are none of the problem's.
    """
    run = RunFolder(path)
    problem = problem_of_run(run)
    options = run.config.get("options")
    if not isinstance(options, dict):
        raise ValueError(f"{run.path}: its config.json holds no options")
    try:
        return OpenedRun(run, problem, from_plain(problem.config, options))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{run.path}: its options can't be read ({error})") from None


@dataclass(frozen=True)
class OpenedNetwork:
    """A network to be explained.

    Attributes
    ----------
    network : keras.Model
    path : Path
        Of its file.
    targets : dict of Target
        By their names, the run's first one first.
    image : str
        Name of the input that maps are made of.
    run : RunFolder or None
        The run that it belongs to.
    problem : Problem or None
        What it was trained for, where that is known.
    """

    network: keras.Model
    path: Path
    targets: dict[str, Target]
    image: str
    run: RunFolder | None = None
    problem: Problem | None = None

    @property
    def model_hash(self) -> str:
        """Hash of the network's file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    @property
    def samples(self) -> ExplainedSamples:
        """How its samples are found, shown and described."""
        if self.problem is not None:
            return self.problem.samples
        from network_models.training.samples import SampleSource

        return SampleSource()

    @property
    def has_data(self) -> bool:
        """Whether it belongs to a run whose data can be opened again."""
        return self.run is not None and bool(_script_of(self.run))

    @property
    def described(self) -> str:
        """What it is, for sentences."""
        what = f"networks of {self.problem.name}" if self.problem else "a network without a run"
        return f"{self.path.name} ({what})"

    @cached_property
    def reopened(self) -> OpenedRun:
        """Its run.

        Raises
        ------
        ValueError
            If it belongs to none.
        """
        if self.run is None:
            raise ValueError(
                f"{self.path} belongs to no run, so its data are not known: name files, or a "
                "folder of .npy arrays"
            )
        return reopen_run(self.run.path)

    @property
    def data(self) -> ProblemData:
        """The data of its run; see ``OpenedRun.data``."""
        return self.reopened.data

    def data_entry(self, name: str, default: object) -> Any:
        """Return what its run's config.json says of the data."""
        return self.run.config.get("data", {}).get(name, default) if self.run else default

    def target(self, name: str) -> Target:
        """Return a target by its name, or the first.

        Raises
        ------
        ValueError
            If there is no such target.
        """
        if not name:
            return next(iter(self.targets.values()))
        if name not in self.targets:
            raise ValueError(f"no target {name!r}; this network has {', '.join(self.targets)}")
        return self.targets[name]

    def of_dataset(self, script: str) -> OpenedNetwork:
        """Return it with the problem whose samples come from a dataset's script.

        Parameters
        ----------
        script : str
            Path of a dataset's .py.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the network's samples come from another dataset, or no problem uses this one.
        """
        path = Path(script)
        if not path.is_file() and (_ROOT / script).is_file():
            path = _ROOT / script
        if not path.is_file():
            raise FileNotFoundError(f"no such dataset: {script}")
        own = self.problem.datasets if self.problem else ()
        if any((_ROOT / name).resolve() == path.resolve() for name in own):
            return self
        if self.problem is not None:
            raise ValueError(
                f"networks of {self.problem.name} take samples of "
                f"{', '.join(own) or 'no dataset that is a script'}, not of {script}"
            )
        for problem in known_problems().values():
            if any((_ROOT / name).resolve() == path.resolve() for name in problem.datasets):
                return dataclasses.replace(self, problem=problem)
        raise ValueError(f"no problem of this suite takes its samples from {script}")


def open_network(model: str) -> OpenedNetwork:
    """Open a run, a packaged network, or a network's file, to be explained.

    Parameters
    ----------
    model : str
        A run's folder, ``packaged/NAME``, or a ``.keras`` or ``.hdf5`` file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it can't be explained.
    """
    import keras

    from network_models.files.safe_loading import load_network

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it warns of every new shape
    path, run = _file_and_run(Path(model))
    problem = _problem_of(run)
    if path.is_dir():
        own = problem.samples.network_file if problem else _NETWORK_FILES[0]
        files = [path / name for name in (own, *_NETWORK_FILES)]
        path = next((file for file in files if file.is_file()), files[0])
    network = load_network(path)
    if problem is None:
        problem = _recognised(network)
    if problem is not None:
        network = problem.samples.explained(network)
    if len(network.outputs) != 1:
        raise ValueError(f"{path.name} has {len(network.outputs)} outputs; expected one")
    targets = _targets_of(run, problem) or output_targets(network.outputs[0].shape)
    image = max(network.inputs, key=lambda tensor: len(tensor.shape)).name
    return OpenedNetwork(network, path, targets, image, run, problem)


def _file_and_run(path: Path) -> tuple[Path, RunFolder | None]:
    """Return a network's file, or the folder that it is to be found in, and the run around it."""
    if not path.exists() and len(path.parts) == 2 and path.parts[0] == _PACKAGED:
        found = sorted((_ROOT / "network_models").glob(f"*/{_PACKAGED}/{path.name}"))
        if not found:
            names = sorted(p.name for p in (_ROOT / "network_models").glob(f"*/{_PACKAGED}/*"))
            raise FileNotFoundError(
                f"no packaged network {path.name}; there are {', '.join(names)}"
            )
        path = found[0]
    if path.is_dir():
        return path, RunFolder(path)
    if (path.parent / "config.json").is_file():
        return path, RunFolder(path.parent)
    if path.parent.name == "epochs" and (path.parents[1] / "config.json").is_file():
        return path, RunFolder(path.parents[1])
    return path, None


def _problem_of(run: RunFolder | None) -> Problem | None:
    """Return the problem of a run; None for a folder that names no script."""
    if run is None:
        return None
    return problem_of_run(run) if _script_of(run) else None


def _recognised(network: keras.Model) -> Problem | None:
    """Return the problem that a network without a run is of, where one knows it."""
    for problem in known_problems().values():
        if problem.samples.recognises(network):
            return problem
    return None


def _targets_of(run: RunFolder | None, problem: Problem | None) -> dict[str, Target]:
    """Return the targets that a run wrote, or those of its problem."""
    if run is None:
        return {}
    written = run.config.get("targets")
    if written:
        return read_targets(written)
    if problem is None:
        return {}
    config = from_plain(problem.config, run.config.get("options", {}))
    return problem.targets(config, None)
