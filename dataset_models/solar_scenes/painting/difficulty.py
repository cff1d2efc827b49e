"""How hard the generated scenes are: named knobs in a JSON file, the standard one frozen.

The standard difficulty was set before any network was trained, where 24 hand features and a
logistic regression reach at most 0.85 balanced accuracy on unseen observations. Its SHA-256 stands
here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

__all__ = ["FROZEN_HASH", "Difficulty", "load_difficulty"]

_FOLDER = Path(__file__).parent
NAMES = ("standard", "harder")
FROZEN_HASH = "9c1c74145b1725484a869de7d84ffc62212377a62299186e09900db28ab04785"


@dataclass(frozen=True)
class Difficulty:
    """Knobs of the generator.

    Attributes
    ----------
    filament_contrast, ribbon_contrast, prominence_contrast, spot_contrast : float
        Factors on how much a feature differs from what is round it.
    texture_contrast : float
        Factor on the contrast of the quiet Sun under all of them.
    noise, blur, nuisance : float
        Factors on the noise of a frame, on the seeing, and on what is an observation's own and says
        nothing about its class: illumination, vignetting, dust.
    pores_in_quiet, plage_in_quiet, limb_in_quiet : float
        Shares of quiet scenes with such a distractor.
    pores_by_filament, plage_by_filament, spot_under_ribbons, plage_by_ribbons : float
    second_spot, spot_group, off_centre_spot : float
        Shares of spots.
    occulted_disc, filament_by_prominence : float
        Shares of prominences.
    """

    filament_contrast: float = 1.0
    ribbon_contrast: float = 1.0
    prominence_contrast: float = 1.0
    spot_contrast: float = 1.0
    texture_contrast: float = 1.0
    noise: float = 1.0
    blur: float = 1.0
    nuisance: float = 1.0
    pores_in_quiet: float = 0.25
    plage_in_quiet: float = 0.35
    limb_in_quiet: float = 0.2
    pores_by_filament: float = 0.2
    plage_by_filament: float = 0.35
    spot_under_ribbons: float = 0.5
    plage_by_ribbons: float = 0.4
    second_spot: float = 0.25
    spot_group: float = 0.3
    off_centre_spot: float = 0.3
    occulted_disc: float = 0.25
    filament_by_prominence: float = 0.1

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            share = "_in_" in field.name or "_by_" in field.name or "_under_" in field.name
            share = share or field.name in _SHARES
            top = 1.0 if share else 10.0
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"difficulty: {field.name} must be a number, got {value!r}")
            if not 0 <= value <= top:
                raise ValueError(f"difficulty: {field.name} must lie in 0 to {top:g}, got {value}")

    def digest(self) -> str:
        """Return a short hash of all knobs."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_SHARES = ("second_spot", "spot_group", "off_centre_spot", "occulted_disc")


def load_difficulty(difficulty: str | Path | Mapping | Difficulty = "standard") -> Difficulty:
    """Return the knobs of a difficulty by name, from a JSON file or from a mapping.

    Parameters
    ----------
    difficulty : str, Path, mapping or Difficulty
        ``standard``, ``harder``, a file with the object ``knobs``, or knobs themselves; those that
        are not named have their defaults.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a knob is unknown or out of range, or the standard file was changed.
    """
    if isinstance(difficulty, Difficulty):
        return difficulty
    if isinstance(difficulty, Mapping):
        return _from_knobs(difficulty, "the difficulty")
    named = difficulty in NAMES
    path = _FOLDER / f"difficulty_{difficulty}.json" if named else Path(difficulty)
    if not path.is_file():
        raise FileNotFoundError(
            f"no difficulty {str(difficulty)!r}; give {' or '.join(NAMES)}, or a JSON file"
        )
    content = path.read_bytes()
    if difficulty == "standard":
        _require_frozen(path, content)
    try:
        knobs = json.loads(content)["knobs"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is no JSON file with an object 'knobs': {error}") from error
    if not isinstance(knobs, dict):
        raise ValueError(f"{path.name}: 'knobs' must be an object of names and numbers")
    return _from_knobs(knobs, path.name)


def _require_frozen(path: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != FROZEN_HASH:
        raise ValueError(
            f"{path.name} has the hash {digest[:12]}, frozen was {FROZEN_HASH[:12]}: the "
            "difficulty that networks are judged at was changed; restore the file, or use your own"
        )


def _from_knobs(knobs: Mapping, where: str) -> Difficulty:
    unknown = sorted(set(knobs) - {field.name for field in fields(Difficulty)})
    if unknown:
        known = ", ".join(field.name for field in fields(Difficulty))
        raise ValueError(f"{where} has unknown knobs {', '.join(unknown)}; there are {known}")
    return Difficulty(**knobs)
