"""Emission measure of pixels at all times of a series together, coherent in time, not negative.

Of each pixel ``sum_t |(K x_t - y_t) / sigma_t|^2 + mu (sum_t x_t' D M D x_t + weight * C)`` is made
as small as it gets over x >= 0. K: response, DN cm5 s-1 pix-1; x: emission measure in the bins,
cm-5; D: 1 over the root of s g, with s the running level of each bin and time, which is what was
found frame by frame, smoothed over five bins of log T and three times, and g its total over the
mean of all times, so that priors weigh relative amounts; M: squared first differences between
neighbouring bins and a tenth of the squares. mu is found for each pixel so that chi2, the mean over
all its data, is 1 (discrepancy principle, Morozov 1966). C ties neighbouring times, and is one of

- ``total-variation``: ``sum s / g H(|x_t+1 - x_t| / s)``, H(u) = 2 u - k above k and u^2 / k below
  (Huber 1964, k = 0.05): sudden changes cost as much as slow ones, dt counts for nothing;
- ``relative``: ``sum (x_t+1 - x_t)^2 / (s g dt)``, with s and g between the two times;
- ``quadratic``: the same with the mean level of the bin over all times, and g = 1.

dt is in units of the median step in time. With a weight of 0 frames are tied by mu and the level
alone. Priors on emission measure: Hannah & Kontar 2012, A&A 539, A146.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.emission_measure.calibration import factors_for
from tools.emission_measure.coherent_pixels import Asked, solve_pixels
from tools.emission_measure.coherent_prior import PENALTIES
from tools.emission_measure.flaring import flare_share
from tools.emission_measure.inversion import UNIT_CM5, invert
from tools.emission_measure.tikhonov import PRIOR_SLOPE
from tools.fitting.threads import limited_threads

__all__ = [
    "TIME_PENALTIES",
    "CoherentSolution",
    "Reference",
    "find_reference",
    "smoothness",
    "solve_coherent",
]

TIME_PENALTIES = tuple(PENALTIES)
_SIZE_SHARE = 0.1  # of squares beside squared differences in log T: the best on training flares
_SECOND_SHARE = 0.26  # of the slope of weights with T where it flares, as in Tikhonov's second step
_MISSED = 1.1  # of the target: beyond it a frame counts as not fitted, as in Tikhonov's method
_STEADY = 5e-3  # smaller changes alter L1 by less than 0.002
_CHUNKS = 16  # for each thread


@dataclass(frozen=True)
class Reference:
    """Emission measure found frame by frame, which sets the running level.

    Attributes
    ----------
    em : (pixel, time, bin) float64
        cm-5.
    tilt : (pixel, time) float64
        How far a pixel looks like a flare, 0 to 1 (``flare_share``).
    chi2 : (pixel, time) float64
        Mean over the channels. Where it is above its target no emission measure fits the frame
        (channels of several seconds, light scattered by saturated pixels): its errors are widened
        by the root of it (Birge 1932, Phys. Rev. 40, 207), and mu is found from the other frames,
        lest one bad frame makes all others over-fitted.
    """

    em: np.ndarray
    tilt: np.ndarray
    chi2: np.ndarray


@dataclass(frozen=True)
class CoherentSolution:
    """Emission measure of pixels at all times.

    Attributes
    ----------
    em, error : (pixel, time, bin) float64
        cm-5. Errors are one sigma of the Gaussian posterior on the bins that are not 0; of a bin
        that is 0, where chi2 with the penalties has grown by 1. NaN without data.
    chi2 : (pixel, time) float64
        Mean over the observed channels of the time.
    status : (pixel, time) uint8
        One of ``tools.emission_measure.status``. NOT_FITTED where no mu brings chi2 of all times
        near its target, and at single times whose chi2 chance passes once in 1000.
    model : (pixel, time, channel) float64
        DN s-1 pix-1.
    prior_share : (pixel, time) float64
        Share of the emission measure that temperature's and time's priors decided, not the data of
        that time: ``1 - sum_j x_j (V A'A)_jj / sum_j x_j``, V the posterior covariance, A response
        over sigma.
    mu, effective_data, log_evidence : (pixel,) float64
        Strength of the priors; trace of the influence matrix over the data that mu was
        found from; Laplace's approximation of the
        evidence on the bins that are not 0, without constants. NaN without data.
    n_data, total_chi2 : (pixel,) float64
        Number of data that mu was found from, and the sum of their chi2 (``Reference.chi2``).
    """

    em: np.ndarray
    error: np.ndarray
    chi2: np.ndarray
    status: np.ndarray
    model: np.ndarray
    prior_share: np.ndarray
    mu: np.ndarray
    effective_data: np.ndarray
    log_evidence: np.ndarray
    n_data: np.ndarray
    total_chi2: np.ndarray


def find_reference(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    edges: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    n_jobs: int = 1,
) -> Reference:
    """Return what Tikhonov's method finds frame by frame, for ``solve_coherent``.

    Parameters
    ----------
    dn, sigma : (pixel, time, channel) float
        DN s-1 pix-1.
    response : (channel, bin) float
        DN cm5 s-1 pix-1.
    edges : (bin + 1,) float
        log10 of K.
    left_out : (pixel, time, channel) bool, optional
    n_jobs : int
        Threads.

    Raises
    ------
    ValueError
        If shapes do not agree or the response is invalid.
    """
    dn, sigma = _of_three_axes(dn, "dn"), _of_three_axes(sigma, "sigma")
    found = invert(dn, sigma, response, edges, method="tikhonov", n_jobs=n_jobs, saturated=left_out)
    tilt = np.zeros(dn.shape[:2])
    if factors_for(response, edges, two_step=True) is not None:  # as there
        flat = -1, dn.shape[2]
        out = None if left_out is None else np.reshape(left_out, flat)
        share = flare_share(
            dn.reshape(flat), sigma.reshape(flat), response, edges, left_out=out, n_jobs=n_jobs
        )
        tilt = share.reshape(tilt.shape)
    return Reference(found.em, tilt, found.chi2)


def solve_coherent(
    dn: np.ndarray,
    sigma: np.ndarray,
    response: np.ndarray,
    edges: np.ndarray,
    *,
    seconds: np.ndarray,
    time_weight: float,
    time_penalty: str = TIME_PENALTIES[0],
    left_out: np.ndarray | None = None,
    reference: Reference | None = None,
    mu: np.ndarray | float | None = None,
    target_chi2: float = 1.0,
    with_evidence: bool = False,
    tolerance: float = _STEADY,
    n_jobs: int = 1,
) -> CoherentSolution:
    """Solve every pixel at all its times.

    Parameters
    ----------
    dn, sigma : (pixel, time, channel) float
        DN s-1 pix-1. A channel with NaN is missing; a time without any channel is left out, and
        the times beside it are tied across the gap.
    response : (channel, bin) float
        DN cm5 s-1 pix-1.
    edges : (bin + 1,) float
        log10 of K, evenly spaced.
    seconds : (time,) float
        Increasing.
    time_weight : float
        Of the ties in time, 0 or more (``choose_time_weight``).
    time_penalty : str
        One of ``TIME_PENALTIES``.
    left_out : (pixel, time, channel) bool, optional
        Channels that are missing, too: saturated ones.
    reference : Reference, optional
        Found if left out.
    mu : (pixel,) float or float, optional
        Strength of the priors, fixed; found for each pixel by chi2 if left out.
    target_chi2 : float
        Mean over the data of a pixel.
    with_evidence : bool
        Whether to compute ``log_evidence``, which is 0 otherwise.
    tolerance : float
        For ``total-variation``: change of an iteration, in units of the largest number, with which
        it ends.
    n_jobs : int
        Threads.

    Raises
    ------
    ValueError
        If shapes do not agree, times do not increase, or an option is out of its range.
    """
    dn, sigma = _of_three_axes(dn, "dn"), _of_three_axes(sigma, "sigma")
    seconds = np.asarray(seconds, float)
    n, n_times, m = dn.shape
    if seconds.shape != (n_times,) or not (np.diff(seconds) > 0).all():
        raise ValueError(
            f"expected {n_times} increasing times in seconds, got {seconds}; sort the frames"
        )
    if time_penalty not in PENALTIES:
        listed = ", ".join(PENALTIES)
        raise ValueError(f"expected a time_penalty of {listed}, got {time_penalty!r}; take one")
    fixed = np.broadcast_to(np.zeros(1) if mu is None else np.asarray(mu, float), (n,))
    is_allowed = 0 <= time_weight < np.inf and target_chi2 > 0 and np.isfinite(fixed).all()
    if not is_allowed or (mu is not None and not (fixed > 0).all()):
        raise ValueError(
            f"expected a time_weight of 0 or more, a positive target_chi2 and mu, got "
            f"{time_weight}, {target_chi2} and {mu}; leave mu out to have it found"
        )
    if reference is None:
        reference = find_reference(dn, sigma, response, edges, left_out=left_out, n_jobs=n_jobs)
    n_bins = response.shape[1]
    expected = (n, n_times, n_bins), (n, n_times), (n, n_times)
    if (reference.em.shape, reference.tilt.shape, reference.chi2.shape) != expected:
        raise ValueError(
            f"expected a reference of {expected[0]}, got {reference.em.shape}; make it of the same "
            "data by find_reference"
        )
    flags = np.empty((0, n_times, m), np.uint8)
    if left_out is not None:
        flags = np.ascontiguousarray(left_out, bool).view(np.uint8)
    centres = (edges[:-1] + edges[1:]) / 2
    usual_s = float(np.median(np.diff(seconds))) if n_times > 1 else 1.0
    excess = np.nan_to_num(reference.chi2, nan=1.0) / target_chi2
    wider = np.sqrt(np.where(excess > _MISSED, excess, 1.0))
    em, error = np.empty((n, n_times, n_bins)), np.empty((n, n_times, n_bins))
    model, chi2 = np.empty((n, n_times, m)), np.empty((n, n_times))
    status, prior_share = np.empty((n, n_times), np.uint8), np.empty((n, n_times))
    log_mu, effective, evidence, n_data, total = (np.empty(n) for _ in range(5))
    with limited_threads(n_jobs) as threads:
        solve_pixels(
            np.ascontiguousarray(dn, float),
            np.ascontiguousarray(sigma, float),
            flags,
            (
                np.ascontiguousarray(reference.em, float),
                np.ascontiguousarray(reference.tilt, float),
                wider,
                (seconds - seconds[0]) / usual_s,
                np.ascontiguousarray(fixed),
            ),
            (
                np.ascontiguousarray(response * UNIT_CM5),
                smoothness(n_bins),
                10.0 ** (_SECOND_SHARE * PRIOR_SLOPE * (centres - centres.mean())),
            ),
            Asked(
                PENALTIES[time_penalty],
                float(time_weight),
                float(target_chi2),
                bool(with_evidence),
                float(tolerance),
            ),
            (em, error, model, chi2, status, prior_share),
            (log_mu, effective, evidence, n_data, total),
            max(1, min(n, _CHUNKS * threads)),
        )
    return CoherentSolution(
        em,
        error,
        chi2,
        status,
        model,
        prior_share,
        np.exp(log_mu),
        effective,
        evidence,
        n_data,
        total,
    )


def smoothness(n_bins: int) -> np.ndarray:
    """Return M, (bin, bin): squared first differences and a tenth of the squares."""
    differences = np.diff(np.eye(n_bins), axis=0)
    return differences.T @ differences + _SIZE_SHARE * np.eye(n_bins)


def _of_three_axes(values: np.ndarray, name: str) -> np.ndarray:
    """Return float64 values; raise unless their axes are pixel, time and channel."""
    values = np.asarray(values, float)
    if values.ndim != 3:
        raise ValueError(
            f"expected {name} with the axes (pixel, time, channel), got the shape {values.shape}; "
            "reshape a map to pixels"
        )
    return values
