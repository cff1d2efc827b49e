"""Six FITS files of one time, as a telescope would have written them (synthetic)."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from software_tests.tools.emission_measure.simulated import simulated_map
from tools.channels import CAMERA, aia_degradation
from tools.emission_measure.response import RESPONSE_CHANNELS

SIDE = 20
TIME = "2014-01-11T08:00:01"


def write_six(folder, *, changes=None, time=TIME, prefix=""):
    """Write six FITS files of a simulated map in DN, as of that date; give paths, truth, rates."""
    truth, dn, _ = simulated_map(SIDE, 1)
    paths, rates = [], dn.reshape(SIDE, SIDE, 6)
    for k, channel in enumerate(RESPONSE_CHANNELS):
        left = aia_degradation(channel, np.array([time], "datetime64[s]"))[0]
        seconds = CAMERA[channel].exposure_s
        cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": channel, "EXPTIME": seconds, "DATE-OBS": time}
        cards |= {"CRPIX1": 10.5, "CRPIX2": 10.5, "CRVAL1": -300.0, "CRVAL2": 120.0}
        cards |= {"CDELT1": 0.6, "CDELT2": 0.6, "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}
        cards |= {"CUNIT1": "arcsec", "CUNIT2": "arcsec"} | (changes or {}).get(channel, {})
        data = (rates[..., k] * seconds * left).astype(np.float32)
        paths.append(str(folder / f"{prefix}{channel}.fits"))
        fits.PrimaryHDU(data, fits.Header(cards)).writeto(paths[-1], overwrite=True)
    return paths, truth, rates
