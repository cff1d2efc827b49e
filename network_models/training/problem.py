"""The contract of every problem: what a training script says, and all commands live by.

A script ends in ``PROBLEM = Problem(...)``. From it come the training command with audit, resume
and report (``command``), the run that is opened again (``reopen``), maps, deconvolution and
embeddings (``science``), and the architecture search (``smac``). Nothing here imports keras.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from network_models.training.data import ProblemData, TrainingView
from tools.later import later

if TYPE_CHECKING:
    import keras

    from dataset_models.splits import Split
    from network_models.training.checkpoint import Progress
    from network_models.training.fitting import TrainingOptions
    from network_models.training.sample import ExplainedSamples
    from network_models.training.targets import Target
    from tools.options import Trainable
    from tools.run_folder import RunFolder

__all__ = [
    "Evaluation",
    "Problem",
    "ProblemData",
    "SearchSettings",
    "TooLarge",
    "Trained",
    "TrainingView",
    "WithoutRun",
    "is_known",
    "known_problems",
    "open_problem",
    "problem_scripts",
    "searchable_scripts",
]

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]


class TooLarge(ValueError):
    """A network has more parameters than a search allows."""


@dataclass(frozen=True)
class WithoutRun:
    """What a command found that made no run: lines to print, and whether it is as it should be."""

    lines: list[str]
    is_good: bool


@dataclass(frozen=True)
class SearchSettings:
    """How an architecture search tries a problem's networks.

    Attributes
    ----------
    score : str
        What is minimised, in words and with its unit: the mean loss of the validation set.
    crash_cost : float
        Finite cost of a trial without a score: worse than the constant answer.
    training_share : float
        Of the training set that a trial learns from.
    options : dict
        Options of trials that differ from the script's defaults and do not make the network: their
        data. The best is trained with the script's own.
    architecture : dict
        Options of the network that is searched around, where it is not the script's default one;
        trials and trainings have them.
    smoke : dict
        Of a search of a minute.
    folds : callable, optional
        ``folds(config, data, k, n)`` gives the k-th of n splits of what is not in the test set.
    events : callable, optional
        ``events(config, data, rows)`` gives what test samples belong together, (sample,); the
        table's groups if not given.
    task : str
        ``package.module:Class`` of what runs trials, for problems that are no training.
    """

    score: str
    crash_cost: float
    training_share: float = 1.0
    options: Mapping[str, object] = field(default_factory=dict)
    architecture: Mapping[str, object] = field(default_factory=dict)
    smoke: Mapping[str, object] = field(default_factory=dict)
    folds: Callable[[Any, ProblemData, int, int], Split] | None = None
    events: Callable[[Any, ProblemData, Any], Any] | None = None
    task: str = "network_models.smac.search_task:SearchTask"


@dataclass(frozen=True)
class Problem:
    """Something that networks are trained for.

    Callables may be named by ``later("package.module:function")``, so that nothing heavy is
    imported before the options are checked.

    Attributes
    ----------
    name : str
        Says in a few words which problem and which input; unique in the suite.
    script : str
        The training script: its ``__file__``, or a module's name.
    description : str
        First line of the help.
    config : type
        Its options: a frozen dataclass that derives from ``tools.options.Trainable``.
    open : callable
        ``open(config)`` gives the ``ProblemData``, and refuses what is wrong with them.
    build : callable
        ``build(config, data)`` gives the network; scaling comes from ``data.split.training`` and
        lives inside.
    loss : callable
        ``loss(config, data)`` gives the loss, which on the validation set chooses the network.
    targets : callable
        ``targets(config, data)`` gives the named scalars of the output, {name: ``Target``}. They
        stand in every run's config.json; for runs of versions that wrote none, data is None.
    evaluate : callable
        ``evaluate(trained)`` takes a ``Trained``, scores it, writes its report's sections, and
        gives an ``Evaluation``; by default it compares the test set's mean loss with that of the
        constant answer.
    sample : callable
        ``sample()`` gives the ``SampleSource``: how samples are found, shown and described.
    search : SearchSettings, optional
        How it is searched; not at all if None.
    smoke : dict
        Other defaults for ``--smoke``.
    smoke_text : str
        What ``--smoke`` is.
    datasets : tuple of str
        Scripts of the datasets that its samples come from, as DATASET on a command line.
    options : callable
        ``options(config)`` gives the ``TrainingOptions``.
    optimizer : callable, optional
        ``optimizer(config, n_steps)`` gives the optimizer; None stands for the suite's own.
    training_view : callable, optional
        ``training_view(config, data, is_trial)`` gives what a training, or a trial of a search,
        sees; it may take minutes.
    notes : callable, optional
        ``notes(config, data)`` gives further entries of config.json, JSON types.
    without_run : callable, optional
        ``without_run(config, data)`` gives a ``WithoutRun`` where the options ask for none, else
        None.
    log_level : str
        Of TensorFlow's own messages.
    """

    name: str
    script: str
    description: str
    config: type[Trainable]
    open: Callable[[Any], ProblemData]
    build: Callable[[Any, ProblemData], keras.Model]
    loss: Callable[[Any, ProblemData], keras.losses.Loss]
    targets: Callable[[Any, ProblemData | None], dict[str, Target]]
    evaluate: Callable[[Trained], Evaluation] = later(
        "network_models.training.sections:evaluate_plainly"
    )
    sample: Callable[[], ExplainedSamples] = later("network_models.training.samples:SampleSource")
    search: SearchSettings | None = None
    smoke: Mapping[str, object] = field(default_factory=dict)
    smoke_text: str = "a small run of a minute, to see that all works"
    datasets: tuple[str, ...] = ()
    options: Callable[[Any], TrainingOptions] = later(
        "network_models.training.fitting:training_options"
    )
    optimizer: Callable[[Any, int], keras.optimizers.Optimizer | None] | None = None
    training_view: Callable[[Any, ProblemData, bool], TrainingView] | None = None
    notes: Callable[[Any, ProblemData], dict] | None = None
    without_run: Callable[[Any, ProblemData], WithoutRun | None] | None = None
    log_level: str = "2"

    def __post_init__(self):
        path = Path(self.script)
        if path.suffix == ".py" and path.is_absolute() and path.is_relative_to(_ROOT):
            object.__setattr__(self, "script", path.relative_to(_ROOT).as_posix())

    @property
    def samples(self) -> ExplainedSamples:
        """How samples are found, shown and described; made once."""
        return _samples_of(self.sample)

    @property
    def main(self) -> Callable[..., int]:
        """The training command as a function: ``main(argv=None)`` returns the exit status."""
        return functools.partial(later("network_models.training.command:main"), self)

    @property
    def command(self) -> str:
        """What is given to Python to run the script."""
        return self.script if self.script.endswith(".py") else f"-m {self.script}"


@dataclass(frozen=True)
class Trained:
    """A training that came to its end, as ``Problem.evaluate`` gets it.

    Attributes
    ----------
    problem : Problem
    config : Trainable
    data : ProblemData
    run : RunFolder
    network : keras.Model
        The best one.
    progress : Progress
    command : str
        That repeats the run.
    """

    problem: Problem
    config: Any
    data: ProblemData
    run: RunFolder
    network: keras.Model
    progress: Progress
    command: str


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    lines : list of str
        The run's figures as sentences: printed, and kept in config.json.
    title, subtitle : str
        Of the report.
    """

    lines: list[str]
    title: str
    subtitle: str


