"""Forward models in keras.ops against the compiled ones, on TensorFlow and on JAX.

The compiled ones are tested against algebra and scipy in software_tests/tools/physics; derivatives
here are automatic, there written by hand.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from network_models.physics import gaussian_line, milne_eddington, point_spread, weak_field
from network_models.physics.jacobian import values_and_jacobian
from network_models.physics.voigt import voigt_faraday
from software_tests.conftest import ROOT
from tools.physics import milne_eddington as compiled_atmosphere
from tools.physics import weak_field as compiled_field
from tools.physics.gaussian_kernel import gaussian_kernel
from tools.physics.point_spread import PointSpread
from tools.physics.voigt import voigt_lines

LINE = compiled_field.LINES["CaII8542"]
OFFSETS = np.array([-0.9, -0.7, -0.45, -0.2, -0.05, 0.1, 0.3, 0.55, 0.8])  # not equidistant
WAVELENGTH = LINE.wavelength0 + OFFSETS
AXIS = np.linspace(-1.2, 1.3, 23)
HINODE = compiled_atmosphere.hinode_wavelengths()


def generator():
    return np.random.default_rng(20261201)


def gaussians():
    one = [30.0, -0.4, 0.15, -5.0, 0.5, 0.3, 10.0, 1.5, -0.7]
    return np.array(one) * generator().uniform(0.8, 1.2, (7, 9))


def atmospheres():
    low = [50, 5, 0, -4, 18, 2, 0.02, 0.1, 0.2]
    high = [3500, 175, 180, 4, 50, 40, 0.9, 0.9, 1.0]
    return generator().uniform(low, high, (9, 9))


def intensities():
    depth = generator().uniform(0.4, 0.8, (5, 1))
    return 1 - depth / (1 + ((OFFSETS - 0.02) / 0.3) ** 2)


def fields():
    return generator().normal(size=(5, 3)) * [800.0, 1e6, 1e6]


def weak_model(kind):
    slope = weak_field.wavelength_derivative(intensities().astype(kind), WAVELENGTH)

    def model(parameters):
        b_los, b_q, b_u = (parameters[:, k] for k in range(3))
        v = weak_field.longitudinal_profile(b_los, slope, LINE)
        q, u = weak_field.transverse_profiles(b_q, b_u, slope, WAVELENGTH, LINE)
        return ops.stack([q, u, v], axis=1)

    return model


KERNEL = np.array([[0.1, 0.2, 0.05], [0.1, 1.0, 0.3], [0.0, 0.2, 0.1], [0.3, 0, 0], [0, 0, 0.2]])


def twins(kind):
    """Return values and automatic derivatives of all twins in one precision."""
    jacobians = {
        "gaussian": (
            lambda p: gaussian_line.gaussian_spectra(p, AXIS, n_components=2, continuum_terms=3),
            gaussians(),
        ),
        "weak": (weak_model(kind), fields()),
        "atmosphere": (lambda p: milne_eddington.synthesise(p, HINODE), atmospheres()),
    }
    found = {}
    for name, (model, parameters) in jacobians.items():
        values, by = values_and_jacobian(model)(parameters.astype(kind))
        found[name], found[f"{name} by"] = ops.convert_to_numpy(values), ops.convert_to_numpy(by)
    maps = generator().normal(size=(8, 6, 2)).astype(kind)
    found["spread"] = ops.convert_to_numpy(point_spread.spread(maps, KERNEL))
    # the derivative of <A x, z> by x is A^T z: (1, y x) parameters of one "pixel"
    _, by = values_and_jacobian(
        lambda p: ops.reshape(point_spread.spread(ops.reshape(p, (3, 2)), KERNEL), (1, 6))
    )(generator().normal(size=(1, 6)).astype(kind))
    found["spread by"] = ops.convert_to_numpy(by)[0]
    return found


def compiled():
    """Return what the compiled models and their written derivatives say."""
    found = {}
    theta = gaussians()
    values, by = np.empty((7, len(AXIS))), np.empty((7, 9, len(AXIS)))
    for k in range(7):
        gaussian_kernel(theta[k], AXIS, np.array([2.0, 3.0]), values[k], by[k])
    found["gaussian"], found["gaussian by"] = values, by
    slope = compiled_field.wavelength_derivative(intensities(), WAVELENGTH)
    b_los, b_q, b_u = fields().T
    v, v_by = compiled_field.longitudinal_profile(b_los, slope, LINE)
    q, u, by_square = compiled_field.transverse_profiles(b_q, b_u, slope, WAVELENGTH, LINE)
    found["weak"] = np.stack([q, u, v], axis=1)
    by = np.zeros((5, 3, 3, len(OFFSETS)))
    by[:, 0, 2], by[:, 1, 0], by[:, 2, 1] = v_by, by_square, by_square
    found["weak by"] = by
    found["atmosphere"], found["atmosphere by"] = compiled_atmosphere.synthesise_with_derivatives(
        atmospheres(), HINODE
    )
    psf = PointSpread(KERNEL)
    found["spread"] = psf.apply(generator().normal(size=(8, 6, 2)))
    # rows: A^T of unit maps, which are the columns of the derivatives (parameter, value)
    units = np.eye(6).reshape(3, 2, 6)
    found["spread by"] = psf.transpose(units).reshape(6, 6)
    return found


def require_equal(found, *, tolerance):
    """Raise unless values and each parameter's derivatives agree, relative to their largest."""
    expected = compiled()
    assert found.keys() == expected.keys()
    for name, own in expected.items():
        axes = tuple(range(2, own.ndim)) if name.endswith(" by") and own.ndim > 2 else None
        largest = np.abs(own).max(axis=axes, keepdims=True)
        away = np.abs(found[name] - own) / np.where(largest > 0, largest, 1)
        assert away.max() < tolerance, (name, away.max())


