"""Gaussians on a polynomial continuum in keras.ops, as ``tools.physics.gaussian_kernel``."""

from __future__ import annotations

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

__all__ = ["gaussian_spectra"]


def gaussian_spectra(
    parameters: object, wavelength: np.ndarray, *, n_components: int = 1, continuum_terms: int = 1
) -> object:
    """Return spectra of Gaussians on a continuum, of the dtype of the parameters.

    I(l) = sum_c a_c exp(-(l - l_c)^2 / (2 w_c^2)) + sum_t b_t l^t.

    Parameters
    ----------
    parameters : (..., 3 n_components + continuum_terms) tensor
        Amplitude, centre and width (standard deviation) of each component, then the continuum's
        terms, as ``tools.physics.gaussian_line.gaussian_names`` names them.
    wavelength : (wavelength,) float
        Counted from the continuum's reference, as the centres are: in single precision an
        absolute wavelength would lose the line.
    n_components, continuum_terms : int
        1 or more Gaussians; 0 to 3 terms.

    Returns
    -------
    (..., wavelength) tensor
        In the unit of the amplitudes.

    Raises
    ------
    ValueError
        If the number of parameters does not fit.
    """
    parameters = ops.convert_to_tensor(parameters)
    expected = 3 * n_components + continuum_terms
    if n_components < 1 or not 0 <= continuum_terms <= 3 or parameters.shape[-1] != expected:
        raise ValueError(
            f"expected {expected} parameters for {n_components} Gaussians (1 or more) and "
            f"{continuum_terms} terms of the continuum (0 to 3), got {parameters.shape[-1]}; "
            "set n_components and continuum_terms as the parameters are"
        )
    height, centre, width = (
        ops.expand_dims(parameters[..., k : 3 * n_components : 3], -1) for k in range(3)
    )
    axis = ops.convert_to_tensor(np.asarray(wavelength, standardize_dtype(parameters.dtype)))
    distance = ops.subtract(axis, centre) / width  # JAX arrays refuse symbolic tensors
    spectra = ops.sum(height * ops.exp(-0.5 * ops.square(distance)), axis=-2)
    power = None
    for term in range(continuum_terms):
        power = ops.ones_like(axis) if power is None else ops.multiply(power, axis)
        spectra = spectra + parameters[..., 3 * n_components + term, None] * power
    return spectra
