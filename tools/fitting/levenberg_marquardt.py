"""Levenberg-Marquardt for one pixel, compiled for any compiled model; a model's module loops.

The model's function writes its values and their derivatives. Here are the weights, the free, fixed
and tied parameters, the bounds, the damping and the errors. A pixel stops when it has converged, so
that a map costs what its pixels need. Marquardt (1963, J. SIAM 11, 431); bounds by holding the
parameters that would leave them (Kelley 1999, Iterative Methods for Optimization, 5.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from tools.fitting.flags import FitFlag

__all__ = ["GAUSSIAN", "POISSON", "Coupling", "couple_parameters", "pixel_fitter"]

GAUSSIAN, POISSON = 0, 1  # noise: least squares, or the deviance of counts
_NOT_CONVERGED, _AT_BOUND = int(FitFlag.NOT_CONVERGED), int(FitFlag.AT_BOUND)
_DEGENERATE = int(FitFlag.DEGENERATE)
_LEAST_PIVOT = 1e-11  # of a normal matrix with unit diagonal: less is not determined
_LEAST_COUNT = 1e-6
_UNBOUNDED = 1e15  # a span beyond which a bound is none
_STEEPEST, _FLATTEST = 1e-12, 1e12


@dataclass(frozen=True)
class Coupling:
    """How a model's parameters follow from the free ones: ``scale * free[source] + offset``.

    Attributes
    ----------
    source : (parameter,) int64
        Number of the free parameter; -1 where it is fixed to its start.
    scale, offset : (parameter,) float64
    free : (free,) int64
        Parameters that stand for the free ones: scale 1, offset 0.
    """

    source: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    free: np.ndarray


def couple_parameters(
    names: Sequence[str],
    *,
    fixed: Sequence[str] = (),
    tied: Mapping[str, tuple[str, float, float]] | None = None,
) -> Coupling:
    """Return the coupling of named parameters.

    Parameters
    ----------
    names : sequence of str
        The model's, in its order.
    fixed : sequence of str
        Those that keep the value of their start.
    tied : mapping
        From a name to (another name, scale, offset): ``scale * other + offset``.

    Raises
    ------
    ValueError
        If a name is unknown, or a parameter is tied to one that is not free.
    """
    tied = dict(tied or {})
    for name in (*fixed, *tied, *(other for other, _, _ in tied.values())):
        if name not in names:
            raise ValueError(f"no parameter {name!r}; there are {', '.join(names)}")
    free = [k for k, name in enumerate(names) if name not in tied and name not in fixed]
    if not free:
        raise ValueError("all parameters are fixed or tied: expected at least one that is free")
    source, scale = np.full(len(names), -1), np.ones(len(names))
    offset = np.zeros(len(names))
    source[free] = np.arange(len(free))
    for name, (other, factor, shift) in tied.items():
        k, at = list(names).index(name), list(names).index(other)
        if at not in free or not (math.isfinite(factor) and math.isfinite(shift)) or factor == 0:
            raise ValueError(f"{name} is tied to {other}, which must be free, by finite numbers")
        source[k], scale[k], offset[k] = free.index(at), factor, shift
    return Coupling(source, scale, offset, np.array(free))


def pixel_fitter(model):
    """Return the compiled fit of one pixel for a compiled model."""

    @numba.njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
    def fit_pixel(
        axis,
        settings,
        data,
        weight,
        noise,
        theta,
        lower,
        upper,
        source,
        scale,
        offset,
        free,
        largest_steps,
        tolerance,
        work,
        covariance,
    ):
        """Fit one pixel in place; compiled.

        Parameters
        ----------
        model : compiled function
            ``model(theta, axis, settings, values, derivatives)`` writes values (datum,) and
            derivatives (parameter, datum).
        axis, settings : arrays
            Handed to the model.
        data, weight : (datum,) float64
            The weight is 1 / sigma^2, 0 where there is no value. Of counts (POISSON) it is 1 or 0.
        noise : int
            GAUSSIAN or POISSON.
        theta : (parameter,) float64
            The start, then the answer.
        lower, upper : (parameter,) float64
        source, scale, offset, free
            Of a ``Coupling``.
        largest_steps : int
        tolerance : float
            The fit ends when a step lowers the misfit by a smaller share.
        work : tuple of arrays
            values (datum,), derivatives (parameter, datum), residual weights (2, datum), square
            matrices (3, parameter, parameter), vectors (4, parameter).
        covariance : (parameter, parameter) float64
            Written: of the free parameters, in their order; NaN where not determined.

        Returns
        -------
        misfit : float
            chi2, or the deviance of counts.
        flags : int
            NOT_CONVERGED, AT_BOUND, DEGENERATE.
        steps : int
        """
        values, jacobian, weights, squares, vectors = work
        n_free = len(free)
        normal, factor, trial_normal = squares[0], squares[1], squares[2]
        gradient, step, trial, trial_gradient = vectors[0], vectors[1], vectors[2], vectors[3]
        n = len(data)
        for p in range(len(theta)):
            if source[p] >= 0:
                theta[p] = min(max(theta[p], lower[p]), upper[p])
        for p in range(len(theta)):
            if source[p] >= 0:
                theta[p] = scale[p] * theta[free[source[p]]] + offset[p]
        model(theta, axis, settings, values, jacobian)
        misfit = _normal_equations(
            values, jacobian, data, weight, noise, weights, source, scale, n_free, normal, gradient
        )
        damping, is_done, steps, n_small = 1e-3, False, 0, 0
        while steps < largest_steps and not is_done:
            steps += 1
            if not _damped_step(
                normal, gradient, damping, theta, lower, upper, free, factor, step, n_free
            ):
                is_done = True  # every parameter is held at its bound
                break
            predicted = 0.0
            for i in range(n_free):
                p = free[i]
                trial[p] = min(max(theta[p] + step[i], lower[p]), upper[p])
                predicted += step[i] * gradient[i]
            for p in range(len(theta)):
                if source[p] < 0:
                    trial[p] = theta[p]
                elif free[source[p]] != p:
                    trial[p] = scale[p] * trial[free[source[p]]] + offset[p]
            model(trial, axis, settings, values, jacobian)
            new = _normal_equations(
                values,
                jacobian,
                data,
                weight,
                noise,
                weights,
                source,
                scale,
                n_free,
                trial_normal,
                trial_gradient,
            )
            if new <= misfit:  # a NaN is never better
                decrease = misfit - new
                for p in range(len(theta)):
                    theta[p] = trial[p]
                for i in range(n_free):
                    gradient[i] = trial_gradient[i]
                    for j in range(i + 1):
                        normal[i, j] = trial_normal[i, j]
                misfit = new
                # two small steps in a row: a damped one may be small far from the minimum
                small = decrease <= tolerance * misfit + 1e-300
                n_small = n_small + 1 if small else 0
                is_done = n_small >= 2 or (small and damping <= 1e-6)
                damping = max(damping * 0.1, _STEEPEST)
            else:
                if predicted <= 0.1 * tolerance * misfit:
                    is_done = True  # nothing is left to gain but rounding
                damping *= 10.0
                if damping > _FLATTEST:
                    is_done = True
        flags = 0 if is_done else _NOT_CONVERGED
        for i in range(n_free):
            p = free[i]
            span = upper[p] - lower[p]
            edge = 1e-9 * span if span < _UNBOUNDED else 0.0
            if theta[p] <= lower[p] + edge or theta[p] >= upper[p] - edge:
                flags |= _AT_BOUND
        if not _covariance(normal, factor, covariance, n_free):
            flags |= _DEGENERATE
        used = 0
        for k in range(n):
            used += weight[k] > 0
        if used < n_free:
            flags |= _DEGENERATE
        return misfit, flags, steps

    return fit_pixel


@numba.njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", inline="always")
def _normal_equations(
    values, jacobian, data, weight, noise, weights, source, scale, n_free, normal, gradient
):
    """Write the normal matrix (below and on the diagonal) and the gradient; return the misfit."""
    n, misfit = len(data), 0.0
    pull, curve = weights[0], weights[1]
    if noise == POISSON:
        for k in range(n):
            mean = max(values[k], _LEAST_COUNT)
            used = weight[k]
            count = data[k]
            log_part = count * math.log(count / mean) if count > 0 else 0.0
            if used > 0:
                misfit += 2 * (mean - count + log_part)
                pull[k] = (count - mean) / mean
                curve[k] = 1 / mean
            else:
                pull[k] = 0.0
                curve[k] = 0.0
    else:
        for k in range(n):
            off = data[k] - values[k]
            pull[k] = off * weight[k]
            curve[k] = weight[k]
            misfit += off * pull[k]
    n_all = len(source)
    for i in range(n_free):
        gradient[i] = 0.0
        for j in range(i + 1):
            normal[i, j] = 0.0
    for p in range(n_all):
        i = source[p]
        if i < 0:
            continue
        row = jacobian[p]
        total = 0.0
        for k in range(n):
            total += row[k] * pull[k]
        gradient[i] += scale[p] * total
        for q in range(p + 1):
            j = source[q]
            if j < 0:
                continue
            other = jacobian[q]
            total = 0.0
            for k in range(n):
                total += row[k] * other[k] * curve[k]
            total *= scale[p] * scale[q]
            if i == j and p != q:
                total *= 2
            normal[max(i, j), min(i, j)] += total
    return misfit


@numba.njit(error_model="numpy")
def _damped_step(normal, gradient, damping, theta, lower, upper, free, factor, step, n_free):
    """Write the step of the damped normal equations; return whether any parameter moves.

    A parameter at a bound whose gradient points outwards is held.
    """
    moves = False
    for i in range(n_free):
        p = free[i]
        is_held = (theta[p] <= lower[p] and gradient[i] < 0) or (
            theta[p] >= upper[p] and gradient[i] > 0
        )
        is_held = is_held or normal[i, i] <= 0.0
        step[i] = 0.0 if is_held else 1.0
        moves = moves or not is_held
    if not moves:
        return False
    for i in range(n_free):
        for j in range(i + 1):
            off = step[i] == 0.0 or step[j] == 0.0
            value = normal[i, j]
            if i == j:
                value = 1.0 if step[i] == 0.0 else value * (1.0 + damping)
            elif off:
                value = 0.0
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            if i == j:
                least = 1e-14 * normal[i, i]
                factor[i, i] = math.sqrt(max(value, least, 1e-300))
            else:
                factor[i, j] = value / factor[j, j]
    for i in range(n_free):
        value = gradient[i] if step[i] != 0.0 else 0.0
        for k in range(i):
            value -= factor[i, k] * step[k]
        step[i] = value / factor[i, i]
    for back in range(n_free):
        i = n_free - 1 - back
        value = step[i]
        for k in range(i + 1, n_free):
            value -= factor[k, i] * step[k]
        step[i] = value / factor[i, i]
    return True


@numba.njit(error_model="numpy")
def _covariance(normal, factor, covariance, n_free):
    """Write the inverse of the normal matrix; return whether all parameters are determined.

    Of an undetermined system rows and columns are NaN where the diagonal or the pivot vanishes.
    """
    determined = True
    for i in range(n_free):
        for j in range(i + 1):
            size = math.sqrt(normal[i, i] * normal[j, j])
            value = normal[i, j] / size if size > 0 else (1.0 if i == j else 0.0)
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            if i == j:
                if not value > _LEAST_PIVOT or not normal[i, i] > 0:
                    determined = False
                    value = max(value, _LEAST_PIVOT)
                factor[i, i] = math.sqrt(value)
            else:
                factor[i, j] = value / factor[j, j]
    for column in range(n_free):
        for i in range(n_free):
            value = 1.0 if i == column else 0.0
            for k in range(i):
                value -= factor[i, k] * covariance[column, k]
            covariance[column, i] = value / factor[i, i]
        for back in range(n_free):
            i = n_free - 1 - back
            value = covariance[column, i]
            for k in range(i + 1, n_free):
                value -= factor[k, i] * covariance[column, k]
            covariance[column, i] = value / factor[i, i]
    for i in range(n_free):
        for j in range(n_free):
            size = math.sqrt(normal[i, i] * normal[j, j])
            covariance[i, j] = covariance[i, j] / size if size > 0 else np.nan
    return determined
