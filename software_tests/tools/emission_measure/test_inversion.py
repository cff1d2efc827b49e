"""Inversions against linear programming, conditions of optimality and simulated truth."""

import numba
import numpy as np
import pytest
from scipy.optimize import linprog

from software_tests.tools.emission_measure.simulated import EDGES, simulated_map
from tools.emission_measure.basis_pursuit import (
    TOLERANCES,
    basis_functions,
    solve_basis_pursuit,
)
from tools.emission_measure.calibration import signal_to_noise
from tools.emission_measure.inversion import METHODS, UNIT_CM5, invert
from tools.emission_measure.response import bin_response
from tools.emission_measure.status import INFEASIBLE, NO_DATA, NO_SIGNAL, NOT_FITTED, OK
from tools.emission_measure.tikhonov import PRIOR_SLOPE, TWO_STEP_SIGNAL, solve_tikhonov

RESPONSE = bin_response(EDGES, version="v10_evenorm")
SCALED = RESPONSE * UNIT_CM5
LEVELS = {"binned": 64, "full": 1}


def by_highs(dn, sigma):
    """Solve one pixel as a linear programme; give objective and tolerance, or None."""
    functions = basis_functions(EDGES)
    design = SCALED @ functions.T
    y = np.maximum(dn, 0)
    for tolerance in TOLERANCES:
        low, high = np.maximum(y - tolerance * sigma, 0), y + tolerance * sigma
        found = linprog(
            np.ones(len(functions)),
            A_ub=np.vstack([design, -design]),
            b_ub=np.concatenate([high, -low]),
            method="highs",
        )
        if found.status == 0:
            return found.fun, tolerance
    return None


