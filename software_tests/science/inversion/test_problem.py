"""Inverse problems from exchangeable pieces: models, priors, penalties, telescopes."""

import ctypes
import dataclasses
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from science.inversion.forward_model import ForwardModel, OutsideModel, Parameter
from science.inversion.problem import InverseProblem, SmoothMaps, SoftPenalty, solve
from software_tests.conftest import ROOT
from tools.fitting.flags import FitFlag
from tools.physics.point_spread import gaussian_point_spread

AXIS = np.linspace(-2, 2, 21)
PARAMETERS = (
    Parameter("height", "DN", 5.0, is_positive=True),
    Parameter("centre", "km/s", 0.0, lower=-3, upper=3, scale=0.5),
    Parameter("width", "km/s", 0.6, is_positive=True, scale=0.3),
)


class Line(ForwardModel):
    """A Gaussian, in one method."""

    parameters = PARAMETERS

    def __call__(self, theta, axis):
        height, centre, width = theta.T[..., None]
        return height * np.exp(-0.5 * ((axis - centre) / width) ** 2)


class Straight(ForwardModel):
    """A straight line."""

    parameters = (Parameter("level", "", 0.0), Parameter("slope", "", 0.0))
    is_linear = True

    def __call__(self, theta, axis):
        return theta[:, :1] + theta[:, 1:] * axis


def maps_of_truth(generator, side=12):
    smooth = gaussian_filter(generator.normal(size=(side, side, 3)), (2, 2, 0), mode="nearest")
    return np.array([6.0, 0.2, 0.5]) + smooth / smooth.std(axis=(0, 1)) * [1.0, 0.3, 0.05]


def line_problem(generator, sigma=0.05, **options):
    truth = maps_of_truth(generator)
    data = Line()(truth.reshape(-1, 3), AXIS).reshape(12, 12, -1)
    return truth, InverseProblem(
        Line(), AXIS, data + sigma * generator.normal(size=data.shape), sigma, **options
    )


def away(maps, truth, name):
    return maps.values[name] - truth[..., [p.name for p in PARAMETERS].index(name)]


def test_a_straight_line_has_the_solution_of_least_squares(generator):
    data = generator.normal(size=(3, 4, 21))
    maps = solve(InverseProblem(Straight(), AXIS, data, 0.5))
    slope, level = np.polyfit(AXIS, data.reshape(-1, 21).T, 1)
    assert np.allclose(maps.values["slope"].ravel(), slope, atol=1e-9)
    assert np.allclose(maps.values["level"].ravel(), level, atol=1e-9)
    assert np.allclose(maps.errors["slope"], 0.5 / np.sqrt(np.sum(AXIS**2)))


def test_intervals_cover_the_truth(generator):
    inside = {p.name: [] for p in PARAMETERS}
    for sigma in (0.02, 0.05, 0.2):
        truth, problem = line_problem(generator, sigma)
        maps = solve(problem)
        for name, found in inside.items():
            found.append(np.abs(away(maps, truth, name)) < maps.errors[name])
    for found in inside.values():
        # 432 intervals of 68.3 %: a binomial error of 2.2 %
        assert np.mean(found) == pytest.approx(0.683, abs=0.067)


def test_fixed_tied_and_bounded_parameters(generator):
    truth, problem = line_problem(generator)
    fixed = solve(dataclasses.replace(problem, fixed={"width": 0.5}))
    assert np.allclose(fixed.values["width"], 0.5)
    assert "width" not in fixed.errors
    tied = solve(dataclasses.replace(problem, tied={"height": ("width", 12.0, 0.0)}))
    assert np.allclose(tied.values["height"], 12 * tied.values["width"])
    assert (solve(problem).values["height"] > 0).all()
    with pytest.raises(ValueError, match="both must be positive"):
        dataclasses.replace(problem, tied={"centre": ("width", 1.0, 0.0)})


