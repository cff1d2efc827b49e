"""One inverse problem, put together from exchangeable pieces, and its solution as maps.

The pieces: a forward model, data with noise and masks, parameters that are free, fixed or tied with
hard bounds and soft penalties, priors on maps whose weights the data choose, a telescope. The
solver follows from them: pixels alone are fitted by Levenberg-Marquardt (a linear model is solved
in one step), coupled ones by Gauss-Newton with conjugate gradients; L-BFGS and Adam are there for
models whose derivatives are only products, and are never chosen by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from science.inversion.descent import minimise
from science.inversion.forward_model import ForwardModel
from science.inversion.results import ParameterMaps
from tools.fitting.batched import BatchedFit, fit_batched
from tools.fitting.flags import FitFlag
from tools.fitting.gauss_newton import CoupledProblem, fit_coupled
from tools.fitting.levenberg_marquardt import Coupling, couple_parameters
from tools.fitting.smoothing_weight import choose_laplacian
from tools.physics.point_spread import PointSpread

__all__ = ["SOLVERS", "InverseProblem", "SmoothMaps", "SoftPenalty", "solve"]

SOLVERS = ("auto", "levenberg-marquardt", "gauss-newton", "l-bfgs", "adam")
_POOR = 1.5
_LOG_RANGE = 20.0  # of positive parameters without bounds, about their start: 10^8.7


@dataclass(frozen=True)
class SmoothMaps:
    """A prior that maps are smooth: powers of the Laplacian.

    Attributes
    ----------
    names : tuple of str
        Parameters; empty for all that are free.
    power : int
        1 penalises differences of neighbours, 2 curvature.
    criterion : str
        How the weight is chosen from the pixels' own fits: "evidence", "gcv", "discrepancy" or
        "risk" (see ``choose_laplacian``).
    weight : float
        Of the squared differences in the parameter's scale; 0 lets the criterion choose.
    """

    names: tuple[str, ...] = ()
    power: int = 1
    criterion: str = "evidence"
    weight: float = 0.0


@dataclass(frozen=True)
class SoftPenalty:
    """A soft constraint: ``weight * max(excess, 0)^2`` is added to chi2.

    Attributes
    ----------
    excess : callable
        From theta (pixel, parameter) to how far each pixel is beyond what is wanted, (pixel,).
    weight : float
    """

    excess: Callable[[np.ndarray], np.ndarray]
    weight: float


@dataclass(frozen=True)
class InverseProblem:
    """What is inverted.

    Attributes
    ----------
    model : ForwardModel
    axis : (datum,) float64
        Wavelengths, or what the model takes.
    data : (y, x, datum) float64
        NaN where there is no value.
    sigma : float or array that broadcasts to data
        Errors of one sigma.
    fixed : mapping
        From a parameter's name to its value.
    tied : mapping
        From a name to (other name, scale, offset).
    penalties : sequence of SoftPenalty
    priors : sequence of SmoothMaps
    point_spread : PointSpread, optional
    starts : int
        Tried in each pixel: the model's guess, then ones drawn around it.
    """

    model: ForwardModel
    axis: np.ndarray
    data: np.ndarray
    sigma: np.ndarray | float
    fixed: Mapping[str, float] = field(default_factory=dict)
    tied: Mapping[str, tuple[str, float, float]] = field(default_factory=dict)
    penalties: Sequence[SoftPenalty] = ()
    priors: Sequence[SmoothMaps] = ()
    point_spread: PointSpread | None = None
    starts: int = 1

    def __post_init__(self):
        if np.ndim(self.data) != 3 or np.shape(self.data)[2] != len(self.axis):
            raise ValueError(
                f"expected data (y, x, {len(self.axis)}) along the axis, got {np.shape(self.data)}"
            )
        np.broadcast_shapes(np.shape(self.sigma), np.shape(self.data))
        tied_positive = [p.name for p in self.model.parameters if p.is_positive]
        for name, (other, _, offset) in self.tied.items():
            if (name in tied_positive) != (other in tied_positive) or (
                name in tied_positive and offset != 0
            ):
                raise ValueError(
                    f"{name} is tied to {other}: both must be positive parameters, without offset, "
                    "or neither"
                )


def solve(
    problem: InverseProblem,
    *,
    solver: str = "auto",
    seed: int = 0,
    n_samples: int = 12,
) -> ParameterMaps:
    """Return the maps of a problem's parameters with errors, flags and the priors' shares.

    Parameters
    ----------
    problem : InverseProblem
    solver : str
        One of ``SOLVERS``; "auto" takes the one that fits the problem.
    seed : int
        Of further starts and of the samples for errors.
    n_samples : int
        Of coupled problems' posteriors.

    Raises
    ------
    ValueError
        If the solver is unknown or can't solve the problem.
    """
    if solver not in SOLVERS:
        raise ValueError(f"no solver {solver!r}; there are {', '.join(SOLVERS)}")
    work = _Work(problem, seed)
    is_coupled = bool(problem.priors) or problem.point_spread is not None
    if solver == "levenberg-marquardt" and is_coupled:
        raise ValueError("levenberg-marquardt fits pixels alone; take gauss-newton for priors")
    if solver in ("l-bfgs", "adam"):
        return work.descend(solver)
    alone = work.fit_pixels()
    if solver == "gauss-newton" or is_coupled:
        if problem.penalties:
            raise ValueError("soft penalties go with pixels alone, l-bfgs or adam")
        return work.couple(alone, n_samples)
    return work.maps_alone(alone)


class _Work:
    """Arrays of a problem: pixels in a row, parameters as they are fitted."""

    def __init__(self, problem: InverseProblem, seed: int):
        self.problem, self.parameters = problem, problem.model.parameters
        self.shape = problem.data.shape[:2]
        data = np.asarray(problem.data, float).reshape(-1, len(problem.axis))
        sigma = np.broadcast_to(np.asarray(problem.sigma, float), problem.data.shape)
        sigma = sigma.reshape(data.shape)
        is_valid = np.isfinite(data) & np.isfinite(sigma) & (sigma > 0)
        self.data = np.where(is_valid, data, 0.0)
        self.weight = np.where(is_valid, 1.0 / np.where(is_valid, sigma, 1.0) ** 2, 0.0)
        names = problem.model.names()
        tied = {
            name: (other, 1.0, math.log(scale)) if self._is_positive(name) else (other, scale, off)
            for name, (other, scale, off) in problem.tied.items()
        }
        self.coupling: Coupling = couple_parameters(names, fixed=tuple(problem.fixed), tied=tied)
        guess = problem.model.first_guess(np.where(is_valid, data, np.nan), problem.axis)
        guess = np.where(np.isfinite(guess), guess, [p.start for p in self.parameters])
        for name, value in problem.fixed.items():
            guess[:, names.index(name)] = value
        self.start = np.stack(
            [p.inner(np.clip(guess[:, k], p.lower, p.upper)) for k, p in self._numbered()], axis=1
        )
        self.lower, self.upper = (
            np.array([self._bound(p, bound) for p in self.parameters])
            for bound in ("lower", "upper")
        )
        self.scale = np.array([p.scale for p in self.parameters])
        self.generator = np.random.default_rng(seed)
        self.seed = seed

    def _numbered(self):
        return enumerate(self.parameters)

    def _is_positive(self, name: str) -> bool:
        return self.parameters[self.problem.model.names().index(name)].is_positive

    @staticmethod
    def _bound(parameter, which: str) -> float:
        value = getattr(parameter, which)
        if not parameter.is_positive:
            return value
        if value > 0 and math.isfinite(value):
            return math.log(value)
        return math.log(parameter.start) + (-_LOG_RANGE if which == "lower" else _LOG_RANGE)

    def outer(self, inner: np.ndarray) -> np.ndarray:
        """Return parameters (..., parameter) from what is fitted."""
        return np.stack([p.outer(inner[..., k]) for k, p in self._numbered()], axis=-1)

    def full(self, free: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return all inner parameters from the free ones of some pixels."""
        own, out = self.coupling, self.start[index].copy()
        for p, source in enumerate(own.source):
            if source >= 0:
                out[:, p] = own.scale[p] * free[:, source] + own.offset[p]
        return out

    def inner_derivatives(self, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and derivatives by the inner parameters, (pixel, parameter, datum)."""
        theta = self.outer(inner)
        values, derivatives = self.problem.model.derivatives(theta, self.problem.axis)
        ones = np.ones(len(theta))
        factor = [theta[:, k] if p.is_positive else ones for k, p in self._numbered()]
        return values, derivatives * np.stack(factor, axis=1)[..., None]

    def _free_derivatives(self, derivatives: np.ndarray) -> np.ndarray:
        own = self.coupling
        out = np.zeros((len(derivatives), len(own.free), derivatives.shape[2]))
        for p, source in enumerate(own.source):
            if source >= 0:
                out[:, source] += own.scale[p] * derivatives[:, p]
        return out

    def linearise(self, free: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and derivatives by the free parameters, penalties as further data."""
        inner = self.full(free, index)
        values, derivatives = self.inner_derivatives(inner)
        derivatives = self._free_derivatives(derivatives)
        for penalty in self.problem.penalties:
            row, by_free = self._penalty(penalty, free, index)
            values = np.concatenate([values, row[:, None]], axis=1)
            derivatives = np.concatenate([derivatives, by_free[..., None]], axis=2)
        return values, derivatives

    def _penalty(self, penalty, free, index) -> tuple[np.ndarray, np.ndarray]:
        def excess(at):
            return np.maximum(penalty.excess(self.outer(self.full(at, index))), 0.0)

        value, slope = excess(free), np.zeros(free.shape)
        for k in range(free.shape[1]):
            step = 1e-6 * self.scale[self.coupling.free[k]]
            up, down = free.copy(), free.copy()
            up[:, k] += step
            down[:, k] -= step
            slope[:, k] = (excess(up) - excess(down)) / (2 * step)
        return value, slope

    def fit_pixels(self) -> BatchedFit:
        """Fit all pixels alone."""
        free = self.start[:, self.coupling.free]
        starts = np.repeat(free[:, None], max(self.problem.starts, 1), axis=1)
        spread = self.scale[self.coupling.free]
        starts[:, 1:] += spread * self.generator.normal(size=starts[:, 1:].shape)
        n = len(self.data)
        extra = np.array([p.weight for p in self.problem.penalties])
        weight = np.concatenate([self.weight, np.broadcast_to(extra, (n, len(extra)))], axis=1)
        data = np.concatenate([self.data, np.zeros((n, len(extra)))], axis=1)
        low, high = self.lower[self.coupling.free], self.upper[self.coupling.free]
        return fit_batched(self.linearise, data, weight, starts, low, high)

    def maps_alone(self, fit: BatchedFit) -> ParameterMaps:
        """Return the maps of pixels that were fitted alone."""
        everyone = np.arange(len(self.data))
        spread = np.sqrt(np.maximum(np.einsum("nii->ni", fit.covariance), 0))
        inner = self.full(np.nan_to_num(fit.free), everyone)
        return self._maps(inner, spread, fit.misfit, fit.flags)

    def couple(self, alone: BatchedFit, n_samples: int) -> ParameterMaps:
        """Return the maps of the coupled problem, started from pixels alone."""
        rows = (*self.shape, -1)
        everyone = np.arange(len(self.data))
        lost = ~np.isfinite(alone.free).all(axis=1) | ~self.weight.any(axis=1)
        free = np.where(lost[:, None], np.median(alone.free[~lost], axis=0), alone.free)
        power, weights = self._prior_weights(alone, lost)

        def linearise(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            values, derivatives = self.inner_derivatives(inner.reshape(len(self.data), -1))
            return values.reshape(rows), derivatives.reshape(*self.shape, *derivatives.shape[1:])

        coupled = CoupledProblem(
            linearise,
            self.data.reshape(rows),
            self.weight.reshape(rows),
            self.coupling,
            self.scale,
            self.lower,
            self.upper,
            weights,
            power,
            self.problem.point_spread,
        )
        start = self.full(free, everyone).reshape(rows)
        found = fit_coupled(coupled, start, largest_steps=30, n_samples=n_samples, seed=self.seed)
        flags = np.zeros(len(self.data), np.uint16)
        if not found.is_converged:
            flags |= np.uint16(FitFlag.NOT_CONVERGED)
        shares = found.prior_share.reshape(len(self.data), -1)
        flags[shares.max(axis=1) > 0.5] |= np.uint16(FitFlag.PRIOR_DECIDED)
        spread = found.errors.reshape(len(self.data), -1)[:, self.coupling.free]
        inner = found.theta.reshape(len(self.data), -1)
        return self._maps(inner, spread, found.misfit.ravel(), flags, shares)

    def _prior_weights(self, alone: BatchedFit, lost: np.ndarray) -> tuple[int, np.ndarray]:
        """Return the priors' one power and the weight of each parameter."""
        weights, power = np.zeros(len(self.parameters)), 1
        names, own = self.problem.model.names(), self.coupling
        powers = {prior.power for prior in self.problem.priors}
        if len(powers) > 1:
            raise ValueError(f"priors of one power, please; got {sorted(powers)}")
        for prior in self.problem.priors:
            power = prior.power
            for name in prior.names or [names[p] for p in own.free]:
                if name not in names or own.source[names.index(name)] < 0:
                    raise ValueError(f"a prior on {name}, which is no free parameter")
                p = names.index(name)
                weights[p] = prior.weight
                if not prior.weight:
                    k = own.source[p]
                    variance = np.einsum("nii->ni", alone.covariance)[:, k] / self.scale[p] ** 2
                    known = ~lost & np.isfinite(variance) & (variance > 0)
                    chosen = choose_laplacian(
                        np.where(known, alone.free[:, k] / self.scale[p], np.nan).reshape(
                            self.shape
                        ),
                        np.where(known, 1 / np.where(known, variance, 1), 0).reshape(self.shape),
                        criterion=prior.criterion,
                        powers=(power,),
                        seed=self.seed,
                    )
                    weights[p] = chosen.prior.strength
        return power, weights

    def descend(self, solver: str) -> ParameterMaps:
        """Return the maps by a descent on the whole objective."""
        everyone = np.arange(len(self.data))
        weights, power = np.zeros(len(self.coupling.free)), 1
        if self.problem.priors:
            if any(not prior.weight for prior in self.problem.priors):
                raise ValueError(f"{solver} takes priors of a given weight; gauss-newton finds it")
            power, full = self._prior_weights(self.fit_pixels(), np.zeros(len(self.data), bool))
            weights = full[self.coupling.free]
        low, high = self.lower[self.coupling.free], self.upper[self.coupling.free]
        scale = self.scale[self.coupling.free]
        free, misfit, is_done = minimise(
            self, self.start[:, self.coupling.free], low, high, scale, weights, power, solver
        )
        flags = np.full(len(self.data), 0 if is_done else FitFlag.NOT_CONVERGED, np.uint16)
        spread = np.full(free.shape, np.nan)
        return self._maps(self.full(free, everyone), spread, misfit, flags)

    def _maps(self, inner, spread, misfit, flags, shares=None) -> ParameterMaps:
        """Return maps of the parameters themselves; NaN and a flag where there are no data."""
        names, own = self.problem.model.names(), self.coupling
        theta = self.outer(inner)
        used = (self.weight > 0).sum(axis=1)
        no_data = used == 0
        flags = flags.copy()
        flags[no_data] = FitFlag.NO_DATA
        chi2 = misfit / np.maximum(used - len(own.free), 1)
        flags[chi2 > _POOR] |= np.uint16(FitFlag.POOR_FIT)
        theta[no_data], chi2 = np.nan, np.where(no_data, np.nan, chi2)
        values, errors, prior = {}, {}, {}
        for p, name in enumerate(names):
            values[name] = theta[:, p].reshape(self.shape)
            if own.source[p] < 0:
                continue
            width = np.abs(own.scale[p]) * spread[:, own.source[p]]
            width = width * theta[:, p] if self.parameters[p].is_positive else width
            errors[name] = np.where(no_data, np.nan, width).reshape(self.shape)
            if shares is not None and self.problem.priors:
                prior[name] = shares[:, p].reshape(self.shape)
        units = {p.name: p.unit for p in self.parameters}
        shape = self.shape
        return ParameterMaps(
            values, units, errors, chi2.reshape(shape), flags.reshape(shape), prior
        )
