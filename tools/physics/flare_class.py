"""GOES flare classes and 1-8 A fluxes, on a stated scale.

Two scales are in use. Until 2020 NOAA multiplied the fluxes of GOES 1-15 by 0.7 (1-8 A) and 0.85
(0.5-4 A) before it published them and read the class off the product: the *operational* scale, on
which the event lists of 1975-2019 stand. Reprocessed science-quality data and GOES-16 and later
give the *true* irradiance; a class read off it is higher by 1 / 0.7 = 1.43.

Source: NOAA NCEI, GOES 1-15 XRS science-quality data readme (Machol et al., 2022), section 2.
"""

from __future__ import annotations

import re

import astropy.units as u
import numpy as np

__all__ = [
    "CLASS_LETTERS",
    "OPERATIONAL",
    "SCALES",
    "SCALING_FACTORS",
    "TRUE",
    "class_name",
    "class_to_flux",
    "flux_to_class",
    "rescale_flux",
]

OPERATIONAL, TRUE = "operational", "true"
SCALES = (OPERATIONAL, TRUE)
SCALING_FACTORS = {"long": 0.7, "short": 0.85}  # published operational flux / true flux
CLASS_LETTERS = {"A": 1e-8, "B": 1e-7, "C": 1e-6, "M": 1e-5, "X": 1e-4}  # W m-2

_CLASS = re.compile(r"([ABCMX])(\d+(?:\.\d*)?)?")
_FLUX_UNIT = u.W / u.m**2


def rescale_flux(
    flux: u.Quantity, *, from_scale: str, to_scale: str, channel: str = "long"
) -> u.Quantity:
    """Convert a flux between the operational and the true scale.

    Parameters
    ----------
    flux : Quantity, any shape, convertible to W m-2
    from_scale, to_scale : {"operational", "true"}
    channel : {"long", "short"}
        1-8 A (factor 0.7) or 0.5-4 A (factor 0.85).

    Raises
    ------
    ValueError
        If a scale or the channel is unknown.
    """
    _check_scale(from_scale)
    _check_scale(to_scale)
    if channel not in SCALING_FACTORS:
        raise ValueError(f"expected channel 'long' (1-8 A) or 'short' (0.5-4 A), got {channel!r}")
    flux = flux.to(_FLUX_UNIT)
    if from_scale == to_scale:
        return flux
    factor = SCALING_FACTORS[channel]
    return flux * factor if to_scale == OPERATIONAL else flux / factor


def flux_to_class(flux: u.Quantity, *, flux_scale: str, class_scale: str) -> str | list[str]:
    """Return the flare class of a 1-8 A peak flux, such as ``M2.5``.

    The number is rounded to one decimal but never up into the next letter: 9.96e-6 W m-2 is C9.9,
    because it is below M1.

    Parameters
    ----------
    flux : Quantity, scalar or (flare,), W m-2
    flux_scale : {"operational", "true"}
        Scale on which the flux stands.
    class_scale : {"operational", "true"}
        Scale on which the class is read.

    Raises
    ------
    ValueError
        If a flux is not positive and finite, or a scale is unknown.
    """
    value = np.asarray(rescale_flux(flux, from_scale=flux_scale, to_scale=class_scale).value, float)
    if not (np.isfinite(value).all() and (value > 0).all()):
        raise ValueError("a flare class needs a positive, finite flux; mask missing values first")
    names = [class_name(v) for v in np.atleast_1d(value)]
    return names if value.ndim else names[0]


def class_to_flux(flare_class: str | list[str], *, class_scale: str, flux_scale: str) -> u.Quantity:
    """Return the 1-8 A peak flux of a flare class.

    A class without a number (``C``) is the lower limit of its letter.

    Parameters
    ----------
    flare_class : str or sequence of str
    class_scale, flux_scale : {"operational", "true"}
        Scale of the class, and of the flux to be given.

    Returns
    -------
    Quantity, scalar or (flare,), W m-2

    Raises
    ------
    ValueError
        If a class can't be read or a scale is unknown.
    """
    _check_scale(class_scale)
    names = [flare_class] if isinstance(flare_class, str) else flare_class
    flux = np.array([_class_flux(name) for name in names])
    quantity = rescale_flux(flux * _FLUX_UNIT, from_scale=class_scale, to_scale=flux_scale)
    return quantity[0] if isinstance(flare_class, str) else quantity


def class_name(flux: float) -> str:
    """Return the class of a bare 1-8 A flux in W m-2, on the scale of the flux itself."""
    letter = next((c for c in "XMCBA" if flux >= CLASS_LETTERS[c]), "A")
    number = flux / CLASS_LETTERS[letter]
    rounded = round(number, 1)
    if letter != "X" and rounded >= 10:
        rounded = 9.9
    return f"{letter}{rounded:.1f}"


def _class_flux(name: str) -> float:
    match = _CLASS.fullmatch(name.strip().upper())
    if match is None:
        raise ValueError(f"expected a flare class such as C1, M2.5 or X13, got {name!r}")
    return CLASS_LETTERS[match[1]] * float(match[2] or 1)


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise ValueError(f"expected the scale 'operational' or 'true', got {scale!r}")
