"""The weak-field approximation of polarised spectral lines, and its closed-form inversion.

Landi Degl'Innocenti & Landolfi (2004, Polarization in Spectral Lines), 9.6 and 9.7:

    V = C g B_los dI/dl                       C = -4.67e-13 l0^2 (angstrom, gauss)
    Q, U = 0.75 C^2 G (B_Q, B_U) (dI/dl) / (l - l0)       in the wings, |l - l0| > core

with g the effective Lande factor and G that of linear polarisation. Conventions: B_los > 0 points
to the observer; B_Q = B_t^2 cos 2 phi and B_U = B_t^2 sin 2 phi in G^2, phi (azimuth) anticlockwise
from +Q; phi and phi + 180 degrees give the same spectra, so that phi lies between 0 and 180.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

__all__ = [
    "LINES",
    "ProfileFit",
    "WeakFieldLine",
    "estimated_noise",
    "field_from_profiles",
    "longitudinal_profile",
    "transverse_field",
    "transverse_profiles",
    "wavelength_derivative",
]

_SPLITTING = -4.67e-13  # per angstrom and gauss: e / (4 pi m_e c^2)


@dataclass(frozen=True)
class WeakFieldLine:
    """What of a line the weak-field approximation needs.

    Attributes
    ----------
    name : str
    wavelength0 : float
        Centre in air, angstrom.
    lande : float
        Effective Lande factor g.
    transverse_lande : float
        Factor G of linear polarisation (Landi Degl'Innocenti & Landolfi 2004, eq. 9.77).
    core : float
        Q and U are used beyond this distance from the centre, angstrom: about the Doppler width.
    """

    name: str
    wavelength0: float
    lande: float
    transverse_lande: float
    core: float

    def __post_init__(self):
        if not 2000 <= self.wavelength0 <= 200_000:
            hint = ""
            if 200 <= self.wavelength0 < 2000:
                hint = (
                    f"; {self.wavelength0:g} looks like nanometres: give {self.wavelength0 * 10:g}"
                )
            raise ValueError(
                "expected a wavelength of 2000 to 200,000 angstrom for a line's centre, got "
                f"{self.wavelength0:g}{hint}"
            )
        if not (0 < abs(self.lande) <= 5 and abs(self.transverse_lande) <= 25 and self.core >= 0):
            raise ValueError(
                "expected a Lande factor other than 0 and at most 5, a factor of linear "
                f"polarisation of at most 25 and a core of 0 or more, got {self.lande:g}, "
                f"{self.transverse_lande:g} and {self.core:g}"
            )

    @property
    def longitudinal(self) -> float:
        """C g, angstrom per gauss: V = this times B_los dI/dl."""
        return _SPLITTING * self.wavelength0**2 * self.lande

    @property
    def transverse(self) -> float:
        """0.75 C^2 G, angstrom^2 per gauss^2."""
        return 0.75 * (_SPLITTING * self.wavelength0**2) ** 2 * self.transverse_lande


@dataclass(frozen=True)
class ProfileFit:
    """The field of each pixel by itself.

    Attributes
    ----------
    field : (y, x) float64
        NaN where nothing is known of it.
    weight : (y, x) float64
        One over its variance; 0 where nothing is known.
    chi2 : (y, x) float64
        Mean of the squared residuals over sigma squared; NaN where nothing is known.
    n_used : (y, x) int64
        Values that count.
    """

    field: np.ndarray
    weight: np.ndarray
    chi2: np.ndarray
    n_used: np.ndarray

    def chi2_of(self, field: np.ndarray) -> np.ndarray:
        """Return chi2 of another field: the least one and weight (B - B_least)^2 / n, exactly."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.chi2 + self.weight * (field - self.field) ** 2 / self.n_used


# Wavelengths: NIST. Ca II 8542: 2D5/2 - 2P3/2, g 1.10, G 1.205; Mg I b2 5173: 3P1 - 3S1, g 1.75,
# G 2.875; Fe I 6302: 5P1 - 5D0, g 2.5, G 6.25. G = g^2 - delta with LS coupling, where delta =
# (gl - gu)^2 (16 s - 7 d^2 - 4) / 80, s = Jl(Jl+1) + Ju(Ju+1), d = Jl(Jl+1) - Ju(Ju+1).
LINES = {
    "CaII8542": WeakFieldLine("Ca II 8542", 8542.091, 1.1, 1.205, 0.25),
    "MgI5173": WeakFieldLine("Mg I b2 5173", 5172.684, 1.75, 2.875, 0.09),
    "FeI6302": WeakFieldLine("Fe I 6302", 6302.494, 2.5, 6.25, 0.05),
}


def wavelength_derivative(intensity: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """Return dI/dl by three points, exact for parabolas on any grid.

    Inner points: the parabola through a point and its neighbours, whose error is h1 h2 / 6 times
    the third derivative; the ends: the parabola through the last three points.

    Parameters
    ----------
    intensity : (..., wavelength) float
    wavelength : (wavelength,) float
        Angstrom, increasing, three or more.

    Returns
    -------
    (..., wavelength) float64
        Per angstrom. A NaN makes itself and its neighbours NaN.

    Raises
    ------
    ValueError
        If there are fewer than three wavelengths, or they do not increase.
    """
    wavelength = _checked_grid(wavelength, np.shape(intensity)[-1:])
    steps = np.diff(wavelength)
    # by slopes between neighbours, so that a constant has exactly the derivative 0
    slopes = np.diff(np.asarray(intensity, np.float64), axis=-1) / steps
    share = steps[1:] / (steps[1:] + steps[:-1])
    derivative = np.empty(np.shape(intensity))
    derivative[..., 1:-1] = share * slopes[..., :-1] + (1 - share) * slopes[..., 1:]
    change = slopes[..., 1:] - slopes[..., :-1]
    derivative[..., 0] = slopes[..., 0] - (1 - share[0]) * change[..., 0]
    derivative[..., -1] = slopes[..., -1] + share[-1] * change[..., -1]
    return derivative


def longitudinal_profile(
    b_los: np.ndarray, derivative: np.ndarray, line: WeakFieldLine
) -> tuple[np.ndarray, np.ndarray]:
    """Return V and its derivative by B_los.

    Parameters
    ----------
    b_los : (...) float
        G.
    derivative : (..., wavelength) float
        dI/dl per angstrom.
    line : WeakFieldLine

    Returns
    -------
    v, dv_db : (..., wavelength) float64
        In the unit of the intensity, and that per gauss.
    """
    by_field = line.longitudinal * np.asarray(derivative, np.float64)
    return np.asarray(b_los)[..., None] * by_field, by_field


def transverse_profiles(
    b_q: np.ndarray,
    b_u: np.ndarray,
    derivative: np.ndarray,
    wavelength: np.ndarray,
    line: WeakFieldLine,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q, U and their common derivative by B_Q and by B_U; all 0 within the line's core.

    Parameters
    ----------
    b_q, b_u : (...) float
        G^2.
    derivative : (..., wavelength) float
        dI/dl per angstrom.
    wavelength : (wavelength,) float
        Angstrom.
    line : WeakFieldLine

    Returns
    -------
    q, u, by_field : (..., wavelength) float64
    """
    by_field = line.transverse * np.asarray(derivative, np.float64) * _wing_factor(wavelength, line)
    return np.asarray(b_q)[..., None] * by_field, np.asarray(b_u)[..., None] * by_field, by_field


def field_from_profiles(
    profile: np.ndarray, by_field: np.ndarray, sigma: np.ndarray | float
) -> ProfileFit:
    """Return the field that fits a profile best, pixel by pixel.

    ``B = sum(k S / s^2) / sum(k^2 / s^2)``, with variance ``1 / sum(k^2 / s^2)``.

    Parameters
    ----------
    profile : (y, x, wavelength) float
        S: V, Q or U; NaN is left out.
    by_field : (y, x, wavelength) float
        k: its derivative by the field; NaN is left out.
    sigma : float, or broadcastable to (y, x, wavelength)
        Error of one sigma of the profile; values without a positive one are left out.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    profile = np.ascontiguousarray(profile, np.float64)
    by_field = np.ascontiguousarray(by_field, np.float64)
    if profile.ndim != 3 or profile.shape != by_field.shape:
        raise ValueError(
            "expected a profile and its derivative of one shape (y, x, wavelength), got "
            f"{profile.shape} and {by_field.shape}"
        )
    try:
        errors = np.broadcast_to(np.asarray(sigma, np.float64), profile.shape)
    except ValueError:
        raise ValueError(
            f"expected errors that fit {profile.shape} (y, x, wavelength), got shape "
            f"{np.shape(sigma)}"
        ) from None
    return ProfileFit(*_fit_scale(profile, by_field, errors))


def estimated_noise(profile: np.ndarray, by_field: np.ndarray, is_beside: np.ndarray) -> float:
    """Return the noise of V, Q or U from the wavelengths where a field gives least signal.

    1.4826 times the median absolute residual of the closed form over all pixels, at the quarter of
    the wavelengths beside the line's core (two or more) with the least mean derivative.

    Parameters
    ----------
    profile, by_field : (y, x, wavelength) float
        Stokes parameter, and its derivative by the field.
    is_beside : (wavelength,) bool
        Wavelengths beyond the line's core.

    Raises
    ------
    ValueError
        If the profile has no value or no noise there.
    """
    slope = np.mean(np.abs(np.nan_to_num(by_field)), axis=(0, 1))
    order = np.argsort(np.where(is_beside, slope, np.inf), kind="stable")
    chosen = order[: max(int(is_beside.sum()) // 4, 2)]
    field = np.nan_to_num(field_from_profiles(profile, by_field, 1.0).field)
    flat = profile[..., chosen] - field[..., None] * by_field[..., chosen]
    flat = flat[np.isfinite(flat)]
    noise = 1.4826 * float(np.median(np.abs(flat - np.median(flat)))) if len(flat) else 0.0
    if not noise > 0:
        raise ValueError(
            "expected values with noise beside the line to estimate it from, got "
            f"{'equal values' if len(flat) else 'no value'}; give the noise (--noise)"
        )
    return noise


def transverse_field(
    b_q: np.ndarray, b_u: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return B_t (G), its error, the azimuth (degrees, 0 to 180) and its error.

    B_t = (B_Q^2 + B_U^2)^(1/4), which noise makes too strong where the field is weak. Errors by
    linear propagation; that of B_t is at most the field that noise alone gives, that of the azimuth
    at most 52 degrees (180 / sqrt 12), as for a direction that is unknown.

    Parameters
    ----------
    b_q, b_u : (...) float
        G^2.
    variance : (...) float
        Of both, G^4.
    """
    squared = np.hypot(b_q, b_u)
    sigma = np.sqrt(variance)
    field = np.sqrt(squared)
    noise = np.sqrt(np.sqrt(2) * sigma)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.minimum(sigma / (2 * field), noise)
        azimuth_error = np.minimum(np.degrees(sigma / (2 * squared)), 180 / np.sqrt(12))
    azimuth = np.degrees(0.5 * np.arctan2(b_u, b_q)) % 180.0
    return field, error, azimuth, azimuth_error


def _wing_factor(wavelength: np.ndarray, line: WeakFieldLine) -> np.ndarray:
    """Return 1 / (l - l0) beyond the core, 0 within it."""
    away = np.asarray(wavelength, np.float64) - line.wavelength0
    is_wing = np.abs(away) > max(line.core, 1e-9)
    return np.where(is_wing, 1 / np.where(is_wing, away, 1.0), 0.0)


def _checked_grid(wavelength: np.ndarray, length: tuple[int, ...]) -> np.ndarray:
    wavelength = np.asarray(wavelength, np.float64)
    if wavelength.shape != length or len(wavelength) < 3 or not (np.diff(wavelength) > 0).all():
        raise ValueError(
            f"expected three wavelengths or more that increase, one for each of {length} values, "
            f"got shape {wavelength.shape}; sort the spectrum by wavelength"
        )
    return wavelength


@numba.njit(cache=True, error_model="numpy")
def _fit_scale(profile, by_field, sigma):
    n_y, n_x, n = profile.shape
    field, weight = np.empty((n_y, n_x)), np.empty((n_y, n_x))
    chi2, n_used = np.empty((n_y, n_x)), np.zeros((n_y, n_x), np.int64)
    for y in range(n_y):
        for x in range(n_x):
            cross = square = total = 0.0
            count = 0
            for k in range(n):
                s, d, e = profile[y, x, k], by_field[y, x, k], sigma[y, x, k]
                if d != 0 and e > 0 and np.isfinite(s * d) and np.isfinite(e):
                    cross += s * d / e**2
                    square += d * d / e**2
                    total += (s / e) ** 2
                    count += 1
            is_known = count > 0 and square > 0 and np.isfinite(square)
            field[y, x] = cross / square if is_known else np.nan
            weight[y, x] = square if is_known else 0.0
            # the residual's sum by Pythagoras: the fit is the projection on the derivative
            chi2[y, x] = max(total - cross**2 / square, 0.0) / count if is_known else np.nan
            n_used[y, x] = count if is_known else 0
    return field, weight, chi2, n_used
