"""Error bars against simulated truth, algebra and what is known of linear problems."""

import json

import numpy as np
import pytest

from software_tests.tools.emission_measure.simulated import EDGES, simulated_map
from tools.emission_measure import calibrate
from tools.emission_measure.calibration import TABLE, factors_for, signal_to_noise
from tools.emission_measure.families import OUT_OF_PRIOR
from tools.emission_measure.inversion import METHODS, UNIT_CM5, invert
from tools.emission_measure.monte_carlo import monte_carlo_errors
from tools.emission_measure.response import RESPONSE_VERSIONS, bin_response
from tools.emission_measure.simulated_maps import MAP_FAMILIES
from tools.emission_measure.simulated_maps import simulated_map as judged_map
from tools.emission_measure.status import OK
from tools.emission_measure.tikhonov import solve_tikhonov

RESPONSE = bin_response(EDGES, version="v10_evenorm")
SCALED = RESPONSE * UNIT_CM5
KNOWN_FAMILIES = [family for family in MAP_FAMILIES if family not in OUT_OF_PRIOR]


@pytest.mark.parametrize("n_averaged", [64, 1])
@pytest.mark.parametrize("families", [KNOWN_FAMILIES, OUT_OF_PRIOR])
# Factors are one set for all plasma and noise: with one step, which is no default, less even.
@pytest.mark.parametrize(("two_step", "nearly"), [(False, 0.07), (True, 0.05)])
def test_calibrated_bars_cover_the_truth_of_maps_that_were_not_calibrated_on(
    two_step, nearly, families, n_averaged
):
    within, wide, plain = [], [], []  # by family and bin
    ways = {"method": "tikhonov", "two_step": two_step}
    for family in families:
        seen = judged_map(family, 48, n_averaged, seed=31, version="v10_evenorm")
        found = invert(seen.dn, seen.sigma, RESPONSE, EDGES, **ways)
        assert found.extra["calibrated"].all()
        away = np.abs(found.em - seen.em)
        assert np.isfinite(found.error).all()
        within.append((away <= found.error).mean(axis=0))
        wide.append((away <= found.extra["error_95"]).mean(axis=0))
        before = invert(seen.dn, seen.sigma, RESPONSE, EDGES, calibrated=False, **ways)
        plain.append((away <= before.error).mean(axis=0))
    assert np.mean(within) == pytest.approx(0.68, abs=nearly)
    assert np.mean(wide) == pytest.approx(0.95, abs=0.04)
    misses, misses_before = (np.abs(np.mean(s, axis=0) - 0.68).mean() for s in (within, plain))
    assert misses < 0.7 * misses_before  # bin by bin


@pytest.mark.parametrize("n_averaged", [64, 1])
def test_flares_have_bars_of_their_own(n_averaged):
    seen = judged_map("flare", 48, n_averaged, seed=33, version="v10_evenorm")
    found = invert(seen.dn, seen.sigma, RESPONSE, EDGES, method="tikhonov")
    inside = np.abs(found.em - seen.em) <= found.error
    assert inside.mean() == pytest.approx(0.68, abs=0.08)
    by_bin = inside.mean(axis=0)
    assert by_bin.min() > 0.25


@pytest.mark.parametrize("n_averaged", [64, 8, 1])
def test_bars_of_plasma_without_flares_are_rather_too_wide(n_averaged):
    truth, dn, sigma = simulated_map(64, n_averaged, seed=31)
    found = invert(dn, sigma, RESPONSE, EDGES, method="tikhonov")
    inside = np.abs(found.em - truth) <= found.error
    assert 0.68 < inside[np.isfinite(found.error)].mean() < 0.88


def test_another_grid_or_response_is_said_not_to_be_calibrated():
    edges = np.linspace(5.5, 7.3, 19)
    _, dn, sigma = simulated_map(8, 8)
    found = invert(dn, sigma, bin_response(edges), edges, method="tikhonov")
    assert not found.extra["calibrated"].any()
    np.testing.assert_allclose(found.extra["error_95"], 2 * found.error)
    assert factors_for(RESPONSE * 1.1, EDGES, two_step=True) is None
    for version in RESPONSE_VERSIONS:
        factors = factors_for(bin_response(EDGES, version=version), EDGES, two_step=False)
        assert factors.shape == (2, 7, 2, 18, 2)
        assert (factors[..., 1] >= factors[..., 0]).all()


def test_the_table_says_where_it_comes_from_and_can_be_made(tmp_path, capsys):
    assert "calibrate" in json.loads(TABLE.read_text(encoding="utf-8"))["source"]
    output = tmp_path / "errors.json"
    assert calibrate.main(["--pixels", "1000", "--output", str(output)]) == 0
    assert str(output) in capsys.readouterr().out
    made = json.loads(output.read_text(encoding="utf-8"))
    assert set(made["responses"]) == set(RESPONSE_VERSIONS)
    with pytest.raises(ValueError, match="1000 or more"):
        calibrate.main(["--pixels", "10"])