def test_double_precision_agrees():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has double precision where JAX_ENABLE_X64 is set: next test")
    # wavelengths over Doppler widths of 20 mA lose five digits, derivatives some more
    require_equal(twins("float64"), tolerance=1e-9)


def test_single_precision_agrees():
    # measured: 2e-7 of values, 7e-6 of derivatives by the azimuth, which is held to 180 degrees
    require_equal(twins("float32"), tolerance=3e-5)


_OTHER = """
import numpy as np
from software_tests.network_models.physics.test_twins import twins
np.savez(PATH, **{name.replace(" ", "_"): array for name, array in twins("float64").items()})
"""


def test_jax_agrees(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("runs JAX beside TensorFlow")
    path = tmp_path / "jax.npz"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
    code = _OTHER.replace("PATH", repr(str(path)))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    with np.load(path) as stored:
        found = {name.replace("_", " "): stored[name] for name in stored.files}
    assert all(array.dtype == np.float64 for array in found.values())
    # Keras takes sines and cosines in single precision on JAX: 1e-7
    require_equal(found, tolerance=1e-6)


def test_voigt_far_from_the_line_in_single_precision():
    a, v = np.float32([[0.0], [0.1], [2.0]]), np.float32([0.0, 1.0, 30.0, 500.0, 9e3])
    h, f, *_ = voigt_lines(a, v)
    # numerator and denominator are rounded once for each of their seven powers
    for found, own in zip(voigt_faraday(a, v), (h, f), strict=True):
        found = ops.convert_to_numpy(found)
        np.testing.assert_allclose(found[1:], own[1:], rtol=2e-3, atol=1e-7)
    assert np.isfinite(ops.convert_to_numpy(voigt_faraday(a, np.float32([1e30])))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_line.gaussian_spectra(np.ones((2, 3)), AXIS), "expected 4 parameters"),
        (lambda: milne_eddington.synthesise(np.ones((2, 8)), HINODE), "expected nine parameters"),
        (lambda: weak_field.wavelength_derivative(np.ones((2, 2)), [1, 2]), "three increasing"),
        (lambda: point_spread.spread(np.ones((4, 4)), np.ones((2, 3))), "odd sides"),
        (lambda: point_spread.spread(np.ones((2, 2)), np.ones((9, 9))), "cut the function"),
        (lambda: point_spread.spread(np.ones((4, 4)), np.zeros((3, 3))), "a sum above 0"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
