"""Emission measure coherent in time: solutions by SciPy, limits of the weight, errors, status."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from tools.emission_measure.coherent import (
    TIME_PENALTIES,
    Reference,
    find_reference,
    smoothness,
    solve_coherent,
)
from tools.emission_measure.coherent_prior import KINK
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import UNIT_CM5, invert
from tools.emission_measure.response import bin_response
from tools.emission_measure.scores import relative_l1
from tools.emission_measure.simulated_flares import simulated_flares
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK
from tools.emission_measure.time_chain import (
    chain_of,
    eliminate,
    inverse_blocks,
    solve_chain,
    substitute,
)
from tools.emission_measure.time_weight import WEIGHT_CRITERIA, choose_time_weight

RESPONSE = bin_response(LOG_T_EDGES)
N_BINS = len(LOG_T_EDGES) - 1
SECONDS = np.array([0.0, 100.0, 230.0, 340.0, 700.0])  # irregular; the median step is 120 s
STEP_S = 120.0
LEVEL = 40.0  # of every bin and time, 1e26 cm-5


def observed(n_pixels=6, seed=4):
    """Return a few flares at five times, with one channel missing and one saturated."""
    flares = simulated_flares("many strands", n_pixels, seed=seed, n_times=5)
    dn, left_out = flares.dn.copy(), flares.saturated.copy()
    dn[1, 2, 3] = np.nan
    left_out[2, 1, 4] = True
    return dn, np.hypot(flares.sigma, 0.02 * np.abs(dn)), left_out


def even_reference(dn):
    """Return a reference with the same level everywhere, so that a test can write the prior."""
    n, n_times = dn.shape[:2]
    return Reference(
        np.full((n, n_times, N_BINS), LEVEL * UNIT_CM5),
        np.zeros((n, n_times)),
        np.ones((n, n_times)),
    )


def parts(dn, sigma, left_out):
    """Return data and response over sigma of one pixel, (time, channel[, bin])."""
    known = np.isfinite(dn) & ~left_out
    over = np.where(known, 1 / sigma, 0)
    return np.where(known, dn, 0) * over, over[..., None] * RESPONSE * UNIT_CM5


def stacked(dn, sigma, left_out, mu, weight, gaps):
    """Return the matrix and right side of the whole system as one least-squares problem."""
    b, a = parts(dn, sigma, left_out)
    n_times = len(b)
    root = np.linalg.cholesky(smoothness(N_BINS)).T / np.sqrt(LEVEL)
    rows = [np.kron(np.eye(n_times)[[t]], a[t]) for t in range(n_times)]
    rows.append(np.sqrt(mu) * np.kron(np.eye(n_times), root))
    change = np.diff(np.eye(n_times), axis=0) / np.sqrt(gaps)[:, None]
    rows.append(np.sqrt(mu * weight / LEVEL) * np.kron(change, np.eye(N_BINS)))
    matrix = np.concatenate(rows)
    return matrix, np.concatenate([b.ravel(), np.zeros(len(matrix) - b.size)])


def test_a_chain_is_solved_as_its_whole_matrix(generator):
    n_times, n = 5, 6
    c = chain_of(n_times, n)
    whole = np.zeros((n_times, n, n_times, n))
    for t in range(n_times):
        a = generator.normal(size=(3, n))
        c.h[t] = a.T @ a + np.eye(n)
        whole[t, :, t] = c.h[t]
    c.tie[:-1] = generator.uniform(0, 0.4, (n_times - 1, n))
    for t in range(n_times - 1):
        whole[t, :, t + 1] = whole[t + 1, :, t] = -np.diag(c.tie[t])
    c.r[:] = generator.normal(size=(n_times, n))
    c.is_free[:] = generator.random((n_times, n)) < 0.7
    free = c.is_free.ravel()
    matrix = whole.reshape(n_times * n, -1)
    own = matrix[np.ix_(free, free)]
    # rounding alone: the blocks' condition is below 100
    assert eliminate(c, n_times) == pytest.approx(np.linalg.slogdet(own)[1], rel=1e-12)
    substitute(c, n_times, c.r, c.x)
    expected = np.linalg.solve(own, c.r.ravel()[free])
    np.testing.assert_allclose(c.x.ravel()[free], expected, rtol=1e-10, atol=1e-12)
    blocks = np.empty((n_times, n, n))
    inverse_blocks(c, n_times, blocks)
    inverse = np.zeros_like(matrix)
    inverse[np.ix_(free, free)] = np.linalg.inv(own)
    for t in range(n_times):
        at = slice(t * n, (t + 1) * n)
        np.testing.assert_allclose(blocks[t], inverse[at, at], rtol=1e-10, atol=1e-12)
    assert solve_chain(c, n_times, np.zeros((n_times, n), bool))
    slope = matrix @ c.x.ravel() - c.r.ravel()  # conditions of Karush, Kuhn and Tucker
    assert c.x.min() >= 0
    assert slope.min() > -1e-10
    assert np.abs(slope * c.x.ravel()).max() < 1e-10


@pytest.mark.parametrize("penalty", ["relative", "quadratic"])
@pytest.mark.parametrize(("mu", "weight"), [(3.0, 0.0), (3.0, 2.0), (0.3, 50.0)])
def test_solutions_are_those_of_scipy_nnls(penalty, mu, weight):
    # with one level everywhere both penalties are the same
    dn, sigma, left_out = observed()
    found = solve_coherent(
        dn,
        sigma,
        RESPONSE,
        LOG_T_EDGES,
        seconds=SECONDS,
        time_weight=weight,
        time_penalty=penalty,
        left_out=left_out,
        reference=even_reference(dn),
        mu=mu,
    )
    for p in range(len(dn)):
        matrix, right = stacked(dn[p], sigma[p], left_out[p], mu, weight, np.diff(SECONDS) / STEP_S)
        expected, _ = nnls(matrix, right, maxiter=10_000)
        size = expected.max()
        np.testing.assert_allclose(
            found.em[p].ravel() / UNIT_CM5 / size, expected / size, atol=1e-6
        )


def test_without_a_weight_in_time_frames_are_solved_by_themselves():
    dn, sigma, left_out = observed()
    options = {"mu": 2.0, "time_weight": 0.0}
    together = solve_coherent(
        dn,
        sigma,
        RESPONSE,
        LOG_T_EDGES,
        seconds=SECONDS,
        left_out=left_out,
        reference=even_reference(dn),
        **options,
    )
    for t in range(dn.shape[1]):
        one = np.s_[:, t : t + 1]
        alone = solve_coherent(
            dn[one],
            sigma[one],
            RESPONSE,
            LOG_T_EDGES,
            seconds=[0.0],
            left_out=left_out[one],
            reference=even_reference(dn[one]),
            **options,
        )
        # rounding, of systems whose condition is about 1e6
        np.testing.assert_allclose(together.em[one], alone.em, rtol=1e-7, atol=1e-7 * UNIT_CM5)
        np.testing.assert_allclose(together.error[one], alone.error, rtol=1e-7)


@pytest.mark.parametrize("penalty", TIME_PENALTIES)
def test_with_an_endless_weight_nothing_changes(penalty):
    dn, sigma, left_out = observed()
    mu, n_times = 2.0, dn.shape[1]
    found = solve_coherent(
        dn,
        sigma,
        RESPONSE,
        LOG_T_EDGES,
        seconds=SECONDS,
        left_out=left_out,
        reference=even_reference(dn),
        time_penalty=penalty,
        time_weight=1e8,
        mu=mu,
        tolerance=1e-9,
    )
    for p in range(len(dn)):
        b, a = parts(dn[p], sigma[p], left_out[p])
        root = np.sqrt(n_times * mu / LEVEL) * np.linalg.cholesky(smoothness(N_BINS)).T
        matrix = np.concatenate([a.reshape(-1, N_BINS), root])
        expected, _ = nnls(matrix, np.concatenate([b.ravel(), np.zeros(N_BINS)]))
        x = found.em[p] / UNIT_CM5
        # what is left of the changes is about 1 over the weight
        np.testing.assert_allclose(x, np.broadcast_to(expected, x.shape), atol=1e-4 * x.max())


def test_total_variation_is_the_least_of_its_sum():
    dn, sigma, left_out = observed(3)
    mu, weight = 2.0, 3.0
    found = solve_coherent(
        dn,
        sigma,
        RESPONSE,
        LOG_T_EDGES,
        seconds=SECONDS,
        left_out=left_out,
        reference=even_reference(dn),
        time_penalty="total-variation",
        time_weight=weight,
        mu=mu,
        tolerance=1e-9,
    )
    for p in range(len(dn)):
        b, a = parts(dn[p], sigma[p], left_out[p])

        def whole(values, b=b, a=a):
            x = values.reshape(len(b), N_BINS)
            miss = np.einsum("tij,tj->ti", a, x) - b
            change = np.diff(x, axis=0) / LEVEL
            size = np.abs(change)
            huber = np.where(size > KINK, 2 * size - KINK, size**2 / KINK)
            slope = 2 * np.where(size > KINK, np.sign(change), change / KINK)
            smooth = x @ smoothness(N_BINS) / LEVEL
            value = (miss**2).sum() + mu * ((x * smooth).sum() + weight * LEVEL * huber.sum())
            gradient = 2 * np.einsum("tij,ti->tj", a, miss) + 2 * mu * smooth
            gradient[1:] += mu * weight * slope
            gradient[:-1] -= mu * weight * slope
            return value, gradient.ravel()

        own = found.em[p].ravel() / UNIT_CM5
        bounds = [(0, None)] * own.size
        other = minimize(
            whole, own, jac=True, bounds=bounds, options={"maxiter": 3000, "ftol": 1e-15}
        )
        # nothing smaller is found from it, and it fulfils the conditions of a minimum
        assert whole(own)[0] <= other.fun * (1 + 1e-6)
        slope = whole(own)[1]
        scale = np.abs(np.einsum("tij,ti->tj", a, b)).max()
        assert slope.min() > -1e-5 * scale
        assert np.abs(slope[own > 1e-6 * own.max()]).max() < 1e-5 * scale


def test_errors_are_the_scatter_of_solutions(generator):
    # perturb data and prior by their own errors: solutions scatter by the posterior covariance
    # where nothing is held at 0, as in a response without null space and with positive plasma
    response = 1e-25 * (np.eye(6)[:, :6] + 0.3)
    edges = np.linspace(6.0, 6.6, 7)
    n, n_times, mu, weight = 4000, 3, 2.0, 4.0
    truth = np.full((n_times, 6), 60.0)
    rate = truth @ response.T * UNIT_CM5
    sigma = np.full((n, n_times, 6), 0.05 * rate.mean())
    dn = rate + sigma * generator.standard_normal(sigma.shape)
    level = 40.0
    reference = Reference(
        np.full((n, n_times, 6), level * UNIT_CM5), np.zeros((n, n_times)), np.ones((n, n_times))
    )
    found = solve_coherent(
        dn,
        sigma,
        response,
        edges,
        seconds=np.arange(n_times) * 60.0,
        time_weight=weight,
        time_penalty="relative",
        reference=reference,
        mu=mu,
    )
    assert (found.em > 0).all()
    a = response * UNIT_CM5 / sigma[0, 0, 0]
    ties = np.diff(np.eye(n_times), axis=0)
    prior = mu / level * np.kron(np.eye(n_times), smoothness(6))
    prior += mu / level * weight * np.kron(ties.T @ ties, np.eye(6))
    covariance = np.linalg.inv(np.kron(np.eye(n_times), a.T @ a) + prior)
    np.testing.assert_allclose(
        found.error[0].ravel() / UNIT_CM5, np.sqrt(np.diag(covariance)), rtol=1e-8
    )
    # the prior's part of the scatter: solutions are linear in its pulls
    pulls = generator.multivariate_normal(np.zeros(n_times * 6), prior, size=n)
    scattered = found.em.reshape(n, -1) / UNIT_CM5 + pulls @ covariance
    # the standard error of a standard deviation of 4000 draws is 1.1 %; 18 of them within 5
    np.testing.assert_allclose(scattered.std(axis=0), found.error[0].ravel() / UNIT_CM5, rtol=0.055)
    share = 1 - np.einsum(
        "tj,tj->t",
        found.em[0] / UNIT_CM5,
        np.diag(covariance @ np.kron(np.eye(n_times), a.T @ a)).reshape(n_times, 6),
    ) / (found.em[0] / UNIT_CM5).sum(axis=1)
    np.testing.assert_allclose(found.prior_share[0], share, rtol=1e-8)


def test_chi2_is_reached_with_every_penalty():
    dn, sigma, left_out = observed(40)
    reference = find_reference(dn, sigma, RESPONSE, LOG_T_EDGES, left_out=left_out)
    can_be_fitted = (reference.chi2 < 1.1).all(axis=1)  # mu is found from such frames alone
    for penalty in TIME_PENALTIES:
        found = solve_coherent(
            dn,
            sigma,
            RESPONSE,
            LOG_T_EDGES,
            seconds=SECONDS,
            time_weight=3.0,
            time_penalty=penalty,
            left_out=left_out,
            reference=reference,
            n_jobs=2,
        )
        known = np.isfinite(dn) & ~left_out
        away = np.where(known, (found.model - np.nan_to_num(dn)) / np.nan_to_num(sigma, nan=1), 0)
        mean = (away**2).sum(axis=(1, 2)) / known.sum(axis=(1, 2))
        is_solved = (found.status == OK).all(axis=1) & can_be_fitted
        assert is_solved.mean() > 0.5
        # the search ends within 1 % of the goal
        np.testing.assert_allclose(mean[is_solved], 1.0, atol=0.011)


def test_missing_frames_and_channels():
    dn, sigma, left_out = observed(4)
    dn[0, 2] = np.nan  # a frame is missing: its neighbours are tied across the gap
    left_out[1, 3] = True  # all channels of a frame are saturated
    dn[2] = np.nan  # no data at all
    dn[3] = -np.abs(np.nan_to_num(dn[3], nan=1.0))  # nothing positive
    found = solve_coherent(
        dn,
        sigma,
        RESPONSE,
        LOG_T_EDGES,
        seconds=SECONDS,
        time_weight=5.0,
        time_penalty="relative",
        left_out=left_out,
        reference=even_reference(dn),
        mu=2.0,
    )
    assert found.status[0, 2] == found.status[1, 3] == NO_DATA
    assert (found.status[2] == NO_DATA).all()
    assert (found.status[3] == NO_SIGNAL).all()
    for empty in (found.em[0, 2], found.em[1, 3], found.em[2], found.em[3]):
        assert not empty.any()
    assert np.isnan(found.error[0, 2]).all()
    assert np.isnan(found.chi2[2]).all()
    keep = [0, 1, 3, 4]
    gaps = np.diff(SECONDS[keep]) / STEP_S
    matrix, right = stacked(dn[0, keep], sigma[0, keep], left_out[0, keep], 2.0, 5.0, gaps)
    expected, _ = nnls(matrix, right, maxiter=10_000)
    size = expected.max()
    np.testing.assert_allclose(
        found.em[0, keep].ravel() / UNIT_CM5 / size, expected / size, atol=1e-6
    )


def test_one_frame_that_nothing_fits_spoils_no_other():
    dn, sigma, left_out = observed(8)
    options = {"seconds": SECONDS, "time_weight": 3.0, "left_out": left_out}
    clean = solve_coherent(dn, sigma, RESPONSE, LOG_T_EDGES, **options)
    dn[:, 4, 2] *= 100  # 171 angstrom, as if light of a saturated pixel fell on it
    found = solve_coherent(dn, sigma, RESPONSE, LOG_T_EDGES, **options)
    assert (found.status[:, 4] == NOT_FITTED).mean() > 0.8
    others = np.s_[:, :4]
    assert np.median(found.chi2[others]) == pytest.approx(np.median(clean.chi2[others]), rel=0.5)
    assert (found.status[others] == OK).mean() > 0.8


@pytest.mark.parametrize("by", WEIGHT_CRITERIA)
def test_chosen_weights_lower_l1(by):
    flares = simulated_flares("slow brightening", 40, seed=9, n_times=6)
    sigma = np.hypot(flares.sigma, 0.02 * np.abs(flares.dn))
    given = flares.dn, sigma, RESPONSE, LOG_T_EDGES
    reference = find_reference(*given, left_out=flares.saturated)
    options = {"seconds": flares.seconds, "left_out": flares.saturated, "reference": reference}
    chosen = choose_time_weight(*given, by=by, time_penalty="relative", **options)
    assert len(chosen.scores) == len(chosen.candidates)
    assert chosen.candidates[0] <= chosen.weight <= chosen.candidates[-1]
    truth = flares.em.reshape(-1, N_BINS)
    found = solve_coherent(*given, time_weight=chosen.weight, time_penalty="relative", **options)
    frames = invert(*given, method="tikhonov", saturated=flares.saturated)
    l1 = [np.median(relative_l1(em.reshape(-1, N_BINS), truth)) for em in (found.em, frames.em)]
    assert l1[0] < l1[1]


def test_errors_say_what_was_expected():
    dn, sigma, _ = observed(3)
    given = dn, sigma, RESPONSE, LOG_T_EDGES
    good = {"seconds": SECONDS, "time_weight": 1.0}
    for changed, text in (
        ({"seconds": SECONDS[::-1]}, "increasing times"),
        ({"time_weight": -1.0}, "time_weight of 0 or more"),
        ({"mu": 0.0}, "positive target_chi2 and mu"),
        ({"time_penalty": "none"}, "expected a time_penalty of"),
        ({"reference": even_reference(dn[:1])}, "expected a reference of"),
    ):
        with pytest.raises(ValueError, match=text):
            solve_coherent(*given, **{**good, **changed})
    with pytest.raises(ValueError, match="axes"):
        solve_coherent(dn[0], sigma[0], RESPONSE, LOG_T_EDGES, **good)
    with pytest.raises(ValueError, match="gcv"):
        choose_time_weight(*given, seconds=SECONDS, by="truth", time_penalty="relative")
    with pytest.raises(ValueError, match="pixels with a signal"):
        choose_time_weight(
            np.full_like(dn, np.nan), *given[1:], seconds=SECONDS, time_penalty="relative"
        )
