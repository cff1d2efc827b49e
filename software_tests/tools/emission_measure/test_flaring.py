"""Flares are told before anything is inverted, and Tikhonov's weights follow."""

import numpy as np
import pytest

from software_tests.tools.emission_measure.simulated import EDGES
from tools.emission_measure.flaring import flare_share
from tools.emission_measure.inversion import invert
from tools.emission_measure.response import bin_response
from tools.emission_measure.scores import relative_l1
from tools.emission_measure.simulated_maps import simulated_map as judged_map
from tools.emission_measure.tikhonov import solve_tikhonov

RESPONSE = bin_response(EDGES, version="v10_evenorm")


def test_tikhonov_does_not_take_a_flare_for_cool_plasma():
    # 131 A sees 0.5 MK as well as 10 MK
    flare = judged_map("flare", 32, 64, seed=9, version="v10_evenorm")
    flat, ours = (
        invert(flare.dn, flare.sigma, RESPONSE, EDGES, method="tikhonov", prior_slope=slope)
        for slope in (0.0, None)
    )
    errors = [np.median(relative_l1(found.em, flare.em)) for found in (flat, ours)]
    assert errors[1] < 0.8 * errors[0]
    assert not flat.extra["calibrated"].any()
    assert ours.extra["calibrated"].all()


@pytest.mark.parametrize(("n_averaged", "most"), [(64, 0.005), (1, 0.01)])
def test_tikhonov_leaves_quiet_what_is_quiet(n_averaged, most):
    quiet = judged_map("CHIANTI", 48, n_averaged, seed=9, version="v10_evenorm")
    found = invert(quiet.dn, quiet.sigma, RESPONSE, EDGES, method="tikhonov")
    hot = EDGES[:-1] > 7.0
    share, true = (em[:, hot].sum() / em.sum() for em in (found.em, quiet.em))
    assert share == pytest.approx(true, abs=most)
    flat = invert(quiet.dn, quiet.sigma, RESPONSE, EDGES, method="tikhonov", prior_slope=0.0)
    same = flare_share(quiet.dn, quiet.sigma, RESPONSE, EDGES) == 0
    assert same.mean() > 0.99
    # chi2 is met to 8 % from where the pixel before ended, which may have been another
    away = np.abs(found.em - flat.em)[same].sum(axis=1) / flat.em[same].sum(axis=1)
    assert np.median(away) < 0.01


def test_flares_are_told_by_what_the_channels_allow():
    # one temperature: the channels allow just what there is, and less elsewhere than they see
    for log_t, share in ((5.9, 0), (6.2, 0), (6.5, 0), (7.0, 1), (7.1, 1)):
        j = int(np.argmin(np.abs((EDGES[:-1] + EDGES[1:]) / 2 - log_t)))
        dn = RESPONSE[:, j][None] * 1e28
        sigma = 0.05 * dn
        assert flare_share(dn, sigma, RESPONSE, EDGES)[0] == share
        assert flare_share(1e3 * dn, 1e3 * sigma, RESPONSE, EDGES)[0] == share  # any unit
        for missing in range(6):
            known = dn.copy()
            known[0, missing] = np.nan
            found = flare_share(known, sigma, RESPONSE, EDGES)[0]
            left_out = np.arange(6)[None] == missing
            assert found == flare_share(dn, sigma, RESPONSE, EDGES, left_out=left_out)[0]
            if missing == 1 or not share:  # 131 A
                assert found == 0
        worse = np.where(np.arange(6) == 1, dn, sigma)
        assert flare_share(dn, worse, RESPONSE, EDGES)[0] == 0  # 131 A is not detected
    nothing = np.full((1, 6), np.nan)
    assert flare_share(nothing, nothing, RESPONSE, EDGES)[0] == 0


def test_flares_are_told_alike_on_edges_that_differ_by_rounding():
    flare = judged_map("flare", 24, 1, seed=9, version="v10_evenorm")
    usual = flare_share(flare.dn, flare.sigma, RESPONSE, EDGES)
    assert 0.1 < usual.mean() < 0.95
    for edges in (np.linspace(5.45, 7.25, 19), np.arange(5.45, 7.26, 0.1)):
        found = flare_share(flare.dn, flare.sigma, RESPONSE, edges)
        np.testing.assert_array_equal(found, usual)


def test_what_can_t_tell_flares_is_refused():
    dn, hot = np.ones((3, 6)), np.linspace(6.9, 7.3, 5)
    with pytest.raises(ValueError, match="expected six channels, and bins from log T"):
        flare_share(dn, dn, np.ones((6, 4)), hot)
    with pytest.raises(ValueError, match="got 1 channels"):
        flare_share(dn[:, :1], dn[:, :1], np.ones((1, 18)), EDGES)
    with pytest.raises(ValueError, match="one for each pixel"):
        solve_tikhonov(dn, dn, RESPONSE, EDGES, prior_slope=1.0, tilted=np.ones(1))


def test_tikhonov_s_weights_are_flat_on_other_grids():
    edges = np.linspace(5.0, 8.5, 36)
    response = bin_response(edges, version="v10_evenorm")
    quiet = judged_map("CHIANTI", 16, 1, seed=9, version="v10_evenorm")
    ways = {"method": "tikhonov", "calibrated": False}
    usual = invert(quiet.dn, quiet.sigma, response, edges, **ways)
    flat = invert(quiet.dn, quiet.sigma, response, edges, prior_slope=0.0, **ways)
    np.testing.assert_array_equal(usual.em, flat.em)
    with pytest.raises(ValueError, match="prior_slope must be within 5 of 0, got 300"):
        invert(quiet.dn, quiet.sigma, response, edges, prior_slope=300.0, **ways)
