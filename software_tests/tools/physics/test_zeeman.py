"""Zeeman patterns against Wigner's 3j symbols and published Lande factors."""

import dataclasses

import numpy as np
import pytest

from benchmarks.plain_stokes import wigner_3j, zeeman_components
from tools.physics.zeeman import (
    FE_6301,
    FE_6302,
    LINES,
    PI,
    SIGMA_BLUE,
    SIGMA_RED,
    SpectralLine,
    zeeman_pattern,
)

# kinds by M upper less M lower: a sigma component of +1 is at higher energy in a field
KINDS = {0: PI, 1: SIGMA_BLUE, -1: SIGMA_RED}


def test_3j_symbols_of_the_reference_are_those_of_tables():
    # Edmonds (1957), table 2: (1 1 0; 0 0 0) = -1/sqrt(3), (1 1 1; 1 -1 0) = 1/sqrt(6),
    # (2 1 1; 0 0 0) = sqrt(2/15)
    assert wigner_3j(1, 1, 0, 0, 0, 0) == pytest.approx(-1 / np.sqrt(3))
    assert wigner_3j(1, 1, 1, 1, -1, 0) == pytest.approx(1 / np.sqrt(6))
    assert wigner_3j(2, 1, 1, 0, 0, 0) == pytest.approx(np.sqrt(2 / 15))
    assert wigner_3j(1, 1, 1, 0, 0, 0) == pytest.approx(0)


@pytest.mark.parametrize(
    "levels", [(2, 2), (1, 0), (0, 1), (1, 2), (2, 1), (0.5, 1.5), (1.5, 0.5), (3.5, 3.5), (4, 5)]
)
def test_patterns_equal_squared_3j_symbols(levels):
    line = SpectralLine("test", 6000.0, *levels, 1.31, 0.77)
    expected = sorted(
        (KINDS[step], strength, shift) for step, strength, shift in zeeman_components(line)
    )
    kinds, strengths, shifts = zeeman_pattern(line)
    found = sorted(zip(kinds.tolist(), strengths.tolist(), shifts.tolist(), strict=True))
    assert len(found) == len(expected)
    key = lambda row: (row[0], row[2])  # noqa: E731
    np.testing.assert_allclose(
        sorted(found, key=key), sorted(expected, key=key), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
def test_strengths_of_each_kind_sum_to_one(line):
    kinds, strengths, _ = zeeman_pattern(line)
    for kind in KINDS.values():
        assert strengths[kinds == kind].sum() == pytest.approx(1, abs=1e-14)


def test_effective_lande_factors_are_the_published_ones():
    # Stenflo (1994, Solar Magnetic Fields): 1.67 and 2.5 (LS coupling); 2.49 from measured levels
    assert FE_6301.effective_lande == pytest.approx(1.67, abs=0.005)
    assert FE_6302.effective_lande == pytest.approx(2.5, abs=0.011)
    # Shenstone & Blair (1929): (g_l + g_u) / 2 + (g_u - g_l) (J_u (J_u + 1) - J_l (J_l + 1)) / 4
    for line in (FE_6301, FE_6302):
        squares = line.j_upper * (line.j_upper + 1) - line.j_lower * (line.j_lower + 1)
        own = (line.g_lower + line.g_upper) / 2 + (line.g_upper - line.g_lower) * squares / 4
        assert line.effective_lande == pytest.approx(own, rel=1e-12)


def test_transverse_factor():
    # a normal triplet has g^2; Landi Degl'Innocenti & Landolfi (2004), table 9.3: 6301 has
    # G = g_eff^2 - delta with delta = (g_l - g_u)^2 (16 s - 7 d^2 - 4) / 80, s = 12, d = 0
    assert FE_6302.transverse_lande == pytest.approx(2.49**2)
    delta = (1.84 - 1.50) ** 2 * (16 * 12 - 4) / 80
    assert FE_6301.transverse_lande == pytest.approx(1.67**2 - delta)


def test_numbers_of_components():
    # J 2 to 2: 4 pi (M = 0 to 0 is forbidden) and 4 of each sigma; J 1 to 0: a triplet
    assert len(zeeman_pattern(FE_6301)[0]) == 12
    assert len(zeeman_pattern(FE_6302)[0]) == 3


@pytest.mark.parametrize("levels", [(0, 0), (2, 0), (1, 1.5), (-1, 0)])
def test_forbidden_transitions_are_rejected(levels):
    line = dataclasses.replace(FE_6301, j_lower=levels[0], j_upper=levels[1])
    with pytest.raises(ValueError, match="no dipole transition"):
        zeeman_pattern(line)
