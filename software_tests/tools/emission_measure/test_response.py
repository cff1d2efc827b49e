"""AIA's temperature responses: the table itself, its interpolation, its units."""

import numpy as np
import pytest

from tools.emission_measure.response import (
    FILTER_LOG_T,
    RESPONSE_CHANNELS,
    RESPONSE_VERSIONS,
    aia_response,
    bin_response,
    temperature_filters,
)


@pytest.mark.parametrize("version", RESPONSE_VERSIONS)
def test_the_table_is_what_was_handed_down(shared, version):
    with np.load(shared / "dem/aia_tresp_all.npz", allow_pickle=False) as given:
        expected, grid = given[version], np.round(given["logt"].astype(float), 2)
        assert tuple(given["channels"]) == RESPONSE_CHANNELS
    np.testing.assert_allclose(aia_response(grid, version=version), expected, rtol=1e-6)


def test_channels_peak_where_their_lines_form():
    # O'Dwyer et al. 2010: Fe IX, Fe XII, Fe XIV; 94 and 131 have a hot peak (Fe XVIII, Fe XXI)
    grid = np.arange(5.0, 7.6, 0.05)
    response = dict(zip(RESPONSE_CHANNELS, aia_response(grid), strict=True))
    peaks = {channel: grid[np.argmax(response[channel])] for channel in (171, 193, 211)}
    assert peaks == {
        171: pytest.approx(5.9, abs=0.11),
        193: pytest.approx(6.2, abs=0.06),
        211: pytest.approx(6.3, abs=0.06),
    }
    hot = grid > 6.6
    assert grid[hot][np.argmax(response[94][hot])] == pytest.approx(6.85, abs=0.06)
    assert grid[hot][np.argmax(response[131][hot])] == pytest.approx(7.05, abs=0.06)


def test_narrow_bins_are_the_response_itself_and_wide_ones_its_mean():
    edges = np.array([6.0, 6.001])
    np.testing.assert_allclose(bin_response(edges)[:, 0], aia_response([6.0005])[:, 0], rtol=1e-4)
    fine = aia_response(np.linspace(6.0, 6.4, 4001)).mean(axis=1)
    np.testing.assert_allclose(bin_response(np.linspace(6.0, 6.4, 5)).mean(axis=1), fine, rtol=3e-3)


def test_unknown_versions_and_temperatures_are_refused():
    with pytest.raises(ValueError, match="expected a response version"):
        aia_response(np.array([6.0]), version="v11")
    with pytest.raises(ValueError, match="known from log T"):
        aia_response(np.array([3.0]))


def test_temperature_filters_single_out_their_temperature():
    filters = temperature_filters()
    edges = np.linspace(5.45, 7.55, 43)
    centres = (edges[:-1] + edges[1:]) / 2
    shape = np.exp(-0.5 * ((centres - FILTER_LOG_T[:, None]) / 0.12) ** 2)
    seen = filters @ bin_response(edges) @ (shape / shape.sum(axis=1, keepdims=True)).T
    best = np.diag(seen)
    assert (best > 0).all()
    assert np.abs(seen - np.diag(best)).max() < 1e-9 * best.max()
