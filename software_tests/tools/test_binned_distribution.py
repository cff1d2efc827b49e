"""The binned distribution against numerical integration and algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.binned_distribution import FluxBins

BINS = FluxBins((-7.0, -6.0, -5.0, -4.30103, -4.0), tail_index=2.1)
DECAY = 1.1 * np.log(10)


def cdf(probability, x):
    """P(<= x), written down independently of the class."""
    edges, total = BINS.edges, 0.0
    for k, mass in enumerate(probability):
        if k == 0:
            share = np.asarray(x >= edges[0], float)
        elif k == len(edges):
            share = 1 - np.exp(-DECAY * np.maximum(x - edges[-1], 0))
        else:
            share = np.clip((x - edges[k - 1]) / (edges[k] - edges[k - 1]), 0, 1)
        total += mass * share
    return total


simplex = st.lists(st.floats(0.01, 1), min_size=6, max_size=6).map(lambda v: np.array(v) / sum(v))


@settings(max_examples=25, deadline=None)
@given(simplex, st.floats(-7.5, -2.5))
def test_crps_equals_the_integral(probability, value):
    grid = np.linspace(-7, 3, 40_001)
    forecast = cdf(probability, grid)
    square = (forecast - (grid >= max(value, -7))) ** 2
    expected = np.trapezoid(square, grid)
    given = BINS.crps(probability[None], np.array([value]))[0]
    assert given == pytest.approx(expected, abs=3e-4)  # one step of the grid at the jump


def test_crps_of_certainty_is_the_absolute_error_and_of_a_uniform_bin_a_twelfth():
    certain = np.array([[1.0, 0, 0, 0, 0, 0]])
    assert BINS.crps(certain, np.array([-5.5]))[0] == pytest.approx(1.5)
    # uniform on one dex, value in its middle: integral of x^2 twice from 0 to 1/2 = 1/12
    uniform = np.array([[0, 1.0, 0, 0, 0, 0]])
    assert BINS.crps(uniform, np.array([-6.5]))[0] == pytest.approx(1 / 12)


def test_crps_is_proper(generator):
    truth = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    values = BINS.quantile(np.tile(truth, (20_000, 1)), 0.5) * 0
    for k, u in enumerate(generator.random(20_000)):
        values[k] = BINS.quantile(truth[None], u)[0] if k < 400 else values[k - 400]
    honest = BINS.crps(np.tile(truth, (400, 1)), values[:400]).mean()
    for wrong in ([0.1, 0.2, 0.2, 0.1, 0.2, 0.2], [0.6, 0.2, 0.1, 0.05, 0.03, 0.02]):
        assert BINS.crps(np.tile(wrong, (400, 1)), values[:400]).mean() > honest


@settings(max_examples=50, deadline=None)
@given(simplex, st.floats(0.01, 0.99))
def test_quantiles_invert_the_distribution(probability, level):
    x = BINS.quantile(probability[None], level)[0]
    if probability[0] >= level:
        assert x == -7.0
    else:
        assert cdf(probability, x) == pytest.approx(level, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(simplex, st.floats(-7, -2))
def test_exceedance_is_the_complement_of_the_distribution(probability, x):
    if x == -7.0:
        x = np.nextafter(-7.0, 0)
    assert BINS.exceedance(probability, x) == pytest.approx(1 - cdf(probability, x), abs=1e-9)


def test_class_probabilities_never_contradict_each_other(generator):
    probability = generator.dirichlet(np.ones(6), size=200)
    chances = [BINS.exceedance(probability, x) for x in (-6, -5.5, -5, -4.3, -4, -3, -2)]
    assert (np.diff(chances, axis=0) <= 0).all()


def test_the_tail_is_a_power_law():
    only_tail = np.array([[0, 0, 0, 0, 0, 1.0]])
    # N(>= F) falls as F^-(alpha - 1): ten times the flux, 10^-1.1 of the flares
    assert BINS.exceedance(only_tail, -3.0)[0] == pytest.approx(10**-1.1)
    assert only_tail @ BINS.expectation_weights() == pytest.approx(-4 + 1 / DECAY)


def test_values_belong_to_the_bin_above_their_edge_but_the_floor_to_the_floor():
    values = [-9.0, -7.0, -6.9, -6.0, np.float32(-6.0), np.log10(5e-5), -4.0, -3.0]
    np.testing.assert_array_equal(BINS.index(values), [0, 0, 1, 2, 2, 4, 5, 5])


def test_exceedances_at_the_edges_make_the_bins():
    above = np.array([[0.9, 0.5, 0.2, 0.1, 0.05]])
    np.testing.assert_allclose(BINS.from_exceedances(above), [[0.1, 0.4, 0.3, 0.1, 0.05, 0.05]])


def test_climatology_counts_shares():
    np.testing.assert_allclose(
        BINS.climatology(np.array([-7.0, -7.0, -5.5, -3.0])), [0.5, 0, 0.25, 0, 0, 0.25]
    )


@pytest.mark.parametrize("edges", [(-6.0,), (-6.0, -6.0), (-5.0, -6.0)])
def test_edges_must_increase(edges):
    with pytest.raises(ValueError, match="increase"):
        FluxBins(edges)


def test_below_the_floor_nothing_is_said():
    with pytest.raises(ValueError, match="floor"):
        BINS.exceedance_weights(-8.0)
