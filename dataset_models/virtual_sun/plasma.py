"""The kinds of plasma that the virtual corona is made of, and how bright each is in every channel.

Each kind is a distribution of emission measure over log T. A pixel's differential emission measure
is the sum of its kinds, and the six coronal channels see it through AIA's real responses. 304 and
1600 A are not optically thin: they are declared proxies, given in DN per unit of two further maps.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tools.channels import AIA_CHANNELS
from tools.emission_measure.response import RESPONSE_CHANNELS, bin_response
from tools.physics.goes_response import goes_flux
from tools.tables import read_table

__all__ = [
    "KINDS",
    "LOG_T_EDGES",
    "PROXY_KINDS",
    "channel_gain",
    "flare_emission_measure",
    "goes_gain",
    "kind_profiles",
    "quiet_emission_measure",
]

LOG_T_EDGES = np.linspace(5.45, 7.55, 22)
_GAUSSIANS = {  # centre and spread in dex
    "fan": (5.90, 0.12),
    "diffuse": (6.22, 0.10),
    "core": (6.45, 0.09),
    "hot core": (6.74, 0.07),
    "precursor": (6.95, 0.06),
    "flare": (7.12, 0.12),
    "arcade": (6.35, 0.18),
}
KINDS = ("quiet", "hole", *_GAUSSIANS)
PROXY_KINDS = ("chromosphere", "photosphere")  # maps of 304 and 1600 A, in DN s-1 pix-1
_HOLE_COOLING_DEX = 0.10


@cache
def quiet_emission_measure() -> float:
    """Give the quiet Sun's emission measure above log T 5.45, at disc centre, cm-5."""
    return float(_quiet_bins().sum())


@cache
def kind_profiles() -> np.ndarray:
    """Give the share of each kind's emission measure in each temperature bin, (kind, bin)."""
    centres = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2
    quiet = _quiet_bins()
    # a hole has lost most of what is hotter than 0.8 MK
    hole = quiet * np.exp(-np.maximum(centres - 5.9, 0) / _HOLE_COOLING_DEX)
    rows = [quiet, hole]
    rows += [np.exp(-0.5 * ((centres - c) / s) ** 2) for c, s in _GAUSSIANS.values()]
    profiles = np.array(rows)
    return profiles / profiles.sum(axis=1, keepdims=True)


@cache
def channel_gain() -> np.ndarray:
    """Give the brightness of unit emission measure, (kind, channel): DN s-1 pix-1 per cm-5.

    Zero in 304 and 1600 A, which the proxies serve.
    """
    gain = np.zeros((len(KINDS), len(AIA_CHANNELS)))
    coronal = [AIA_CHANNELS.index(c) for c in RESPONSE_CHANNELS]
    gain[:, coronal] = kind_profiles() @ bin_response(LOG_T_EDGES).T
    return gain


@cache
def goes_gain() -> np.ndarray:
    """Give each kind's true fluxes per emission measure, (kind, 2): W m-2 per cm-3."""
    centres = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2
    return kind_profiles() @ goes_flux(centres).T


def flare_emission_measure(true_flux: float) -> float:
    """Give the volume of flare plasma, cm-3, whose 1-8 A flux is so much, W m-2."""
    return true_flux / float(goes_gain()[KINDS.index("flare"), 0])


def _quiet_bins() -> np.ndarray:
    """Integrate the quiet Sun's DEM over the bins, (bin,) cm-5: EM = DEM(T) T ln 10 dlogT."""
    _, rows = read_table("quiet_sun_dem")
    log_t, log_dem = np.array(rows, float).T
    fine = LOG_T_EDGES[0] + 0.005 + 0.01 * np.arange(round(np.ptp(LOG_T_EDGES) / 0.01))
    slope = (log_dem[-1] - log_dem[-2]) / (log_t[-1] - log_t[-2])
    beyond = log_dem[-1] + slope * (fine - log_t[-1])
    dem = 10 ** np.where(fine > log_t[-1], beyond, np.interp(fine, log_t, log_dem))
    em = dem * 10**fine * np.log(10) * 0.01
    return em.reshape(len(LOG_T_EDGES) - 1, -1).sum(axis=1)
