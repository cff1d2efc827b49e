"""Maps of parameters as files: units that FITS knows, values that go with them."""

import astropy.units as u
import numpy as np
from astropy.io import fits

from science.inversion.results import ParameterMaps, write_parameter_maps


def test_units_are_those_of_fits_and_values_go_with_them(tmp_path):
    values = {"width": np.full((2, 3), 40.0), "amplitude": np.full((2, 3), 7.0)}
    maps = ParameterMaps(
        values,
        {"width": "mAngstrom", "amplitude": "counts"},
        {"width": np.full((2, 3), 2.0)},
        np.ones((2, 3)),
        np.zeros((2, 3), np.uint16),
    )
    write_parameter_maps(tmp_path / "maps.fits", maps, wcs={}, header={"METHOD": "test"})
    with fits.open(tmp_path / "maps.fits") as hdus:
        for name in ("WIDTH", "AMPLITUDE", "WIDTH_ERROR"):
            u.Unit(hdus[name].header["BUNIT"], format="fits")
        width = hdus["WIDTH"].data * u.Unit(hdus["WIDTH"].header["BUNIT"])
        assert np.allclose(width.to_value("mAngstrom"), 40)
        error = hdus["WIDTH_ERROR"].data * u.Unit(hdus["WIDTH_ERROR"].header["BUNIT"])
        assert np.allclose(error.to_value("mAngstrom"), 2)
        assert hdus["AMPLITUDE"].header["BUNIT"] == "count"
        assert (hdus["AMPLITUDE"].data == 7).all()
