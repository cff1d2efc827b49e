"""The packaged start network: smaller errors than moments, units, other grids, refused shapes."""

import json
import subprocess
import sys

import numpy as np
import pytest

from network_models.milne_eddington_start.atmosphere_draws import (
    LARGEST,
    QUANTITIES,
    SMALLEST,
    atmospheres_of,
    draw_pixels,
    quantities_of,
)
from network_models.milne_eddington_start.evaluation import moments_of
from network_models.milne_eddington_start.start import (
    PACKAGED,
    network_answers,
    network_starts,
    why_not_covered,
)
from software_tests.conftest import ROOT
from tools.physics.milne_eddington import hinode_wavelengths, synthesise
from tools.physics.milne_eddington_fit import fit_atmospheres

GRID = hinode_wavelengths()
# a sunspot's penumbra, a plage, the quiet Sun: chosen here, inside the prior
TRUTH = np.array(
    [
        [1500.0, 60.0, 30.0, 1.0, 30.0, 12.0, 0.3, 0.3, 0.7],
        [1100.0, 150.0, 120.0, -0.5, 35.0, 8.0, 0.4, 0.25, 0.75],
        [300.0, 40.0, 80.0, 0.5, 28.0, 15.0, 0.2, 0.2, 0.8],
    ]
)


@pytest.fixture(scope="module")
def pixels():
    """Return draws of a seed that no training has: streams of a training have names."""
    return draw_pixels(400, np.random.default_rng(20261))


@pytest.fixture(scope="module")
def profiles():
    """Return profiles of the three atmospheres, noise 1e-3 of the continuum."""
    noise = np.random.default_rng(5).normal(0, 1e-3, (3, 4, 112))
    return synthesise(TRUTH, GRID) + noise


def test_the_network_is_nearer_than_moments(pixels):
    starts = network_starts(GRID, pixels.stokes, pixels.sigma[:, None, None])
    truth = quantities_of(pixels.parameters)
    ours = np.median(np.abs(quantities_of(starts) - truth), axis=0)
    theirs = np.median(np.abs(quantities_of(moments_of(pixels.stokes)) - truth), axis=0)
    assert (ours < 0.5 * theirs).all()


def test_fits_from_the_network_need_fewer_steps(pixels):
    sigma = pixels.sigma[:, None, None]
    starts = network_starts(GRID, pixels.stokes, sigma)
    ours = fit_atmospheres(GRID, pixels.stokes, sigma, first=starts, n_starts=1)
    theirs = fit_atmospheres(GRID, pixels.stokes, sigma, n_starts=1)
    assert (ours.chi2 < 1.5).mean() >= max((theirs.chi2 < 1.5).mean(), 0.99)
    assert ours.n_steps.mean() < 0.6 * theirs.n_steps.mean()


def test_numpy_answers_as_keras_does(pixels):
    from network_models.files.safe_loading import load_network

    network = load_network(PACKAGED / "network.keras")
    expected = network.predict_on_batch({"stokes": np.swapaxes(pixels.stokes, 1, 2)})
    scale = np.array([scale for _, scale in QUANTITIES.values()])
    spread = np.maximum(np.abs(expected).max(axis=0), scale)
    # float32 sums of up to 448 terms in another order
    assert (np.abs(network_answers(pixels.stokes) - expected) / spread).max() < 1e-5


