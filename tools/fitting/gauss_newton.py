"""Gauss-Newton for maps whose pixels are coupled, by a telescope or by a prior; matrix-free.

Minimises sum w (data - A f(theta))^2 + sum_p a_p u_p^T L^n u_p: f is the model of each pixel, A a
point-spread function, u_p = theta_p / scale_p the map of a parameter, L the five-point Laplacian
with free boundary. Each damped step is solved by conjugate gradients, in which the derivatives of a
pixel act on that pixel and A by Fourier transforms, so that no matrix of the map is ever made; the
pixels' own matrices precondition. In the Hessian (never in the gradient) derivatives are projected
onto the few shapes along the data that hold nearly all of them: ten times fewer planes.
Errors come from samples of the linearised posterior (Papandreou & Yuille 2010, NIPS 23).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
from scipy.ndimage import uniform_filter

from tools.fitting.levenberg_marquardt import Coupling
from tools.physics.point_spread import PointSpread

__all__ = ["CoupledFit", "CoupledProblem", "fit_coupled", "laplacian_power"]

Linearised = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
_LEAST_DAMPING, _MOST_DAMPING = 1e-6, 1e6
_CG_STEPS = 60
_MIDDLE_OF_LAPLACIAN = {1: 4.0, 2: 20.0}  # its diagonal, and that of its square
_ROWS, _LEFT_OUT = 20_000, 1e-3  # of derivatives looked at; share of their squares left out


@dataclass(frozen=True)
class CoupledProblem:
    """What is fitted.

    Attributes
    ----------
    linearise : callable
        From parameters (y, x, parameter) to values (y, x, datum) and derivatives
        (y, x, parameter, datum) of each pixel by its own parameters.
    data, weight : (y, x, datum) float
        Weights are 1 / sigma^2; 0 where there is no value.
    coupling : Coupling
        Of the model's parameters.
    scale : (parameter,) float64
        A typical change over the map, in which priors count.
    lower, upper : (parameter,) float64
    prior_weight : (parameter,) float64
        a_p; 0 without prior.
    power : int
        n: 1 penalises differences of neighbours, 2 curvature.
    point_spread : PointSpread, optional
    """

    linearise: Linearised
    data: np.ndarray
    weight: np.ndarray
    coupling: Coupling
    scale: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    prior_weight: np.ndarray
    power: int = 1
    point_spread: PointSpread | None = None

    def seen(self, values: np.ndarray) -> np.ndarray:
        """Return what the telescope makes of values (y, x, datum)."""
        return values if self.point_spread is None else self.point_spread.apply(values)

    def seen_transposed(self, values: np.ndarray) -> np.ndarray:
        """Return the transpose of ``seen``."""
        return values if self.point_spread is None else self.point_spread.transpose(values)

    def full(self, free: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Return all parameters from the free ones in their scales."""
        own = self.coupling
        plain = free * self.scale[own.free]
        out = np.array(fixed, float)
        for p, source in enumerate(own.source):
            if source >= 0:
                out[..., p] = own.scale[p] * plain[..., source] + own.offset[p]
        return out


@dataclass(frozen=True)
class CoupledFit:
    """A fitted map.

    Attributes
    ----------
    theta, errors : (y, x, parameter) float64
        Errors of one sigma; 0 of fixed parameters.
    prior_share : (y, x, parameter) float64
        Share of what is known of a parameter that came from the prior, 0 to 1.
    values : (y, x, datum) float32
        What the model gives, as seen.
    misfit : (y, x) float64
        Sum of w (data - values)^2.
    objective : float
    steps : int
    is_converged : bool
    """

    theta: np.ndarray
    errors: np.ndarray
    prior_share: np.ndarray
    values: np.ndarray
    misfit: np.ndarray
    objective: float
    steps: int
    is_converged: bool