@functools.cache
def _samples_of(sample: Callable[[], ExplainedSamples]) -> ExplainedSamples:
    return sample()


def problem_scripts() -> tuple[str, ...]:
    """Return the training scripts whose runs may be opened: the suite's, and those named by hand.

    The suite's are the files below ``network_models`` that assign ``PROBLEM``. Further ones are
    named by the user in the environment variable ``HELIOLENS_PROBLEMS``, as paths or modules with
    a colon between them: a run's folder alone never decides what code is imported.
    """
    return (*_own_scripts(), *_named_scripts())


def _named_scripts() -> list[str]:
    return [name for name in os.environ.get("HELIOLENS_PROBLEMS", "").split(os.pathsep) if name]


@functools.cache
def _own_scripts() -> tuple[str, ...]:
    found = []
    for path in sorted((_ROOT / "network_models").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "PROBLEM" in text and any(_assigns_problem(node) for node in _body_of(path, text)):
            found.append(path.relative_to(_ROOT).as_posix())
    return tuple(found)


def _body_of(path: Path, text: str) -> list[ast.stmt]:
    """Return a file's statements; none, with a warning, of one that is no Python."""
    try:
        return ast.parse(text).body
    except SyntaxError as error:
        logger.warning("left out: %s is no Python (%s)", path, error)
        return []


def _assigns_problem(node: ast.stmt) -> bool:
    names = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(name, ast.Name) and name.id == "PROBLEM" for name in names)