def test_a_soft_penalty_pulls_where_it_is_broken(generator):
    truth, problem = line_problem(generator)
    penalty = SoftPenalty(lambda theta: theta[:, 1] - 0.2, 1e9)
    held, free = solve(dataclasses.replace(problem, penalties=[penalty])), solve(problem)
    broken = free.values["centre"] > 0.25
    assert broken.any()
    assert (held.values["centre"][broken] < 0.21).all()
    kept = free.values["centre"] < 0.15
    assert np.allclose(held.values["centre"][kept], free.values["centre"][kept], atol=1e-6)


def test_masked_pixels_have_a_flag_and_no_values(generator):
    _, problem = line_problem(generator)
    data = problem.data.copy()
    data[3, 4] = np.nan
    data[5, 5, :10] = np.nan
    for maps in (
        solve(dataclasses.replace(problem, data=data)),
        solve(dataclasses.replace(problem, data=data, priors=[SmoothMaps(weight=1.0)])),
    ):
        assert maps.flags[3, 4] == FitFlag.NO_DATA
        assert np.isnan(maps.values["height"][3, 4])
        assert np.isfinite(maps.values["height"][5, 5])
        assert np.isnan(maps.values["height"]).sum() == 1


@pytest.mark.parametrize("criterion", ["evidence", "risk"])
def test_a_prior_whose_weight_the_data_choose_is_better_than_none(generator, criterion):
    truth, problem = line_problem(generator, sigma=1.0)
    alone = solve(problem)
    smooth = solve(dataclasses.replace(problem, priors=[SmoothMaps(power=2, criterion=criterion)]))
    for name in ("height", "centre"):
        own, others = (np.sqrt(np.mean(away(m, truth, name) ** 2)) for m in (smooth, alone))
        assert own < 0.7 * others
    assert 0 < smooth.prior_share["centre"].mean() < 1


def test_a_telescope_is_undone(generator):
    truth, problem = line_problem(generator, sigma=0.01)
    spread = gaussian_point_spread(2.0, 1.0)
    clean = Line()(truth.reshape(-1, 3), AXIS).reshape(12, 12, -1)
    data = spread.apply(clean) + 0.01 * generator.normal(size=clean.shape)
    blurred = dataclasses.replace(problem, data=data)
    alone = solve(blurred)
    undone = solve(
        dataclasses.replace(blurred, point_spread=spread, priors=[SmoothMaps(weight=1.0)])
    )
    for name in ("height", "centre"):
        own, others = (np.sqrt(np.mean(away(m, truth, name) ** 2)) for m in (undone, alone))
        assert own < 0.6 * others


@pytest.mark.parametrize("solver", ["gauss-newton", "l-bfgs", "adam"])
def test_other_solvers_come_to_the_same_place(generator, solver):
    _, problem = line_problem(generator)
    cut = dataclasses.replace(problem, data=problem.data[:4, :4])
    expected, maps = solve(cut), solve(cut, solver=solver)
    # Adam ends where its rate has fallen to nothing
    for name, values in expected.values.items():
        assert np.allclose(maps.values[name], values, atol=0.1 * expected.errors[name].max())


C_SOURCE = """
#include <math.h>
void line(const double *t, const double *x, double *y, int n, int k) {
  for (int i = 0; i < n; i++) for (int j = 0; j < k; j++) {
    double u = (x[j] - t[3*i+1]) / t[3*i+2];
    y[i*k+j] = t[3*i] * exp(-0.5*u*u); } }
void pull(const double *t, const double *x, const double *c, double *g, int n, int k) {
  for (int i = 0; i < n; i++) { g[3*i] = g[3*i+1] = g[3*i+2] = 0;
    for (int j = 0; j < k; j++) {
      double u = (x[j] - t[3*i+1]) / t[3*i+2], e = exp(-0.5*u*u);
      g[3*i] += c[i*k+j] * e;
      g[3*i+1] += c[i*k+j] * t[3*i] * e * u / t[3*i+2];
      g[3*i+2] += c[i*k+j] * t[3*i] * e * u * u / t[3*i+2]; } } }
"""