def fit_coupled(
    problem: CoupledProblem,
    start: np.ndarray,
    *,
    largest_steps: int = 20,
    tolerance: float = 1e-4,
    n_samples: int = 0,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> CoupledFit:
    """Fit all pixels together.

    Parameters
    ----------
    problem : CoupledProblem
    start : (y, x, parameter) float64
        Finite.
    largest_steps : int
    tolerance : float
        The fit ends when a step lowers the objective by a smaller share.
    n_samples : int
        Of the posterior, for the errors; 0 gives none (NaN).
    seed : int
        Of the samples.
    progress : callable, optional
        Called after each step with its number and the misfit per datum.

    Raises
    ------
    ValueError
        If the start is not finite.
    """
    if not np.isfinite(start).all():
        raise ValueError("expected a finite start in every pixel; fill gaps from neighbours")
    if problem.power not in _MIDDLE_OF_LAPLACIAN:
        raise ValueError(f"power is 1 or 2, got {problem.power}")
    own = problem.coupling
    free = start[..., own.free] / problem.scale[own.free]
    state = _State(problem, free, start)
    n_used = max(int((problem.weight > 0).sum()), 1)
    damping, steps, is_converged = 1e-2, 0, False
    while steps < largest_steps and not is_converged:
        steps += 1
        move = state.solve(state.pull(), damping)
        trial = _State(problem, _clipped(state.free + move, problem), start)
        if trial.objective < state.objective:
            gain = (state.objective - trial.objective) / max(trial.objective, 1e-300)
            state, damping = trial, max(damping * 0.2, _LEAST_DAMPING)
            is_converged = gain < tolerance
        else:
            damping *= 8
            is_converged = damping > _MOST_DAMPING
        if progress is not None:
            progress(steps, float(state.misfit.sum() / n_used))
    errors = np.zeros_like(start, dtype=float)
    share = np.zeros_like(errors)
    for p, source in enumerate(own.source):
        errors[..., p] = np.nan if source >= 0 else 0.0
    if n_samples:
        variance, from_prior = state.spread(n_samples, np.random.default_rng(seed))
        for p, source in enumerate(own.source):
            if source >= 0:
                width = np.sqrt(variance[..., source]) * problem.scale[own.free[source]]
                errors[..., p] = np.abs(own.scale[p]) * width
                share[..., p] = from_prior[..., source]
    return CoupledFit(
        problem.full(state.free, start),
        errors,
        share,
        state.values,
        state.misfit,
        state.objective,
        steps,
        is_converged,
    )


class _State:
    """The linearised problem at some parameters."""

    def __init__(self, problem: CoupledProblem, free: np.ndarray, fixed: np.ndarray):
        self.problem, self.free = problem, free
        own = problem.coupling
        values, derivatives = problem.linearise(problem.full(free, fixed))
        n_free = len(own.free)
        shape = (*free.shape[:2], n_free, values.shape[-1])
        self.jacobian = np.zeros(shape, np.float32)
        for p, source in enumerate(own.source):
            if source >= 0:
                factor = own.scale[p] * problem.scale[own.free[source]]
                self.jacobian[:, :, source] += (factor * derivatives[:, :, p]).astype(np.float32)
        self.values = problem.seen(values.astype(np.float32))
        self.weight = problem.weight.astype(np.float32)
        self.off = np.where(problem.weight > 0, problem.data - self.values, 0).astype(np.float32)
        self.misfit = np.einsum("yxk,yxk->yx", self.off * self.weight, self.off, dtype=float)
        self.prior = problem.prior_weight[own.free]
        rough = laplacian_power(free, problem.power)
        self.objective = float(self.misfit.sum() + np.sum(self.prior * rough * free))
        self._rough_free = rough
        self._blocks: np.ndarray | None = None
        self._compact: tuple[np.ndarray, np.ndarray] | None = None

    def compact(self) -> tuple[np.ndarray, np.ndarray]:
        """Return derivatives (y, x, free, shape) times root weight, and each pixel's weight."""
        if self._compact is None:
            typical = np.sqrt(self.weight.mean(axis=(0, 1)))
            over = np.where(typical > 0, 1.0 / np.maximum(typical, 1e-30), 0.0)
            basis = _shapes(self.jacobian * typical)
            projected = (self.jacobian * typical) @ basis
            share = (self.weight * (over * over).astype(np.float32)).mean(axis=-1)
            self._compact = projected, share.astype(np.float32)[..., None]
        return self._compact

    def pull(self) -> np.ndarray:
        """Return half the negative gradient of the objective."""
        back = self.problem.seen_transposed(self.off * self.weight)
        return _transposed(self.jacobian, back) - self.prior * self._rough_free

    def curve(self, u: np.ndarray) -> np.ndarray:
        """Return half the Hessian (Gauss-Newton's) times free parameters (y, x, free)."""
        jacobian, weight = self.compact()
        seen = self.problem.seen(_applied(jacobian, u.astype(np.float32)))
        back = self.problem.seen_transposed(seen * weight)
        return _transposed(jacobian, back) + self.prior * laplacian_power(u, self.problem.power)

    def solve(self, right: np.ndarray, damping: float, *, tolerance: float = 3e-2) -> np.ndarray:
        """Return the solution of the damped normal equations by conjugate gradients."""
        if self._blocks is None:
            diagonal = self.prior * 4.0**self.problem.power
            self._blocks = _block_normals(*self.compact(), diagonal)
        blocks = self._blocks.copy()
        own = np.einsum("yxii->yxi", blocks)
        extra = damping * own + 1e-12 * own.max(axis=(0, 1)) + 1e-30
        own += extra
        x, residual = np.zeros_like(right), right.copy()
        z = _block_solved(blocks, residual)
        direction, size = z.copy(), float(np.vdot(residual, z))
        least = tolerance**2 * size
        for _ in range(_CG_STEPS):
            if not size > least:
                break
            product = self.curve(direction) + extra * direction
            bend = float(np.vdot(direction, product))
            if not bend > 0:
                break
            step = size / bend
            x += step * direction
            residual -= step * product
            z = _block_solved(blocks, residual)
            before, size = size, float(np.vdot(residual, z))
            direction = z + (size / before) * direction
        return x

    def spread(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the posterior's variance and the prior's share, (y, x, free), from samples."""
        total = np.zeros_like(self.free)
        jacobian, weight = self.compact()
        root, size = np.sqrt(weight), (*weight.shape[:2], jacobian.shape[-1])
        for _ in range(n):
            noise = generator.normal(size=size).astype(np.float32)
            right = _transposed(jacobian, self.problem.seen_transposed(noise * root))
            right += np.sqrt(self.prior) * _rough_root(
                self.free.shape, self.problem.power, generator
            )
            total += self.solve(right, 0.0, tolerance=1e-3) ** 2
        variance = total / n
        # neighbours are alike: averaging lowers the samples' own scatter
        variance = uniform_filter(variance, (3, 3, 1), mode="nearest")
        blocks = _block_normals(jacobian, weight, np.zeros(self.free.shape[-1]))
        energy = 1.0 if self.problem.point_spread is None else self.problem.point_spread.energy
        # what a pixel's data say of a parameter, its other parameters unknown
        least = 1e-12 * np.einsum("yxii->yx", blocks)[..., None, None] + 1e-30
        inverse = np.linalg.inv(blocks + least * np.eye(blocks.shape[-1]))
        with np.errstate(divide="ignore"):
            known = energy / np.einsum("yxii->yxi", inverse)
        held = self.prior * _MIDDLE_OF_LAPLACIAN[self.problem.power]
        share = held / np.maximum(held + np.maximum(known, 0.0), 1e-300)
        return variance, share


def _clipped(free: np.ndarray, problem: CoupledProblem) -> np.ndarray:
    own = problem.coupling.free
    scale = problem.scale[own]
    return np.clip(free, problem.lower[own] / scale, problem.upper[own] / scale)


def _shapes(jacobian: np.ndarray) -> np.ndarray:
    """Return orthonormal shapes (datum, shape) that hold nearly all of the derivatives.

    Rows count alike, so that a parameter to which the data hardly react is held, too.
    """
    rows = jacobian.reshape(-1, jacobian.shape[-1])
    rows = rows[:: max(len(rows) // _ROWS, 1)].astype(float)
    size = np.linalg.norm(rows, axis=1)
    rows = rows[size > 1e-6 * size.max()] / size[size > 1e-6 * size.max(), None]
    energy, vectors = np.linalg.eigh(rows.T @ rows)
    left_out = np.cumsum(np.maximum(energy, 0)) / max(energy.sum(), 1e-300)
    kept = max(int((left_out > _LEFT_OUT).sum()), 1)
    return vectors[:, -kept:].astype(np.float32)


def _laplacian(u: np.ndarray) -> np.ndarray:
    out = np.zeros_like(u)
    down, right = np.diff(u, axis=0), np.diff(u, axis=1)
    out[:-1] -= down
    out[1:] += down
    out[:, :-1] -= right
    out[:, 1:] += right
    return out


def laplacian_power(u: np.ndarray, power: int) -> np.ndarray:
    """Return a power of the five-point Laplacian of maps (y, x, ...), with free boundary."""
    for _ in range(power):
        u = _laplacian(u)
    return u


def _rough_root(shape: tuple[int, ...], power: int, generator: np.random.Generator) -> np.ndarray:
    """Return a sample whose covariance is L^power."""
    if power % 2 == 0:
        return laplacian_power(generator.normal(size=shape), power // 2)
    out = np.zeros(shape)
    down = generator.normal(size=(shape[0] - 1, *shape[1:]))
    right = generator.normal(size=(shape[0], shape[1] - 1, *shape[2:]))
    out[:-1] -= down
    out[1:] += down
    out[:, :-1] -= right
    out[:, 1:] += right
    return laplacian_power(out, power // 2)


@numba.njit(parallel=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _applied(jacobian, u):
    rows, columns, n_free, n = jacobian.shape
    out = np.zeros((rows, columns, n), np.float32)
    for y in numba.prange(rows):
        for x in range(columns):
            for p in range(n_free):
                factor, row = u[y, x, p], jacobian[y, x, p]
                for k in range(n):
                    out[y, x, k] += factor * row[k]
    return out


@numba.njit(parallel=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _transposed(jacobian, values):
    rows, columns, n_free, n = jacobian.shape
    out = np.empty((rows, columns, n_free))
    for y in numba.prange(rows):
        for x in range(columns):
            for p in range(n_free):
                row, total = jacobian[y, x, p], np.float32(0)
                for k in range(n):
                    total += row[k] * values[y, x, k]
                out[y, x, p] = total
    return out


@numba.njit(parallel=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _block_normals(jacobian, weight, diagonal):
    rows, columns, n_free, n = jacobian.shape
    out = np.empty((rows, columns, n_free, n_free))
    for y in numba.prange(rows):
        for x in range(columns):
            for p in range(n_free):
                for q in range(p + 1):
                    one, other, total = jacobian[y, x, p], jacobian[y, x, q], np.float32(0)
                    for k in range(n):
                        total += one[k] * other[k]
                    out[y, x, p, q] = total * weight[y, x, 0]
                    out[y, x, q, p] = total * weight[y, x, 0]
                out[y, x, p, p] += diagonal[p]
    return out


def _block_solved(blocks: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.linalg.solve(blocks, right[..., None])[..., 0]
