"""A trained classifier of scenes, opened with what was calibrated for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from network_models.files.safe_loading import load_network
from network_models.image_classification.archive.tile_blending import TILE
from network_models.layers import scenes as scene_layers  # noqa: F401  registers its classes
from network_models.layers.compiled import compiled_network
from tools.abstention import ABSTENTION_SCORES, Abstention, given_one_of_the_classes
from tools.atomic_files import write_json
from tools.probability_calibration import PredictionSets

__all__ = [
    "PACKAGED",
    "SETTINGS_FILE",
    "Classifier",
    "ClassifierSettings",
    "network_file",
    "open_classifier",
]

SETTINGS_FILE = "classes.json"
PACKAGED = "packaged"  # the word that stands for the network that comes with the suite
_PACKAGED_RUN = Path(__file__).parent / "packaged" / "slic_lite"
_NETWORK_FILES = ("best_performing.keras", "network.keras")  # of a run; of a packaged one
_DIGITS = 1e-6  # to which the temperature is written


@dataclass(frozen=True)
class ClassifierSettings:
    """What a run's ``classes.json`` says beside the network.

    Attributes
    ----------
    classes : tuple of str
        Of the outputs, in their order; the last is "none of these".
    temperature : float
        The one inside the network; written down so that a network without it is noticed.
    sets : PredictionSets or None
    abstention : Abstention or None
    tile : int
        Pixels along a side of the tiles of the training.
    """

    classes: tuple[str, ...] = OUTPUTS
    temperature: float = 1.0
    sets: PredictionSets | None = None
    abstention: Abstention | None = None
    tile: int = TILE

    def __post_init__(self):
        if tuple(self.classes) != OUTPUTS:
            raise ValueError(f"expected the classes {', '.join(OUTPUTS)}, got {self.classes}")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"a temperature is above 0, got {self.temperature}")
        if self.tile < 1:
            raise ValueError(f"a tile has at least one pixel, got {self.tile}")
        if self.sets and not (0 < self.sets.level < 1 and 0 <= self.sets.threshold <= 1):
            raise ValueError(f"expected a level and a threshold from 0 to 1, got {self.sets}")
        if self.abstention and self.abstention.score not in ABSTENTION_SCORES:
            raise ValueError(
                f"expected an abstention score of {', '.join(ABSTENTION_SCORES)}, got "
                f"{self.abstention.score!r}"
            )

    def to_dict(self) -> dict:
        """Return JSON types: classes, temperature, conformal, abstain, tile."""
        sets, abstain = self.sets, self.abstention
        return {
            "classes": list(self.classes),
            "temperature": self.temperature,
            "conformal": sets and {"level": sets.level, "threshold": sets.threshold},
            "abstain": abstain
            and {
                "score": abstain.score,
                "threshold": abstain.threshold,
                "coverage": abstain.coverage,
            },
            "tile": self.tile,
        }

    def to_json(self, path: str | Path) -> None:
        """Write ``classes.json`` in one step."""
        write_json(path, self.to_dict())

    @classmethod
    def from_json(cls, path: str | Path) -> ClassifierSettings:
        """Read ``classes.json``.

        Raises
        ------
        ValueError
            If it can't be read, a key is missing or a value is out of its range.
        """
        try:
            value = json.loads(Path(path).read_text())
            sets, abstain = value["conformal"], value["abstain"]
            return cls(
                tuple(value["classes"]),
                float(value["temperature"]),
                sets and PredictionSets(float(sets["level"]), float(sets["threshold"])),
                abstain
                and Abstention(
                    str(abstain["score"]), float(abstain["threshold"]), float(abstain["coverage"])
                ),
                int(value["tile"]),
            )
        except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{path}: can't be used ({what}); train the run again") from None


@dataclass(frozen=True)
class Classifier:
    """A network as a compiled function, (batch, y, x, 1) to (batch, 6) calibrated probabilities.

    Attributes
    ----------
    function : callable
    settings : ClassifierSettings
    name : str
        Of the run or file.
    identity : str
        Hash of network and settings, 16 hexadecimal digits.
    """

    function: Callable[[np.ndarray], np.ndarray]
    settings: ClassifierSettings
    name: str
    identity: str

    def of_frames(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of whole frames as ``network_input`` makes them: (frame, 6).

        The mean over four quarter turns, mirrored and not: no class has an upper side.

        Parameters
        ----------
        images : (frame, side, side) float32
        """
        turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
        views = np.stack(turned + [view[:, :, ::-1] for view in turned])
        flat = np.ascontiguousarray(views.reshape(-1, *images.shape[1:])[..., None], np.float32)
        found = self.function(flat).astype(float)
        return found.reshape(len(views), len(images), -1).mean(axis=0)

    def names_of_set(self, probability: np.ndarray) -> str:
        """Return the classes of a prediction set, separated by ``|``; "" where none was fitted.

        Like the threshold, it is of the five classes, given that a frame is one of them.
        """
        if self.settings.sets is None:
            return ""
        holds = self.settings.sets(given_one_of_the_classes(probability))
        return "|".join(n for n, is_in in zip(CLASSES, holds, strict=True) if is_in)

    def abstains(self, probability: np.ndarray) -> bool:
        """Return whether to name none of the classes."""
        if self.settings.abstention is not None:
            return bool(self.settings.abstention(probability))
        return int(np.argmax(probability)) == len(self.settings.classes) - 1


