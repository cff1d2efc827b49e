"""Fits Gaussians to all spectra of a map at once, with a prior that the maps be smooth.

Minimises the sum over pixels of chi2 (or the deviance of counts) + sum_p lambda_p t_p^T K t_p. t_p
is the map of parameter p (of amplitudes the logarithm); K is the Laplacian of the pixels' grid
("gradient": squared differences of neighbours) or its square ("laplacian": squared curvature).
Each weight lambda_p follows from the evidence (MacKay 1992, Neural Computation 4, 415, eq. 4.9);
its trace from samples of the posterior (Papandreou & Yuille 2010, NIPS 23). Steps are
Gauss-Newton's, solved by conjugate gradients with the pixels' own matrices as preconditioner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from tools.fitting.levenberg_marquardt import POISSON
from tools.physics.gaussian_kernel import gaussian_kernel

__all__ = ["PRIORS", "SmoothedLines", "fit_lines_with_prior"]

PRIORS = ("gradient", "laplacian")
_LEAST_AMPLITUDE = 1e-3  # of the median: what a logarithm starts from
_LEAST_COUNT = 1e-6
_CG_TOLERANCE, _CG_STEPS = 1e-4, 300
_LARGEST_STEP = 0.7  # of a logarithm of amplitude, of widths and of shifts in widths


@dataclass(frozen=True)
class SmoothedLines:
    """Maps of Gaussians with a prior.

    Attributes
    ----------
    values, errors : (y, x, parameter) float64
        As ``GaussianLines``, centres counted from the reference.
    prior_share : (y, x, parameter) float64
        Share of what is known of a parameter that came from the prior, 0 to 1.
    misfit : (y, x) float64
    weights : (free,) float64
        lambda of each free parameter.
    steps : int
    """

    values: np.ndarray
    errors: np.ndarray
    prior_share: np.ndarray
    misfit: np.ndarray
    weights: np.ndarray
    steps: int


def fit_lines_with_prior(
    axis: np.ndarray,
    data: np.ndarray,
    weight: np.ndarray,
    start: np.ndarray,
    *,
    n_components: int,
    continuum_terms: int,
    coupling,
    lower: np.ndarray,
    upper: np.ndarray,
    sign: float,
    noise: int,
    prior: str = "gradient",
    largest_steps: int = 14,
    n_samples: int = 24,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> SmoothedLines:
    """Fit a map of spectra.

    Parameters
    ----------
    axis : (wavelength,) float64
        Counted from the reference.
    data, weight : (y, x, wavelength) float64
        Weights are 1 / sigma^2, of counts 1; 0 where there is no value: there the prior decides.
    start : (y, x, parameter) float64
        Finite.
    n_components, continuum_terms : int
    coupling : Coupling
    lower, upper : (parameter,) float64
    sign : float
        1 for emission, -1 for absorption.
    noise : int
        GAUSSIAN or POISSON.
    prior : {"gradient", "laplacian"}
    largest_steps, n_samples : int
        Of Gauss-Newton; of the posterior, for errors.
    seed : int
        Of the samples.
    progress : callable, optional
        Called with the number of steps done.

    Raises
    ------
    ValueError
        If the prior is unknown or the start is not finite.
    """
    if prior not in PRIORS:
        raise ValueError(f"prior is one of {', '.join(PRIORS)}, got {prior!r}")
    if not np.isfinite(start).all():
        raise ValueError("expected a finite start in every pixel: fit averaged spectra first")
    problem = _Problem(
        axis,
        data,
        weight,
        np.array([n_components, continuum_terms], float),
        coupling,
        lower,
        upper,
        sign,
        noise,
        2 if prior == "laplacian" else 1,
    )
    free = problem.free_of(start)
    generator = np.random.default_rng(seed)
    lam = problem.first_weights(free)
    steps, damping = 0, 1e-3
    misfit, normal, gradient = problem.linearised(free)
    value = misfit.sum() + problem.penalty(free, lam)
    while steps < largest_steps:
        steps += 1
        rhs = gradient - problem.pull(free, lam)
        move = problem.limited(problem.solve(normal, lam, rhs[None], damping)[0], free)
        trial = problem.clipped(free + move)
        new = problem.linearised(trial)
        new_value = new[0].sum() + problem.penalty(trial, lam)
        if new_value <= value:
            gain = (value - new_value) / value
            free, (misfit, normal, gradient), damping = trial, new, damping * 0.2
            old = lam
            lam = problem.evidence(free, normal, lam, generator, 3)
            is_settled = np.abs(np.log(lam / old)).max() < 0.1 and gain < 1e-4
            value = misfit.sum() + problem.penalty(free, lam)
        else:
            damping, is_settled = damping * 10, damping > 1e6
        if progress:
            progress(steps)
        if is_settled:
            break
    variance = np.zeros_like(free)
    for _ in range(max(n_samples // 8, 1)):
        variance += (problem.samples(normal, lam, generator, 8) ** 2).sum(axis=0)
    variance /= 8 * max(n_samples // 8, 1)
    return problem.result(free, variance, misfit, normal, lam, steps)


class _Problem:
    """The linearised problem of one map in its free parameters, amplitudes by their logarithm."""

    def __init__(self, axis, data, weight, settings, coupling, lower, upper, sign, noise, power):
        self.axis, self.data, self.weight, self.settings = axis, data, weight, settings
        self.coupling, self.sign, self.noise, self.power = coupling, sign, noise, power
        self.shape, self.n_free = data.shape[:2], len(coupling.free)
        n_lines = int(settings[0])
        self.is_log = np.array([p < 3 * n_lines and p % 3 == 0 for p in coupling.free])
        scale = np.median(np.abs(data[weight > 0])) + 1e-30
        self.least = _LEAST_AMPLITUDE * scale
        low, high = lower[coupling.free].copy(), upper[coupling.free].copy()
        low[self.is_log], high[self.is_log] = np.log(self.least), np.inf
        self.low, self.high = low, high
        self.kind = np.array([p % 3 if p < 3 * n_lines else 3 for p in coupling.free])
        self.widths = [
            coupling.source[p - p % 3 + 2] if p < 3 * n_lines else -1 for p in coupling.free
        ]
        self.fixed: np.ndarray = np.empty(0)

    def free_of(self, theta: np.ndarray) -> np.ndarray:
        """Return the free parameters (y, x, free) of all; remember the fixed ones."""
        self.fixed = theta.copy()
        free = theta[..., self.coupling.free].copy()
        logs = np.log(np.maximum(self.sign * free[..., self.is_log], self.least))
        free[..., self.is_log] = logs
        return self.clipped(free)

    def theta_of(self, free: np.ndarray) -> np.ndarray:
        theta = self.fixed.copy()
        plain = self.plain(free)
        for p, source in enumerate(self.coupling.source):
            if source >= 0:
                theta[..., p] = (
                    self.coupling.scale[p] * plain[..., source] + self.coupling.offset[p]
                )
        return theta

    def plain(self, free: np.ndarray) -> np.ndarray:
        plain = free.copy()
        plain[..., self.is_log] = self.sign * np.exp(free[..., self.is_log])
        return plain

    def clipped(self, free: np.ndarray) -> np.ndarray:
        return np.clip(free, self.low, self.high)

    def limited(self, move: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return a step of which no pixel's line leaves what its linear model knows."""
        ratio = np.ones(self.shape)
        for i, kind in enumerate(self.kind):
            size = 1.0
            if kind in (1, 2) and self.widths[i] >= 0:
                size = free[..., self.widths[i]]
            if kind < 3:
                ratio = np.maximum(ratio, np.abs(move[..., i]) / (_LARGEST_STEP * size))
        return move / ratio[..., None]

    def linearised(self, free: np.ndarray):
        """Return misfits, matrices and gradients of the pixels in the free parameters."""
        theta = self.theta_of(free)
        n = self.shape[0] * self.shape[1]
        k, p = len(self.axis), theta.shape[-1]
        chain = np.zeros((n, self.n_free))
        plain = self.plain(free).reshape(n, -1)
        chain[:] = np.where(self.is_log, plain, 1.0)
        misfit, normal, gradient = _pixel_matrices(
            self.axis,
            self.settings,
            self.data.reshape(n, k),
            self.weight.reshape(n, k),
            self.noise,
            theta.reshape(n, p),
            self.coupling.source,
            self.coupling.scale,
            chain,
        )
        return (
            misfit.reshape(self.shape),
            normal.reshape(*self.shape, self.n_free, self.n_free),
            gradient.reshape(*self.shape, self.n_free),
        )

    def rough(self, maps: np.ndarray) -> np.ndarray:
        """Return K times maps (..., y, x, free)."""
        for _ in range(self.power):
            maps = _laplacian(maps)
        return maps

    def penalty(self, free: np.ndarray, lam: np.ndarray) -> float:
        return float((lam * self.energy(free)).sum())

    def energy(self, free: np.ndarray) -> np.ndarray:
        return (free * self.rough(free)).sum(axis=(0, 1))

    def pull(self, free: np.ndarray, lam: np.ndarray) -> np.ndarray:
        return lam * self.rough(free)

    def first_weights(self, free: np.ndarray) -> np.ndarray:
        return free[..., 0].size / np.maximum(self.energy(free), 1e-12 * free[..., 0].size)

    def solve(self, normal, lam, rhs, damping=0.0) -> np.ndarray:
        """Solve (H + lambda K + damping diag H) x = rhs for several rhs (case, y, x, free)."""
        matrix = normal.copy()
        diagonal = np.arange(self.n_free)
        matrix[..., diagonal, diagonal] *= 1 + damping
        own = matrix.copy()
        stencil = 4.0 if self.power == 1 else 20.0  # the diagonal of K inside the map
        own[..., diagonal, diagonal] += lam * stencil
        inverse = np.linalg.inv(own)

        def times(x):
            return np.einsum("yxij,cyxj->cyxi", matrix, x) + lam * self.rough(x)

        x = np.zeros_like(rhs)
        r = rhs.copy()
        z = np.einsum("yxij,cyxj->cyxi", inverse, r)
        d = z.copy()
        axes = (1, 2, 3)
        rz = (r * z).sum(axis=axes)
        first = rz.copy()
        for _ in range(_CG_STEPS):
            q = times(d)
            a = rz / np.maximum((d * q).sum(axis=axes), 1e-300)
            x += a[:, None, None, None] * d
            r -= a[:, None, None, None] * q
            z = np.einsum("yxij,cyxj->cyxi", inverse, r)
            new = (r * z).sum(axis=axes)
            if (new <= _CG_TOLERANCE**2 * first).all():
                break
            d = z + (new / np.maximum(rz, 1e-300))[:, None, None, None] * d
            rz = new
        return x

    def samples(self, normal, lam, generator, n) -> np.ndarray:
        """Draw deviations from the posterior: (H + lambda K)^-1 of noise of that covariance."""
        size = (n, *self.shape, self.n_free)
        values, vectors = np.linalg.eigh(normal)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
        rhs = np.einsum("yxij,cyxj->cyxi", root, generator.standard_normal(size))
        if self.power == 2:
            rhs += np.sqrt(lam) * _laplacian(generator.standard_normal(size))
        else:
            for axis in (1, 2):
                edges = generator.standard_normal(size)
                edges[(slice(None),) * axis + (-1,)] = 0.0
                shifted = np.roll(edges, 1, axis=axis)
                rhs += np.sqrt(lam) * (shifted - edges)
        return self.solve(normal, lam, rhs)

    def evidence(self, free, normal, lam, generator, n) -> np.ndarray:
        """Return the weights' next estimate: gamma / t^T K t, gamma = N - lambda tr(S K)."""
        drawn = self.samples(normal, lam, generator, n)
        trace = (drawn * self.rough(drawn)).sum(axis=(1, 2)).mean(axis=0)
        count = free[..., 0].size
        known = np.clip(count - lam * trace, 1e-3 * count, count)
        new = known / np.maximum(self.energy(free), 1e-300)
        return lam * np.clip(new / lam, 0.1, 10.0)

    def result(self, free, variance, misfit, normal, lam, steps) -> SmoothedLines:
        diagonal = np.arange(self.n_free)
        ridge = np.zeros_like(normal)
        size = np.maximum(normal[..., diagonal, diagonal], 1e-30)
        ridge[..., diagonal, diagonal] = 1e-10 * size
        alone = np.linalg.inv(normal + ridge)[..., diagonal, diagonal]
        share = np.clip(1 - variance / np.maximum(alone, 1e-300), 0.0, 1.0)
        theta = self.theta_of(free)
        plain, deviation = self.plain(free), np.sqrt(variance)
        deviation = np.where(self.is_log, np.abs(plain) * deviation, deviation)
        errors, shares = np.zeros_like(theta), np.zeros_like(theta)
        for p, source in enumerate(self.coupling.source):
            if source >= 0:
                errors[..., p] = abs(self.coupling.scale[p]) * deviation[..., source]
                shares[..., p] = share[..., source]
        return SmoothedLines(theta, errors, shares, misfit, lam, steps)


