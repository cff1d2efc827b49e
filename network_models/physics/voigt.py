"""The Voigt and Faraday-Voigt functions in keras.ops, as ``tools.physics.voigt``.

w(z) = H + iF with z = v + ia by the expansion of Weideman (1994, SIAM J. Numer. Anal. 31, 1497)
with 16 terms, in real arithmetic: automatic derivatives are those of the expansion.
"""

from __future__ import annotations

from keras import ops

from tools.physics.voigt import WEIDEMAN_LENGTH, WEIDEMAN_TERMS

__all__ = ["voigt_faraday"]

_ROOT = 0.5641895835477563  # 1 / sqrt(pi)
# distances are held to it: their squares overflow in single precision from 1e19 on, and both
# functions are far below any noise there
_LARGEST = 1e4


def voigt_faraday(damping: object, distance: object) -> tuple[object, object]:
    """Return H(a, v) and F(a, v) of tensors that broadcast, without unit.

    Parameters
    ----------
    damping : tensor
        a, over the Doppler width, 0 or more.
    distance : tensor
        v, from the line's centre over the Doppler width.
    """
    x, y = damping + WEIDEMAN_LENGTH, ops.clip(distance, -_LARGEST, _LARGEST)
    over = 1.0 / (ops.square(x) + ops.square(y))
    q_real, q_imaginary = x * over, y * over  # 1 / (L - iz)
    z_real, z_imaginary = 2 * WEIDEMAN_LENGTH * q_real - 1.0, 2 * WEIDEMAN_LENGTH * q_imaginary
    real = WEIDEMAN_TERMS[0] * z_real + WEIDEMAN_TERMS[1]
    imaginary = WEIDEMAN_TERMS[0] * z_imaginary
    for term in WEIDEMAN_TERMS[2:]:
        real, imaginary = (
            real * z_real - imaginary * z_imaginary + term,
            real * z_imaginary + imaginary * z_real,
        )
    sum_real = _ROOT + 2 * (real * q_real - imaginary * q_imaginary)
    sum_imaginary = 2 * (real * q_imaginary + imaginary * q_real)
    return (
        sum_real * q_real - sum_imaginary * q_imaginary,
        sum_real * q_imaginary + sum_imaginary * q_real,
    )