def test_simulations_to_calibrate_on_fit_their_own_truth():
    truth, dn, sigma = calibrate.simulate(4000, "v10_evenorm", 5)
    # photons and read noise alone: the mean squared distance in sigma is near 1, less the intensity
    # structure within a bin, which matters at high signal only
    faint = signal_to_noise(dn, sigma) < 1.3
    away = (dn - truth @ RESPONSE.T) / sigma
    assert np.median(away[faint] ** 2) == pytest.approx(0.455, abs=0.1)  # of chi-squared, 1 degree


def test_resolution_is_that_of_the_rows_of_its_matrix():
    _, dn, sigma = simulated_map(8, 64)
    found = solve_tikhonov(dn, sigma, RESPONSE, EDGES, two_step=False, resolution=True)
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    checked = 0
    for p in np.flatnonzero(found.status == OK)[::9]:
        a, x = SCALED / sigma[p][:, None], found.em[p] / UNIT_CM5
        on = x > 0
        mu = np.median((a.T @ (dn[p] / sigma[p] - a @ x))[on] / x[on])
        rows = np.linalg.solve(a[:, on].T @ a[:, on] + mu * np.eye(on.sum()), a[:, on].T @ a)
        for j, row in zip(np.flatnonzero(on), rows, strict=True):
            top = int(np.argmax(row))
            fine = np.linspace(centres[0], centres[-1], 17001)
            above = np.interp(fine, centres, row) > row[top] / 2
            at = int(np.argmin(np.abs(fine - centres[top])))
            low, high = at, at
            while low > 0 and above[low]:
                low -= 1
            while high < len(fine) - 1 and above[high]:
                high += 1
            width = found.extra["resolution"][p, j]
            assert width == pytest.approx(fine[high] - fine[low], abs=1e-3)
            checked += 1
        assert np.isnan(found.extra["resolution"][p, ~on]).all()
    assert checked > 20


def test_resolution_is_given_by_invert_when_asked():
    _, dn, sigma = simulated_map(8, 64)
    found = invert(
        dn.reshape(8, 8, 6), sigma.reshape(8, 8, 6), RESPONSE, EDGES, method="tikhonov",
        resolution=True,
    )  # fmt: skip
    assert found.extra["resolution"].shape == (8, 8, 18)
    assert "resolution" not in invert(dn, sigma, RESPONSE, EDGES, method="tikhonov").extra


@pytest.mark.parametrize("method", METHODS)
def test_monte_carlo_errors_are_the_scatter_of_the_solutions(method):
    _, dn, sigma = simulated_map(4, 64)
    spread = monte_carlo_errors(dn, sigma, RESPONSE, EDGES, method=method, draws=60, seed=4)
    again = monte_carlo_errors(dn, sigma, RESPONSE, EDGES, method=method, draws=60, seed=4)
    np.testing.assert_array_equal(spread, again)
    generator = np.random.default_rng(9)
    solutions = [
        invert(dn + sigma * generator.standard_normal(dn.shape), sigma, RESPONSE, EDGES,
               method=method).em
        for _ in range(60)
    ]  # fmt: skip
    # other draws; the middle of all pixels, since now and then a solution lies far off
    ratio = spread.sum(axis=1) / np.std(solutions, axis=0, ddof=1).sum(axis=1)
    assert np.median(ratio) == pytest.approx(1, abs=0.15)


def test_monte_carlo_errors_of_a_single_bin_are_those_of_the_mean():
    # one channel, one bin, chi2 = 0 at the solution: the scatter is sigma / response
    edges = np.array([6.0, 6.1])
    response = np.array([[1e-24]])
    dn, sigma = np.full((400, 1), 100.0), np.full((400, 1), 2.0)
    spread = monte_carlo_errors(
        dn, sigma, response, edges, method="basis-pursuit", draws=40, seed=1
    )
    # basis pursuit takes the least that its tolerance of 1.4 sigma lets it
    assert spread.mean() == pytest.approx(2.0 / 1e-24, rel=0.03)


def test_monte_carlo_draws_are_checked():
    with pytest.raises(ValueError, match="2 draws or more"):
        monte_carlo_errors(np.ones((2, 6)), np.ones((2, 6)), RESPONSE, EDGES, draws=1)
    with pytest.raises(ValueError, match="sigma has the shape"):
        monte_carlo_errors(np.ones((2, 6)), np.ones((3, 6)), RESPONSE, EDGES)