def _laplacian(maps: np.ndarray) -> np.ndarray:
    """Return the grid's Laplacian of maps (..., y, x, free): differences to neighbours."""
    out = np.zeros_like(maps)
    down = maps[..., 1:, :, :] - maps[..., :-1, :, :]
    out[..., 1:, :, :] += down
    out[..., :-1, :, :] -= down
    right = maps[..., 1:, :] - maps[..., :-1, :]
    out[..., 1:, :] += right
    out[..., :-1, :] -= right
    return out


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _pixel_matrices(axis, settings, data, weight, noise, theta, source, scale, chain):
    """Return each pixel's misfit, normal matrix and gradient in the free parameters; compiled."""
    n, k = data.shape
    p, n_free = theta.shape[1], chain.shape[1]
    misfit = np.zeros(n)
    normal, gradient = np.zeros((n, n_free, n_free)), np.zeros((n, n_free))
    chunk = 64
    for block in numba.prange((n + chunk - 1) // chunk):
        values, derivatives, rows = np.empty(k), np.empty((p, k)), np.empty((n_free, k))
        pull, curve = np.empty(k), np.empty(k)
        for i in range(block * chunk, min((block + 1) * chunk, n)):
            gaussian_kernel(theta[i], axis, settings, values, derivatives)
            rows[:] = 0.0
            for q in range(p):
                s = source[q]
                if s >= 0:
                    factor = scale[q] * chain[i, s]
                    for j in range(k):
                        rows[s, j] += factor * derivatives[q, j]
            for j in range(k):
                used, count = weight[i, j], data[i, j]
                if noise == POISSON:
                    mean = max(values[j], _LEAST_COUNT)
                    part = count * np.log(count / mean) if count > 0 else 0.0
                    misfit[i] += 2 * (mean - count + part) if used > 0 else 0.0
                    pull[j] = (count - mean) / mean if used > 0 else 0.0
                    curve[j] = 1.0 / mean if used > 0 else 0.0
                else:
                    off = count - values[j]
                    pull[j], curve[j] = off * used, used
                    misfit[i] += off * off * used
            for a in range(n_free):
                total = 0.0
                for j in range(k):
                    total += rows[a, j] * pull[j]
                gradient[i, a] = total
                for b in range(a + 1):
                    total = 0.0
                    for j in range(k):
                        total += rows[a, j] * rows[b, j] * curve[j]
                    normal[i, a, b] = total
                    normal[i, b, a] = total
    return misfit, normal, gradient
