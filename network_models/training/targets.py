"""Named scalars of a network's output: what maps explain, embeddings are coloured by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "EMISSION_MEASURE",
    "FLUX",
    "PROBABILITY",
    "VALUE",
    "Target",
    "class_targets",
    "emission_targets",
    "output_targets",
    "read_targets",
    "written_targets",
]

PROBABILITY, FLUX, EMISSION_MEASURE, VALUE = "probability", "flux", "emission measure", "value"
_KINDS = (PROBABILITY, FLUX, EMISSION_MEASURE, VALUE)


@dataclass(frozen=True)
class Target:
    """A named scalar of a network's output.

    Attributes
    ----------
    name, unit : str
    kind : {"probability", "flux", "emission measure", "value"}
        What it is: only a probability has log-odds, only a flux forecast has a class.
    weights : tuple of float
        Of the output's last axis; further axes (pixels of a map) are averaged. Empty for an output
        that is one number per sample.
    """

    name: str
    unit: str
    kind: str = VALUE
    weights: tuple[float, ...] = ()

    def __post_init__(self):
        if self.kind not in _KINDS:
            raise ValueError(
                f"the target {self.name!r} is a {self.kind!r}; expected one of {', '.join(_KINDS)}"
            )
        if not all(math.isfinite(w) for w in self.weights):
            raise ValueError(f"the target {self.name!r} has weights that are not finite")

    @property
    def head(self) -> Callable:
        """From the output (batch, ...) to the target (batch,), in ``keras.ops``."""
        from network_models.differentiation.gradients import weighted_sum

        return weighted_sum(np.asarray(self.weights)) if self.weights else _itself

    @property
    def log_odds(self) -> Target:
        """The logarithm of the odds of a probability.

        Raises
        ------
        ValueError
            If it is none.
        """
        if self.kind != PROBABILITY:
            raise ValueError(f"log-odds are for probabilities; {self.name!r} is a {self.kind}")
        if not self.weights:
            raise ValueError(f"the target {self.name!r} has no weights; log-odds need them")
        return _LogOdds(f"log-odds of {self.name}", "1", VALUE, self.weights)

    @property
    def unit_of_changes(self) -> str:
        """Unit of a difference of two values: dex for logarithms."""
        return "dex" if self.unit.startswith("log10(") else self.unit


class _LogOdds(Target):
    """The log-odds of a probability, summed so that neither it nor its complement rounds to 0."""

    @property
    def head(self) -> Callable:
        from network_models.differentiation.gradients import log_odds

        return log_odds(np.asarray(self.weights))


def _itself(output):
    return output


def class_targets(classes: Sequence[str]) -> dict[str, Target]:
    """Return the probability of each class, where each output is one."""
    eye = np.eye(len(classes))
    named = {f"P({name})": eye[k] for k, name in enumerate(classes)}
    return {name: Target(name, "1", PROBABILITY, tuple(row)) for name, row in named.items()}


def emission_targets(edges: np.ndarray, unit: str, *, n_outputs: int = 0) -> dict[str, Target]:
    """Return the emission measure in each bin, where the first outputs are the bins'.

    Parameters
    ----------
    edges : (bin + 1,) float
        log10 of K.
    unit : str
    n_outputs : int
        Of the network; as many as bins if 0.
    """
    n = len(edges) - 1
    targets = {}
    for k in range(n):
        name = f"log T {edges[k]:.2f}-{edges[k + 1]:.2f}"
        weights = tuple(float(j == k) for j in range(n_outputs or n))
        targets[name] = Target(name, unit, EMISSION_MEASURE, weights)
    return targets


def output_targets(shape: Sequence[int | None]) -> dict[str, Target]:
    """Return each output of a network by its number, for want of names.

    Parameters
    ----------
    shape : tuple
        Of the output, with the batch axis.
    """
    if len(shape) == 1:
        return {"output 0": Target("output 0", "1")}
    eye = np.eye(shape[-1] or 1)
    return {
        f"output {k}": Target(f"output {k}", "1", VALUE, tuple(eye[k])) for k in range(len(eye))
    }


def written_targets(targets: Mapping[str, Target]) -> dict[str, dict]:
    """Write targets as config.json has them."""
    return {
        name: {"unit": t.unit, "kind": t.kind, "weights": [float(w) for w in t.weights]}
        for name, t in targets.items()
    }


def read_targets(written: Mapping[str, Mapping]) -> dict[str, Target]:
    """Read targets from a config.json; one of an earlier version says no kind.

    Raises
    ------
    ValueError
        If an entry is none.
    """
    found = {}
    if not isinstance(written, Mapping):
        raise ValueError(f"the targets in config.json are no names with entries, got {written!r}")
    for name, entry in written.items():
        try:
            unit, weights = str(entry["unit"]), tuple(float(w) for w in entry["weights"])
            kind = entry.get("kind") or _kind_before(name, unit)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ValueError(
                f"the target {name!r} in config.json can't be read ({error!r}); expected a unit "
                "and weights"
            ) from None
        found[name] = Target(name, unit, kind, weights)
    return found


def _kind_before(name: str, unit: str) -> str:
    """Return the kind of a target that was written without one, before 2026-12."""
    if name.startswith("P("):
        return PROBABILITY
    return {"log10(W m-2)": FLUX, "1e26 cm-5": EMISSION_MEASURE}.get(unit, VALUE)
