"""Simulated flares (synthetic): seeded, positive, and what their emission measure looks like."""

import numpy as np
import pytest

from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.response import bin_response
from tools.emission_measure.simulated_flares import FLARE_FAMILIES, PHASES, simulated_flares

RESPONSE = bin_response(LOG_T_EDGES)
N_BINS = len(LOG_T_EDGES) - 1


def test_simulated_flares_add_up():
    for family in FLARE_FAMILIES:
        flares = simulated_flares(family, 5, seed=1, n_times=6)
        again = simulated_flares(family, 5, seed=1, n_times=6)
        np.testing.assert_array_equal(flares.dn, again.dn)
        assert flares.em.shape == (5, 6, N_BINS)
        assert (flares.em >= 0).all()
        assert (np.diff(flares.seconds) > 0).all()
        assert flares.exposure_s.min() >= 0.08
        assert set(np.unique(flares.phase)) <= set(range(len(PHASES)))
        # the bins' response to the truth is brightness, but for noise and bins of 0.1 dex
        seen = flares.em @ RESPONSE.T
        away = np.abs(seen - flares.dn) / np.hypot(flares.sigma, 0.05 * seen)
        assert np.median(away[~flares.saturated]) < 1.5
    with pytest.raises(ValueError, match="expected a family of"):
        simulated_flares("none", 5, seed=1)
    with pytest.raises(ValueError, match="1 or more pixels"):
        simulated_flares("impulsive", 0, seed=1)
