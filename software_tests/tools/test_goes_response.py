"""GOES' response to hot plasma, against the table and an older calibration."""

import numpy as np
import pytest

from tools.physics.goes_response import goes_flux


def test_the_table_at_15_megakelvin():
    # between log T 1.16 + 6 (25.8) and 1.18 + 6 (26.8 and a bit): about 2.68e-54 W m-2 cm3
    long_flux, short_flux = goes_flux(np.log10([15e6]))[:, 0]
    assert long_flux == pytest.approx(2.67e-54, rel=0.01)
    assert short_flux / long_flux == pytest.approx(0.22, rel=0.03)


@pytest.mark.parametrize("megakelvin", [8.0, 12.0, 16.0, 20.0])
def test_temperature_from_the_ratio_agrees_with_thomas_starr_and_crannell_1985(megakelvin):
    # another satellite and other atomic data: 3.15 + 77.2 R - 164 R^2 + 205 R^3, within 20 %
    long_flux, short_flux = goes_flux(np.log10([megakelvin * 1e6]))[:, 0]
    ratio = short_flux / long_flux
    older = 3.15 + 77.2 * ratio - 164 * ratio**2 + 205 * ratio**3
    assert older == pytest.approx(megakelvin, rel=0.2)


def test_outside_the_table():
    assert (goes_flux(np.array([5.0])) == 0).all()
    with pytest.raises(ValueError, match="known up to log T 8"):
        goes_flux(np.array([8.5]))