def known_problems() -> dict[str, Problem]:
    """Return all problems by their scripts; one that can't be opened is left out with a warning."""
    found = {}
    for script in problem_scripts():
        try:
            found[script] = open_problem(script)
        except ValueError as error:
            logger.warning("left out: %s", error)
    return found


def searchable_scripts() -> tuple[str, ...]:
    """Return the paths of the suite's training scripts that can be searched."""
    return tuple(s for s, problem in known_problems().items() if problem.search is not None)


def is_known(script: str) -> bool:
    """Whether a script is one of those whose runs may be opened, however its path is written."""
    known = problem_scripts()
    places = {_place_of(Path(name)) for name in known if name.endswith(".py")}
    return script in known or (script.endswith(".py") and _place_of(Path(script)) in places)


def _place_of(path: Path) -> Path:
    return path.resolve() if path.exists() else (_ROOT / path).resolve()


def open_problem(script: str) -> Problem:
    """Return the problem of a training script.

    Parameters
    ----------
    script : str
        Path of the script: one of the suite's, or any other file that ends in ``PROBLEM = ...``,
        or the module of an installed package (``my_package.my_training``).

    Raises
    ------
    ValueError
        If there is no such script, or it has no problem.
    """
    path = Path(script)
    inside = _place_of(path)
    try:
        if path.suffix != ".py":
            module = importlib.import_module(script)
        elif inside.is_relative_to(_ROOT):
            name = ".".join(inside.relative_to(_ROOT).with_suffix("").parts)
            module = importlib.import_module(name)
        else:
            module = _from_file(path)
    except Exception as error:  # whatever a script does while it is imported
        if not _is_there(script):
            text = f"there is no training script {script} ({error}); {_known()}"
        else:
            text = f"{script} can't be imported ({type(error).__name__}: {error})"
        if script in _named_scripts():
            text += "; it is named in HELIOLENS_PROBLEMS"
        raise ValueError(text) from None
    problem = getattr(module, "PROBLEM", None)
    if not isinstance(problem, Problem):
        raise ValueError(f"{script} is no training script: it has no PROBLEM; {_known()}")
    return problem


def _from_file(path: Path):
    """Import a script that lies outside the suite, once."""
    place = path.resolve()
    if not place.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = f"heliolens_script_{place.stem}_{abs(hash(str(place))):x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    if str(place.parent) not in sys.path:
        sys.path.append(str(place.parent))  # where Python itself looks for a script's siblings
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_there(script: str) -> bool:
    """Whether there is a file, or a module, of this name."""
    if script.endswith(".py"):
        return _place_of(Path(script)).is_file()
    try:
        return importlib.util.find_spec(script) is not None
    except (ImportError, ValueError):
        return False


def _known() -> str:
    return f"this suite's are {', '.join(_own_scripts())}"
