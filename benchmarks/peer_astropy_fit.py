"""Gaussian fits of many spectra by astropy, as its documentation shows: ``parallel_fit_dask``.

One start serves all spectra: astropy 8.0.2 fails on every spectrum if a sum of models has a start
for each ("evaluate() takes 4 positional arguments but 5 were given").
"""

from __future__ import annotations

import warnings

import numpy as np
from astropy.modeling.fitting import LMLSQFitter, parallel_fit_dask
from astropy.modeling.models import Const1D, Gaussian1D
from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["fit_with_astropy"]


def fit_with_astropy(
    wavelength: np.ndarray, data: np.ndarray, sigma: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Return amplitude, centre, width and level of each spectrum, (spectrum, 4) float64.

    Parameters
    ----------
    wavelength : (wavelength,) float64
    data, sigma : (spectrum, wavelength) float64
    start : (4,) float64
        NaN is returned where a fit fails.
    """
    model = Gaussian1D(*(float(value) for value in start[:3])) + Const1D(float(start[3]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # one for each fit that fails
        fit = parallel_fit_dask(
            model=model,
            fitter=LMLSQFitter(),  # its fastest: TRFLSQFitter takes twice as long
            data=data,
            weights=1 / sigma,
            world=(wavelength,),
            fitting_axes=1,
            scheduler="single-threaded",
        )
    parts = (fit.amplitude_0, fit.mean_0, fit.stddev_0, fit.amplitude_1)
    out = np.stack([np.asarray(part, float).ravel() for part in parts], axis=1)
    out[:, 2] = np.abs(out[:, 2])
    return out