def test_a_model_compiled_from_c(generator, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is here")
    (tmp_path / "line.c").write_text(C_SOURCE)
    library = tmp_path / "line.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "line.c")]
    subprocess.run([*command, "-lm"], check=True)
    code = ctypes.CDLL(str(library))

    def call(name, *arrays, shape):
        out = np.empty(shape)
        held = [np.ascontiguousarray(a, float) for a in (*arrays, out)]
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in held]
        getattr(code, name)(*pointers, ctypes.c_int(len(arrays[0])), ctypes.c_int(len(arrays[1])))
        return held[-1]

    model = OutsideModel(
        PARAMETERS,
        lambda theta, axis: call("line", theta, axis, shape=(len(theta), len(axis))),
        lambda theta, axis, c: call("pull", theta, axis, c, shape=theta.shape),
    )
    _, problem = line_problem(generator)
    expected, maps = solve(problem), solve(dataclasses.replace(problem, model=model))
    for name, values in expected.values.items():
        assert np.allclose(maps.values[name], values, rtol=1e-6)
        assert np.allclose(maps.errors[name], expected.errors[name], rtol=1e-4)


KERAS_CODE = """
import numpy as np
from keras import ops
from science.inversion.keras_model import KerasModel
from software_tests.science.inversion.test_problem import AXIS, PARAMETERS, Line

class KerasLine(KerasModel):
    parameters = PARAMETERS
    def synthesise(self, theta, axis):
        height, centre, width = theta[:, :1], theta[:, 1:2], theta[:, 2:]
        return height * ops.exp(-0.5 * ((axis - centre) / width) ** 2)

theta = np.random.default_rng(0).uniform(0.3, 2, (50, 3))
own, other = KerasLine().derivatives(theta, AXIS), Line().derivatives(theta, AXIS)
assert own[0].dtype == np.float64, own[0].dtype
for a, b in zip(own, other):
    assert np.allclose(a, b, rtol=1e-6, atol=1e-8), np.abs(a - b).max()
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_model_written_in_keras_ops(backend):
    environment = dict(os.environ, KERAS_BACKEND=backend)
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    if backend == "jax":
        environment["JAX_ENABLE_X64"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", KERAS_CODE], env=environment, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_model_in_the_docs_is_short_and_runs():
    text = (ROOT / "docs" / "inversions.md").read_text()
    block = text.split("```python\n# a forward model", 1)[1].split("```")[0]
    assert len(block.strip().splitlines()) <= 20
    namespace = {}
    exec(compile("# a forward model" + block, "docs/inversions.md", "exec"), namespace)
    assert np.isfinite(namespace["maps"].values["temperature"]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": np.ones((2, 2, 5))}, "expected data"),
        ({"priors": [SmoothMaps(names=("hight",))]}, "hight"),
        ({"priors": [SmoothMaps(power=1), SmoothMaps(power=2)]}, "one power"),
        ({"fixed": {"depth": 1.0}}, "no parameter 'depth'"),
    ],
)
def test_pieces_that_do_not_fit(generator, options, said):
    _, problem = line_problem(generator)
    with pytest.raises(ValueError, match=said):
        solve(dataclasses.replace(problem, **options))


def test_unknown_solvers_and_parameters(generator):
    _, problem = line_problem(generator)
    with pytest.raises(ValueError, match="no solver 'newton'"):
        solve(problem, solver="newton")
    with pytest.raises(ValueError, match="fits pixels alone"):
        solve(dataclasses.replace(problem, priors=[SmoothMaps()]), solver="levenberg-marquardt")
    with pytest.raises(ValueError, match="lower < upper"):
        Parameter("b", lower=2.0, upper=1.0)