@pytest.mark.parametrize("level", LEVELS)
def test_basis_pursuit_is_the_linear_programme_s_optimum(level):
    _, dn, sigma = simulated_map(40, LEVELS[level])
    found = invert(dn, sigma, RESPONSE, EDGES)
    for p in np.random.default_rng(0).permutation(len(dn))[:60]:
        expected = by_highs(dn[p], sigma[p])
        if expected is None:
            assert found.status[p] in (INFEASIBLE, NO_SIGNAL)
            continue
        assert found.status[p] == OK
        assert found.extra["tolerance"][p] == pytest.approx(expected[1])
        assert found.extra["objective"][p] == pytest.approx(expected[0], rel=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_a_warm_start_changes_no_pixel(level):
    _, dn, sigma = simulated_map(40, LEVELS[level])
    warm = solve_basis_pursuit(dn, sigma, RESPONSE, EDGES, n_jobs=2)
    for p in range(0, len(dn), 3):
        one = slice(p, p + 1)
        cold = solve_basis_pursuit(dn[one], sigma[one], RESPONSE, EDGES)
        assert cold.status[0] == warm.status[p]
        np.testing.assert_equal(cold.extra["tolerance"][0], warm.extra["tolerance"][p])
        np.testing.assert_allclose(
            cold.extra["objective"][0], warm.extra["objective"][p], rtol=1e-9
        )


def test_tikhonov_meets_the_conditions_of_its_minimum():
    _, dn, sigma = simulated_map(24, 64)
    found = solve_tikhonov(dn, sigma, RESPONSE, EDGES, prior_slope=PRIOR_SLOPE, two_step=False)
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    weights = 10 ** (PRIOR_SLOPE * centres)
    em, error, status = found.em / UNIT_CM5, found.error / UNIT_CM5, found.status
    checked = 0
    for p in np.flatnonzero(status == OK)[::7]:
        a, b, x = SCALED / sigma[p][:, None], dn[p] / sigma[p], em[p]
        slope = a.T @ (a @ x - b)  # + mu x = 0 where x > 0, >= 0 elsewhere
        on = x > 0
        mu = np.median(-slope[on] * weights[on] / x[on])
        np.testing.assert_allclose(
            slope[on] + mu * x[on] / weights[on], 0, atol=1e-6 * np.abs(slope).max()
        )
        assert (slope[~on] >= -1e-6 * np.abs(slope).max()).all()
        assert np.mean((a @ x - b) ** 2) == pytest.approx(1, abs=0.1)
        inverse = np.linalg.inv(a[:, on].T @ a[:, on] + mu * np.diag(1 / weights[on]))
        np.testing.assert_allclose(error[p, on], np.sqrt(np.diag(inverse)), rtol=1e-4)
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("two_step", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_tikhonov_reaches_its_chi2_and_is_never_negative(level, two_step):
    _, dn, sigma = simulated_map(48, LEVELS[level])
    found = invert(dn, sigma, RESPONSE, EDGES, method="tikhonov", two_step=two_step)
    fitted = found.status == OK
    assert fitted.mean() > 0.85
    assert (np.abs(found.chi2[fitted] - 1) < 0.1).all()
    assert (found.em >= 0).all()
    assert np.isfinite(found.error[fitted]).all()
    assert (found.em[fitted].sum(axis=1) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_truth_is_found_as_well_as_it_can_be(method):
    truth, dn, sigma = simulated_map(40, 64)
    found = invert(dn, sigma, RESPONSE, EDGES, method=method)
    good = found.status == OK
    assert good.mean() > 0.7
    total = found.em.sum(axis=1)[good] / truth.sum(axis=1)[good]
    assert np.median(np.abs(total - 1)) < 0.2
    middle = (found.em @ found.log_temperature / found.em.sum(axis=1).clip(1))[good]
    expected = (truth @ found.log_temperature / truth.sum(axis=1))[good]
    assert np.median(np.abs(middle - expected)) < 0.06
    np.testing.assert_allclose(found.model, found.em @ RESPONSE.T, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_bad_pixels_have_a_status_and_spoil_no_other(method):
    _, dn, sigma = simulated_map(16, 64)
    clean = invert(dn, sigma, RESPONSE, EDGES, method=method)
    spoilt, errors = dn.copy(), sigma.copy()
    spoilt[5] = np.nan
    spoilt[6] = -1.0
    spoilt[7, 2] = np.nan
    spoilt[8, 3] = np.inf
    errors[9, 1] = 0.0
    spoilt[10, :3] = [-0.5, -0.1, dn[10, 2]]
    found = invert(spoilt, errors, RESPONSE, EDGES, method=method)
    assert found.status[5] == NO_DATA
    assert found.status[6] == NO_SIGNAL
    assert np.isnan(found.chi2[5])
    assert (found.em[[5, 6]] == 0).all()
    for p in (7, 8, 9):
        assert found.status[p] in (OK, NOT_FITTED)
        assert found.em[p].sum() > 0
        assert np.isfinite(found.model[p]).all()
    others = np.setdiff1d(np.arange(len(dn)), range(5, 32))
    np.testing.assert_allclose(
        found.em[others].sum(axis=1), clean.em[others].sum(axis=1), rtol=0.02
    )
    assert np.isin(found.status, (OK, NOT_FITTED, INFEASIBLE, NO_SIGNAL, NO_DATA)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("huge", [1e21, 1e200, 1e300, -1e300, np.inf])
def test_numbers_that_no_instrument_gives_count_as_missing(method, huge):
    _, dn, sigma = simulated_map(2, 64)
    without = dn.copy()
    without[1, 4], without[2] = np.nan, np.nan
    expected = invert(without, sigma, RESPONSE, EDGES, method=method)
    given = dn.copy()
    given[1, 4], given[2] = huge, huge
    found = invert(given, sigma, RESPONSE, EDGES, method=method)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.em, expected.em)
    assert np.isfinite(found.em).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("error")
def test_an_answer_beyond_all_numbers_is_none(method):
    _, dn, sigma = simulated_map(4, 64)
    for value, error in ((1e12, 1.0), (1e16, None), (9e19, None), (9e19, 2e-20), (1, 1e-310)):
        given, errors = dn.copy(), sigma.copy()
        given[1, 2], given[2] = value, value
        if error is not None:
            errors[1, 2], errors[2] = error, error
        found = invert(given, errors, RESPONSE, EDGES, method=method)
        assert np.isfinite(found.em).all()
        assert np.isfinite(found.model).all()
        assert np.isfinite(found.chi2[found.status <= NOT_FITTED]).all()


def test_units_of_a_spectrum():
    _, dn, sigma = simulated_map(12, 64)
    found = invert(dn.reshape(12, 12, 6), sigma.reshape(12, 12, 6), RESPONSE, EDGES)
    assert found.em.shape == (12, 12, 18)
    np.testing.assert_allclose(
        (found.per_dex * np.diff(EDGES)).sum(axis=-1), found.em.sum(axis=-1), rtol=1e-12
    )
    np.testing.assert_allclose(
        (found.per_kelvin * np.diff(10**EDGES)).sum(axis=-1), found.em.sum(axis=-1), rtol=1e-12
    )
    temperature = 10**found.log_temperature
    approximate = found.per_kelvin * temperature * np.log(10)
    np.testing.assert_allclose(approximate, found.per_dex, rtol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dn": np.ones((4, 5))}, "channels come last"),
        ({"sigma": np.ones((4, 5))}, "sigma has the shape"),
        ({"response": RESPONSE * 1e26}, "DN cm5 s-1 pix-1"),
        ({"log_temperature_edges": EDGES[::-1]}, "must increase"),
        ({"log_temperature_edges": EDGES[:-1]}, "one more edge"),
        ({"method": "magic"}, "no method 'magic'"),
        ({"n_jobs": 0}, "n_jobs must be 1 or more"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    given = {"dn": np.ones((4, 6)), "sigma": np.ones((4, 6)), "response": RESPONSE}
    given |= {"log_temperature_edges": EDGES, **change}
    with pytest.raises(ValueError, match=message):
        invert(**given)


@pytest.mark.parametrize("method", METHODS)
def test_every_number_of_negative_channels_gets_an_answer(method):
    # demregpy inverts a pixel only if the product of its signals is positive: odd numbers of
    # negative channels give silent zeros there, even numbers do not
    _, dn, sigma = simulated_map(8, 1)
    some = np.repeat(dn[:1].clip(10 * sigma[:1]), 7, axis=0)
    errors = np.repeat(sigma[:1], 7, axis=0)
    for n_negative in range(7):
        some[n_negative, [0, 5, 1, 4, 3, 2][:n_negative]] = -0.3 * errors[0].min()
    found = invert(some, errors, RESPONSE, EDGES, method=method)
    assert (found.em[:6].sum(axis=1) > 0).all()
    assert np.isin(found.status[:6], (OK, NOT_FITTED)).all()
    assert found.status[6] == NO_SIGNAL
    assert (found.em[6] == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_no_bin_of_any_pixel_is_negative_and_chi2_is_that_of_the_solution(method):
    _, dn, sigma = simulated_map(48, 1, seed=8)
    found = invert(dn, sigma, RESPONSE, EDGES, method=method)
    assert (found.em >= 0).all()
    assert np.isfinite(found.em).all()
    solved = np.isin(found.status, (OK, NOT_FITTED))
    chi2 = (((found.em @ RESPONSE.T - dn) / sigma) ** 2).mean(axis=1)
    np.testing.assert_allclose(found.chi2[solved], chi2[solved], rtol=1e-6)
    assert solved.mean() > 0.99


def test_tikhonov_reaches_its_chi2_on_nearly_every_feasible_pixel():
    _, dn, sigma = simulated_map(64, 64, seed=9)
    found = invert(dn, sigma, RESPONSE, EDGES, method="tikhonov")
    feasible = invert(dn, sigma, RESPONSE, EDGES).status == OK
    assert (np.abs(found.chi2[feasible] - 1) < 0.1).mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_defaults_and_other_kinds_of_numbers_work(method):
    _, dn, sigma = simulated_map(8, 64)
    expected = invert(dn, sigma, RESPONSE, EDGES, method=method)
    single = dn.astype(np.float32), sigma.astype(np.float32)
    found = invert(*single, RESPONSE, list(EDGES), method=method)
    np.testing.assert_allclose(found.em.sum(axis=1), expected.em.sum(axis=1), rtol=1e-5)  # of 6e-8
    backwards = invert(dn[::-1], sigma[::-1], RESPONSE, EDGES, method=method)
    np.testing.assert_allclose(backwards.model[::-1], expected.model, rtol=1e-9)  # each alone


@pytest.mark.parametrize("method", METHODS)
def test_a_saturated_channel_counts_as_missing(method):
    _, dn, sigma = simulated_map(6, 64)
    saturated = np.zeros(dn.shape, bool)
    saturated[4, 2] = True
    missing = dn.copy()
    missing[4, 2] = np.nan
    expected = invert(missing, sigma, RESPONSE, EDGES, method=method)
    found = invert(dn, sigma, RESPONSE, EDGES, method=method, saturated=saturated)
    np.testing.assert_array_equal(found.em, expected.em)
    np.testing.assert_array_equal(found.error, expected.error)
    np.testing.assert_array_equal(found.chi2, expected.chi2)
    with pytest.raises(ValueError, match="saturated has the shape"):
        invert(dn, sigma, RESPONSE, EDGES, method=method, saturated=saturated[:2])


@pytest.mark.parametrize("method", METHODS)
def test_no_more_threads_are_used_than_allowed_and_all_give_the_same(method, monkeypatch):
    asked = []
    real = numba.set_num_threads
    monkeypatch.setattr(numba, "set_num_threads", lambda n: (asked.append(n), real(n)))
    _, dn, sigma = simulated_map(24, 64)
    before = numba.get_num_threads()
    one = invert(dn, sigma, RESPONSE, EDGES, method=method, n_jobs=1)
    assert set(asked) <= {1, before}
    assert numba.get_num_threads() == before
    two = invert(dn, sigma, RESPONSE, EDGES, method=method, n_jobs=2)
    np.testing.assert_array_equal(one.status, two.status)
    np.testing.assert_allclose(one.chi2, two.chi2, atol=0.2)


def test_basis_pursuit_takes_many_channels_and_many_bins():
    # nine channels fill more than one block of eight, 40 bins give 160 functions
    edges = np.linspace(5.4, 7.4, 41)
    response = bin_response(edges, version="v10_evenorm")
    response = np.vstack([response, response[:3, ::-1]])
    truth = np.exp(-0.5 * ((edges[:-1] - 6.3) / 0.2) ** 2) * 1e26
    generator = np.random.default_rng(3)
    dn = (response @ truth) * (1 + 0.02 * generator.standard_normal((40, 9)))
    sigma = 0.03 * np.abs(dn)
    found = invert(dn, sigma, response, edges)
    functions = basis_functions(edges)
    design = response * UNIT_CM5 @ functions.T
    solved = 0
    for p in range(0, 40, 4):
        if found.status[p] != OK:
            continue
        reach = found.extra["tolerance"][p] * sigma[p]
        low, high = np.maximum(dn[p] - reach, 0), dn[p] + reach
        expected = linprog(
            np.ones(len(functions)),
            A_ub=np.vstack([design, -design]),
            b_ub=np.concatenate([high, -low]),
            method="highs",
        )
        assert found.extra["objective"][p] == pytest.approx(expected.fun, rel=1e-8)
        solved += 1
    assert solved > 4


@pytest.mark.parametrize("two_step", [False, True])
def test_tikhonov_scales_with_the_emission_measure(two_step):
    # the problem is homogeneous: c times the data and their errors have c times the solution; mu is
    # found to 8 % of chi2, by another path, which moves a solution by a few per cent
    _, dn, sigma = simulated_map(24, 64)
    one = solve_tikhonov(dn, sigma, RESPONSE, EDGES, two_step=two_step)
    for factor in (1e-4, 1e3):
        found = solve_tikhonov(factor * dn, factor * sigma, RESPONSE, EDGES, two_step=two_step)
        assert np.mean(found.status == one.status) > 0.995
        fitted = (one.status == OK) & (found.status == OK)
        away = np.abs(found.em / factor - one.em).sum(axis=1) / one.em.sum(axis=1)
        assert np.median(away[fitted]) < 0.03


def test_tikhonov_takes_two_steps_where_there_is_enough_signal():
    _, dn, sigma = simulated_map(24, 16)
    signal = 10 ** signal_to_noise(dn, sigma)
    one, two = (solve_tikhonov(dn, sigma, RESPONSE, EDGES, two_step=k) for k in (False, True))
    away = np.abs(one.em - two.em).sum(axis=1) / one.em.sum(axis=1)
    faint = signal < TWO_STEP_SIGNAL
    assert 0.1 < faint.mean() < 0.9
    # chi2 is met to 8 % either way, from other starts
    assert np.median(away[faint]) < 0.05
    assert np.median(away[~faint]) > 0.08


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
def test_any_shape_of_pixels_is_kept(method, shape):
    dn = np.full((*shape, 6), 10.0)
    found = invert(dn, 0.1 * dn, RESPONSE, EDGES, method=method)
    assert found.em.shape == found.error.shape == (*shape, 18)
    assert found.chi2.shape == found.status.shape == shape
    assert all(v.shape[: len(shape)] == shape for v in found.extra.values())


def test_tikhonov_of_a_pixel_hardly_depends_on_its_neighbours():
    # where the search begins and which pixel takes its place: chi2 is met to 8 % either way
    _, dn, sigma = simulated_map(24, 1)
    dn[7::29] = -1.0  # no signal: not in the way of others
    dn[5::31] = np.nan  # no data
    n = len(dn)
    together = solve_tikhonov(dn, sigma, RESPONSE, EDGES, n_jobs=2)
    order = np.random.default_rng(3).permutation(n)
    mixed = solve_tikhonov(dn[order], sigma[order], RESPONSE, EDGES)
    back = np.empty(n, int)
    back[order] = np.arange(n)
    assert np.mean(mixed.status[back] == together.status) > 0.99
    np.testing.assert_array_equal(together.status[5::31], NO_DATA)
    few = np.arange(0, n, 97)
    for p in few:
        alone = solve_tikhonov(dn[p : p + 1], sigma[p : p + 1], RESPONSE, EDGES)
        if alone.status[0] == OK == together.status[p]:
            assert alone.chi2[0] == pytest.approx(together.chi2[p], abs=0.17)
        else:
            assert alone.status[0] == together.status[p]
