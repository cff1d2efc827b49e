"""The Voigt and Faraday-Voigt functions in keras.ops, as ``tools.physics.voigt``.

w(z) = H + iF with z = v + ia by the rational approximation of Hui, Armstrong & Wray (1978, JQSRT
19, 509), order 6, in real arithmetic: automatic derivatives are those of the rational function.
"""

from __future__ import annotations

from keras import ops

__all__ = ["voigt_faraday"]

# Hui, Armstrong & Wray (1978), table 1: numerator and denominator, highest power first
_NUMERATOR = (
    0.564189583562615,
    5.912626209773153,
    30.180142196210589,
    93.155580458138441,
    181.928533092181549,
    214.382388694706425,
    122.607931777104326,
)
_DENOMINATOR = (
    1.0,
    10.479857114260399,
    53.992906912940207,
    170.354001821091472,
    348.703917719495792,
    457.334478783897737,
    352.730625110963558,
    122.607931773875350,
)
# distances are held to it: the seventh power overflows in single precision from 3e5 on, and both
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
    x, y = damping, -ops.clip(distance, -_LARGEST, _LARGEST)
    p_real, p_imaginary = _polynomial(_NUMERATOR, x, y)
    q_real, q_imaginary = _polynomial(_DENOMINATOR, x, y)
    # divided before it is squared: |Q|^2 of single precision overflows from v = 500 on
    size = ops.abs(q_real) + ops.abs(q_imaginary)
    q_real, q_imaginary = q_real / size, q_imaginary / size
    over = 1.0 / (size * (ops.square(q_real) + ops.square(q_imaginary)))
    return (
        (p_real * q_real + p_imaginary * q_imaginary) * over,
        (p_imaginary * q_real - p_real * q_imaginary) * over,
    )


def _polynomial(coefficients: tuple[float, ...], x: object, y: object) -> tuple[object, object]:
    """Return real and imaginary part of a polynomial of x + iy by Horner's rule."""
    real, imaginary = coefficients[0] * x + coefficients[1], coefficients[0] * y
    for coefficient in coefficients[2:]:
        real, imaginary = (
            real * x - imaginary * y + coefficient,
            real * y + imaginary * x,
        )
    return real, imaginary