def open_classifier(model: str | Path) -> Classifier:
    """Open a run, a network file, or the one that comes with the suite.

    Parameters
    ----------
    model : str or Path
        A run folder, a .keras file, or ``packaged``. Beside the network lies ``classes.json``; a
        network without it has no prediction sets, and abstains where "none" is the likeliest.

    Raises
    ------
    FileNotFoundError
        If there is no such run or file, or nothing is packaged.
    ValueError
        If the network can't be read, has other inputs or outputs, or its temperature is not that
        of its settings.
    """
    path = network_file(model)
    network = load_network(path)
    beside = path.with_name(SETTINGS_FILE)
    has_settings = beside.is_file()
    settings = ClassifierSettings.from_json(beside) if has_settings else ClassifierSettings()
    _require_classifier(network, path)
    inside = float(getattr(network.layers[-1], "temperature", 1.0))
    if has_settings and abs(inside / settings.temperature - 1) > _DIGITS:
        raise ValueError(
            f"{path}: its temperature is {inside:g}, {SETTINGS_FILE} was made for "
            f"{settings.temperature:g}; give the calibrated network, or train the run again"
        )
    digest = hashlib.sha256(path.read_bytes())
    digest.update(json.dumps(settings.to_dict()).encode())
    is_file = Path(model) == path
    name = path.name if is_file else path.parent.name
    return Classifier(compiled_network(network), settings, name, digest.hexdigest()[:16])


def network_file(model: str | Path) -> Path:
    """Return the file of a network: of a run, of the packaged one, or the file itself.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    path = Path(model)
    if str(model) == PACKAGED:
        path = _PACKAGED_RUN
        if not path.is_dir():
            raise FileNotFoundError(
                "no network is packaged here; train one (train.py) and give its run folder"
            )
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(
                f"no such model: {path}; give a run folder, a .keras file or {PACKAGED!r}"
            )
        return path
    for name in _NETWORK_FILES:
        if (path / name).is_file():
            return path / name
    raise FileNotFoundError(
        f"{path} holds no {' or '.join(_NETWORK_FILES)}; give the folder of a training run"
    )


def _require_classifier(network: object, path: Path) -> None:
    """Raise unless the network takes single-channel images of any size and gives six classes."""
    taken = [tuple(tensor.shape) for tensor in network.inputs]
    given = [tuple(tensor.shape) for tensor in network.outputs]
    if taken != [(None, None, None, 1)] or given != [(None, len(OUTPUTS))]:
        raise ValueError(
            f"{path}: expected a network from images (y, x, 1) of any size to {len(OUTPUTS)} "
            f"probabilities, got one from {taken} to {given}"
        )
