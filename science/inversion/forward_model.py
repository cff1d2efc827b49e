"""Forward models as exchangeable pieces: parameters with units and bounds, values, derivatives.

A model is a class with ``parameters`` and one method, ``__call__``. Derivatives come from central
differences unless the model has its own, as one from outside has (``OutsideModel``) or one that is
written in ``keras.ops`` (``keras_model.KerasModel``).
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["ForwardModel", "OutsideModel", "Parameter"]

_STEP = float(np.finfo(float).eps) ** (1 / 3)  # of central differences: errors of 1e-10 or so


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model.

    Attributes
    ----------
    name, unit : str
    start : float
        Where fits begin, unless the model's ``first_guess`` says better.
    lower, upper : float
        Hard bounds.
    scale : float
        A typical change, in which steps and priors count; by default that of ``start``, or 1.
    is_positive : bool
        Fitted as its logarithm, so that it stays above 0; without bounds within a factor of 10^8 of
        its start.
    """

    name: str
    unit: str = ""
    start: float = 1.0
    lower: float = -math.inf
    upper: float = math.inf
    scale: float = 0.0
    is_positive: bool = False

    def __post_init__(self):
        if not self.lower < self.upper or not self.lower <= self.start <= self.upper:
            raise ValueError(
                f"{self.name}: expected lower < upper with the start between them, got "
                f"{self.lower}, {self.upper} and {self.start}"
            )
        if self.is_positive and not self.start > 0:
            raise ValueError(f"{self.name} is positive, its start is {self.start}")
        if self.scale == 0:
            usual = 1.0 if self.is_positive else abs(self.start) or 1.0
            object.__setattr__(self, "scale", usual)

    def inner(self, value: np.ndarray) -> np.ndarray:
        """Return what is fitted, from the parameter itself."""
        return np.log(np.maximum(value, 1e-300)) if self.is_positive else np.asarray(value, float)

    def outer(self, inner: np.ndarray) -> np.ndarray:
        """Return the parameter from what is fitted."""
        return np.exp(np.minimum(inner, 690.0)) if self.is_positive else inner


class ForwardModel(abc.ABC):
    """What a set of parameters looks like in the data.

    Attributes
    ----------
    parameters : tuple of Parameter
    is_linear : bool
        Whether values are linear in the parameters: then one step solves.
    """

    parameters: tuple[Parameter, ...] = ()
    is_linear = False

    @abc.abstractmethod
    def __call__(self, theta: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return values (pixel, datum) of parameters (pixel, parameter) along an axis (datum,)."""

    def derivatives(self, theta: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and derivatives (pixel, parameter, datum), here by central differences."""
        theta = np.asarray(theta, float)
        values = np.asarray(self(theta, axis), float)
        out = np.empty((len(theta), theta.shape[1], values.shape[-1]))
        for k, parameter in enumerate(self.parameters):
            step = _STEP * np.maximum(np.abs(theta[:, k]), parameter.scale)
            up, down = theta.copy(), theta.copy()
            up[:, k] += step
            down[:, k] -= step
            width = (up[:, k] - down[:, k])[:, None]
            out[:, k] = (np.asarray(self(up, axis)) - np.asarray(self(down, axis))) / width
        return values, out

    def first_guess(self, data: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return a start (pixel, parameter) for data (pixel, datum), NaN where missing."""
        return np.tile([float(p.start) for p in self.parameters], (len(data), 1))

    def names(self) -> tuple[str, ...]:
        """Return the parameters' names in their order."""
        return tuple(parameter.name for parameter in self.parameters)


class OutsideModel(ForwardModel):
    """A model from outside, as compiled C or Fortran: values and a vector-Jacobian product.

    Parameters
    ----------
    parameters : tuple of Parameter
    values : callable
        From theta (pixel, parameter) and axis (datum,) to values (pixel, datum).
    vector_jacobian : callable
        From theta, axis and a cotangent (pixel, datum) to (pixel, parameter): the cotangent times
        the derivatives, summed over the data.
    """

    def __init__(
        self,
        parameters: tuple[Parameter, ...],
        values: Callable[[np.ndarray, np.ndarray], np.ndarray],
        vector_jacobian: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    ):
        self.parameters = tuple(parameters)
        self._values, self._vector_jacobian = values, vector_jacobian

    def __call__(self, theta: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return values (pixel, datum)."""
        return np.asarray(self._values(np.ascontiguousarray(theta, float), axis), float)

    def derivatives(self, theta: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and derivatives, one product for each datum."""
        theta = np.ascontiguousarray(theta, float)
        values = self(theta, axis)
        out = np.empty((len(theta), theta.shape[1], values.shape[1]))
        for k in range(values.shape[1]):
            unit = np.zeros_like(values)
            unit[:, k] = 1.0
            out[:, :, k] = self._vector_jacobian(theta, axis, unit)
        return values, out
