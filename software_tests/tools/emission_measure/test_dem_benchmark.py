"""The comparison of inversions runs at its smallest size, and says what is true of it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.dem import compare, parse_arguments
from benchmarks.dem_accuracy import LEVELS, draw_pixels
from benchmarks.dem_large import time_large_map
from benchmarks.dem_tables import dem_tables
from benchmarks.peer_solutions import bins_of_nodes
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import invert
from tools.emission_measure.response import bin_response
from tools.emission_measure.simulated_maps import MAP_FAMILIES


def by_basis_pursuit(dn, sigma, *, size, version, n_jobs, by_keras):
    """Stand in for a network: basis pursuit, with bars that hold everything."""
    response = bin_response(LOG_T_EDGES, version=version)
    found = invert(dn, sigma, response, LOG_T_EDGES, n_jobs=n_jobs)
    extra = {"low": np.zeros_like(found.em), "high": np.full_like(found.em, 1e35)}
    return replace(found, extra=extra)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.dem_ways.invert_with_network", by_basis_pursuit)
        nowhere = str(tmp_path_factory.mktemp("peers"))
        arguments = parse_arguments(
            ["--smoke", "--peers", nowhere, "--network", "fast", "--jobs", "1"]
        )
        return compare(arguments)


def test_every_family_and_level_is_there(figures):
    assert list(figures["scores"]) == list(LEVELS)
    for families in figures["scores"].values():
        assert list(families) == list(MAP_FAMILIES)


def test_truth_is_perfect(figures):
    for families in figures["scores"].values():
        for ways in families.values():
            scores = ways["the truth in the bins"]
            assert scores["L1"] == scores["W1, dex"] == scores["failed"] == 0
    for cells in figures["single temperatures"]["isothermal"]["the truth in the bins"].values():
        assert cells["EM ratio"] == 1


def test_stand_in_differs_in_nothing_from_what_it_is(figures):
    for families in figures["differences"]["network, fast"].values():
        for others in families.values():
            assert others["basis pursuit"] == {"L1": [0, 0, 0], "W1, dex": [0, 0, 0]}


def test_bars_that_hold_everything_cover_all(figures):
    for groups in figures["coverage"].values():
        assert set(groups) == {"in prior", "out of prior"}
        for ways in groups.values():
            assert ways["network, fast"]["68 %"] == 1
            assert ways["network, fast"]["68 %, bin by bin"] == [1] * 18
            assert 0 < ways["Tikhonov"]["68 %"] < ways["Tikhonov"]["95 %"] < 1


def test_basis_pursuit_equals_highs(figures):
    for level in figures["speed"].values():
        compared = level["basis pursuit and HiGHS"]
        assert compared["pixels"] == 20
        assert compared["statuses that differ"] == 0
        assert compared["largest relative difference of objectives"] < 1e-9


def test_tables_hold_every_way(figures):
    text = "\n".join(dem_tables(figures))
    for way in figures["scores"]["1 pixel"]["loop"]:
        assert f"\n| {way} |" in text
    assert "loop*" in text
    assert "share of bins whose truth lies within their bars, by family" in text
    assert figures["response"] in text


def test_slow_ways_get_the_same_share_of_every_block():
    pixels = draw_pixels(16, version="v10_evenorm", share=0.25)
    place = pixels.places["1 pixel", "box"]
    part, blocks = pixels.part[place], pixels.blocks[place]
    assert np.bincount(blocks[part]).tolist() == [16] * 4
    other = pixels.places["64 pixels averaged", "tent"]
    np.testing.assert_array_equal(pixels.part[other], part)


def test_large_map_is_timed_in_its_own_process():
    arguments = parse_arguments(["--smoke", "--jobs", "1"])
    found = time_large_map(24, arguments)
    for level in LEVELS:
        assert found[level]["solved"] > 0.9
        assert 50 < found[level]["largest memory, MiB"] < 4096


def test_bins_of_a_constant_and_of_a_line():
    # a constant per dex fills bins evenly, but for the outer halves of the last ones
    np.testing.assert_allclose(bins_of_nodes(np.full((1, 4), 2.0), 0.1), [[0.1, 0.2, 0.2, 0.1]])
    # of a line the bin's integral is the value in its middle times its width
    found = bins_of_nodes(np.array([[1.0, 2.0, 3.0, 4.0]]), 0.1)
    np.testing.assert_allclose(found[0, 1:3], [0.2, 0.3])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--side", "8"], "16 or more"),
        (["--share", "0"], "part of the pixels"),
        (["--checked", "2"], "no less than --rounds"),
        (["--jobs", "0"], "1 or more"),
    ],
)
def test_bad_arguments_get_a_sentence(wrong, said, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(wrong)
    assert said in capsys.readouterr().err