def test_starts_need_no_keras():
    code = (
        "import sys, numpy as np\n"
        "from network_models.milne_eddington_start.start import network_starts\n"
        "from tools.physics.milne_eddington import hinode_wavelengths\n"
        "assert network_starts(hinode_wavelengths(), np.ones((2, 4, 112)), 1e-3).shape == (2, 9)\n"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_starts_are_in_the_units_of_parameters(profiles):
    starts = network_starts(GRID, profiles, 1e-3)
    # several times the median errors of the report; eta0 and damping are nearly degenerate
    near = np.array([150.0, 8.0, 8.0, 0.15, 5.0, 6.0, 0.25, 0.08, 0.08])
    assert (np.abs(starts - TRUTH) < near).all()


def test_the_source_function_has_the_unit_of_the_profiles(profiles):
    once, counts = network_starts(GRID, profiles, 1e-3), network_starts(GRID, 7e3 * profiles, 7.0)
    np.testing.assert_allclose(counts[:, 7:], 7e3 * once[:, 7:], rtol=1e-4)
    np.testing.assert_allclose(counts[:, :7], once[:, :7], rtol=1e-3, atol=1e-2)
    fit = fit_atmospheres(GRID, 7e3 * profiles, 7.0, first=counts, n_starts=1)
    assert (fit.chi2 < 1.3).all()


def test_starts_of_a_map_are_one_row_a_pixel(profiles):
    cube = profiles[None, :, None]
    np.testing.assert_array_equal(
        network_starts(GRID, cube, 1e-3), network_starts(GRID, profiles, 1e-3)
    )


def test_starts_lie_where_a_fit_can_leave():
    wild = np.random.default_rng(0).normal(0, 30, (500, 10))
    starts = atmospheres_of(wild)
    assert (starts >= SMALLEST).all()
    assert (starts <= LARGEST).all()
    assert (atmospheres_of(np.zeros((1, 10)))[:, 0] > 0).all()


def test_quantities_are_folded_back():
    draws = draw_pixels(200, np.random.default_rng(3)).parameters
    inside = ((draws >= SMALLEST) & (draws <= LARGEST)).all(axis=1)
    assert inside.sum() > 100
    again = atmospheres_of(quantities_of(draws[inside]))
    np.testing.assert_allclose(again, draws[inside], rtol=1e-6, atol=1e-6)


def test_a_negative_field_is_its_mirror_image():
    mirrored = TRUTH.copy()
    mirrored[:, 0], mirrored[:, 1] = -TRUTH[:, 0], 180 - TRUTH[:, 1]
    along = quantities_of(TRUTH)[:, 1]
    np.testing.assert_allclose(quantities_of(mirrored)[:, 1], along)


def test_a_finer_grid_is_interpolated(profiles):
    fine = np.linspace(6300.8, 6303.4, 260)
    noise = np.random.default_rng(6).normal(0, 1e-3, (3, 4, 260))
    starts = network_starts(fine, synthesise(TRUTH, fine) + noise, 1e-3)
    here = network_starts(GRID, profiles, 1e-3)
    # another noise, and cores that linear interpolation makes shallower by 0.3 %
    assert (np.abs(starts[:, [0, 3]] - here[:, [0, 3]]) < [120.0, 0.12]).all()


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (GRID[:70], "needs 6300.892 to 6303.267 angstrom"),
        (GRID[::3], "steps of at most 0.045 angstrom"),
        (GRID[::-1], "must increase"),
    ],
)
def test_a_grid_that_does_not_do_is_said_in_a_sentence(grid, message, caplog):
    assert message in why_not_covered(grid)
    stokes = np.ones((2, 4, len(grid)))
    assert network_starts(grid, stokes, 1e-3) is None
    assert message in caplog.text


def test_missing_values_leave_the_start_to_moments(profiles):
    gaps, dark = profiles.copy(), profiles.copy()
    gaps[1, 2, 50], dark[2] = np.nan, -1.0
    starts = network_starts(GRID, gaps, 1e-3)
    assert np.isnan(starts).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(network_starts(GRID, dark, 1e-3)).all(axis=1).tolist() == [False, False, True]
    fit = fit_atmospheres(GRID, gaps, 1e-3, first=starts)
    assert (fit.chi2 < 1.5).all()


@pytest.mark.parametrize("shape", [(3, 112, 4), (4, 111), (112,)])
def test_bad_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected stokes \(\.\.\., 4, 112\)"):
        network_starts(GRID, np.ones(shape), 1e-3)


def test_a_folder_without_layers_is_refused(tmp_path, profiles):
    with pytest.raises(FileNotFoundError, match=r"package\.py RUN"):
        network_starts(GRID, profiles, 1e-3, folder=tmp_path)


def test_what_is_packaged_is_small_and_says_where_it_is_from():
    files = sorted(p.name for p in PACKAGED.iterdir())
    assert files == ["config.json", "layers.npz", "network.keras"]
    assert sum(p.stat().st_size for p in PACKAGED.iterdir()) < 2_000_000
    config = json.loads((PACKAGED / "config.json").read_text())
    assert config["packaged"] is True
    assert "synthetic" in config["data"]["source"]
    assert list(config["targets"]) == list(QUANTITIES)
