import json

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.gaussian_fit import main
from science.inversion.gaussian_maps import invert_lines, prepare_lines
from science.inversion.gaussian_plan import GaussianPlan
from science.inversion.regularised_lines import fit_lines_with_prior
from science.inversion.synthetic_line_map import SI_IV_1394, synthetic_line_map
from tools.fitting.flags import FitFlag
from tools.fitting.levenberg_marquardt import GAUSSIAN, couple_parameters
from tools.physics.line_moments import LIGHT_SPEED_KM_S


def maps_of(cube, **options):
    plan = GaussianPlan(jobs=2, **options)
    prepared = prepare_lines(cube, plan)
    return invert_lines(prepared.cube, plan, prepared)


def rms(maps, truth, name, where=...):
    return float(np.sqrt(np.nanmean((maps.values[name] - truth[name])[where] ** 2)))


def test_the_synthetic_map_is_what_its_truth_says():
    cube = synthetic_line_map(32, seed=3, brightness=400.0)  # little noise
    maps = maps_of(cube, rest=(SI_IV_1394,))
    # 5000 DN: the velocity is known to about 18 km/s / sqrt(2e4 photons x 8 values)
    assert rms(maps, cube.truth, "velocity") < 0.2
    assert rms(maps, cube.truth, "doppler_width") < 0.3
    assert np.nanmedian(np.abs(maps.values["amplitude"] / cube.truth["amplitude"] - 1)) < 0.01
    assert maps.units["velocity"] == "km/s"
    # a zero from the median of the field moves all velocities alike
    shifted = maps_of(cube)
    away = shifted.values["velocity"] - maps.values["velocity"]
    assert np.nanstd(away) < 1e-3
    assert abs(np.nanmedian(shifted.values["velocity"])) < 0.5


@pytest.mark.parametrize("prior", ["gradient", "laplacian"])
def test_a_prior_and_a_smallest_width_help_weak_lines(prior):
    # weights come from the evidence, never from the truth
    cube = synthetic_line_map(48, seed=1)
    alone = maps_of(cube)
    smooth = maps_of(cube, prior=prior, minimum_width=0.03)
    answered = np.isfinite(alone.values["velocity"])
    assert answered.mean() > 0.85
    for name, factor in {"amplitude": 1.15, "velocity": 2.0, "width": 2.0}.items():
        # on the pixels that answer without a prior, which leave out the worst
        gain = rms(alone, cube.truth, name, answered) / rms(smooth, cube.truth, name, answered)
        assert gain > factor, (name, gain)
        # medians: not by outliers alone
        here = np.nanmedian(np.abs(smooth.values[name] - cube.truth[name])[answered])
        there = np.nanmedian(np.abs(alone.values[name] - cube.truth[name])[answered])
        assert there / here > 1.1, name
    assert smooth.values["width"].min() >= 0.03
    assert np.isfinite(smooth.values["velocity"]).all()


def test_errors_with_a_prior_cover_and_its_share_falls_with_brightness():
    cube = synthetic_line_map(48, seed=2)
    maps = maps_of(cube, prior="gradient", rest=(SI_IV_1394,))
    for name in ("amplitude", "velocity", "width"):
        away = np.abs(maps.values[name] - cube.truth[name])
        # maps are no draw from the prior (sharp loops); neighbours are correlated
        assert np.mean(away < maps.errors[name]) == pytest.approx(0.68, abs=0.08), name
    share = maps.prior_share["width"]
    assert share.min() >= 0
    assert share.max() <= 1
    bright = cube.truth["amplitude"] > np.percentile(cube.truth["amplitude"], 80)
    faint = cube.truth["amplitude"] < np.percentile(cube.truth["amplitude"], 20)
    assert np.median(share[faint]) > 2 * np.median(share[bright])
    decided = (maps.flags & FitFlag.PRIOR_DECIDED) != 0
    assert decided[faint].mean() > decided[bright].mean()


def test_a_prior_bridges_pixels_without_data_but_gives_no_answer_there():
    cube = synthetic_line_map(24, seed=4)
    cube.values[10:13, 10:13] = np.nan
    cube.values[5, 5, 0, 30] = np.nan
    maps = maps_of(cube, prior="gradient")
    assert (maps.flags[10:13, 10:13] & FitFlag.NO_DATA).all()
    assert np.isnan(maps.values["velocity"][10:13, 10:13]).all()
    rest = np.ones((24, 24), bool)
    rest[10:13, 10:13] = False
    assert np.isfinite(maps.values["velocity"][rest]).all()


def test_with_a_weak_prior_the_fit_is_the_pixels_own():
    cube = synthetic_line_map(16, seed=5, brightness=400.0)
    maps = maps_of(cube, rest=(SI_IV_1394,))
    axis = cube.wavelength - cube.wavelength.mean()
    data, sigma = cube.values[:, :, 0], cube.sigma[:, :, 0]
    centre = SI_IV_1394 * (1 + maps.values["velocity"] / LIGHT_SPEED_KM_S)
    best = np.stack(
        [
            maps.values["amplitude"],
            centre - cube.wavelength.mean(),
            maps.values["width"],
            maps.values["continuum"],
        ],
        axis=-1,
    )
    names = ("amplitude", "centre", "width", "continuum")
    fit = fit_lines_with_prior(
        axis,
        data,
        1 / sigma**2,
        best,
        n_components=1,
        continuum_terms=1,
        coupling=couple_parameters(names),
        lower=np.array([0, -1, 0.01, -np.inf]),
        upper=np.array([np.inf, 1, 1, np.inf]),
        sign=1.0,
        noise=GAUSSIAN,
    )
    # data of so little noise outweigh any prior: within the pixels' own errors
    off = np.abs(fit.values - best)[..., 1] * LIGHT_SPEED_KM_S / SI_IV_1394
    assert np.median(off / maps.errors["velocity"]) < 1


def test_absorption_ties_and_saturated_pixels():
    generator = np.random.default_rng(7)
    wavelength = 6301.5 + np.arange(-30, 31) * 0.02
    velocity = generator.uniform(-2, 2, (12, 10))
    x = wavelength - (6301.5 * (1 + velocity / LIGHT_SPEED_KM_S))[..., None]
    values = (
        1 - 0.6 * np.exp(-0.5 * (x / 0.05) ** 2) - 0.1 * np.exp(-0.5 * ((x - 0.25) / 0.05) ** 2)
    )
    values = values + 0.003 * generator.standard_normal(values.shape)
    saturated = np.zeros((12, 10), bool)
    saturated[3, 4] = True
    cube = SpectralCube(values[:, :, None], wavelength, unit="continuum", saturated=saturated)
    maps = maps_of(
        cube,
        components=2,
        line=(6301.5, 6301.75),
        rest=(6301.5, 6301.75),
        tie=("width_2=width_1", "centre_2=centre_1+0.25"),
    )
    # 0.003 over a depth of 0.6 and a width of 2.4 km/s: 0.01 km/s
    assert np.abs(maps.values["velocity_1"] - velocity).max() < 0.05
    assert (maps.values["width_1"] == maps.values["width_2"]).all()
    assert maps.flags[3, 4] == FitFlag.SATURATED
    # without errors of the data chi2 counts in the field's typical residual
    assert np.median(maps.chi2) == pytest.approx(1.0, abs=0.05)


def test_the_command_writes_maps_figures_and_resumes(tmp_path, capsys):
    folder = tmp_path / "fit"
    command = ["--size", "24", "--output", str(folder), "--jobs", "2"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "velocity against the truth" in text
    assert "positive away from the observer" in text
    with fits.open(folder / "maps.fits") as hdus:
        names = [hdu.name for hdu in hdus[1:]]
        assert names[:3] == ["AMPLITUDE", "VELOCITY", "WIDTH"]
        assert "VELOCITY_ERROR" in names
        assert hdus["VELOCITY"].header["BUNIT"] == "km/s"
        assert hdus["VELOCITY"].header["SYNTHET"] is True
        assert hdus["VELOCITY"].header["RESTWAV1"] == pytest.approx(SI_IV_1394, abs=0.02)
        first = hdus["VELOCITY"].data.copy()
    assert json.loads((folder / "summary.json").read_text())["flags"]["solved"] > 0.8
    for name in ("maps", "errors", "flags"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
    assert main(command) == 0  # a finished block is not fitted again
    with fits.open(folder / "maps.fits") as hdus:
        np.testing.assert_array_equal(hdus["VELOCITY"].data, first)
    with pytest.raises(ValueError, match="options"):
        main([*command, "--seed", "5"])


def test_a_line_in_emission_in_the_core_of_one_in_absorption():
    generator = np.random.default_rng(11)
    wavelength = np.linspace(8540.9, 8543.3, 40)
    shift = generator.uniform(-0.05, 0.05, (10, 12))
    height = generator.uniform(0.3, 0.6, (10, 12))

    def part(depth, centre, width):
        return depth * np.exp(-0.5 * ((wavelength - np.asarray(centre)[..., None]) / width) ** 2)

    values = 1 - part(0.6, np.full((10, 12), 8542.1), 0.35)
    values = values + height[..., None] * part(1.0, 8542.1 + shift, 0.12)
    values = values + 0.005 * generator.standard_normal(values.shape)
    cube = SpectralCube(values[:, :, None], wavelength, unit="continuum")
    maps = maps_of(
        cube,
        components=2,
        bound=("amplitude_2=0:inf",),
        profile="absorption",
        range=(8540.0, 8544.0),
        rest=(8542.1, 8542.1),
        starts=4,
    )
    found = maps.values["velocity_2"] / LIGHT_SPEED_KM_S * 8542.1
    # 0.005 over a height of 0.3 and a width of 0.12 angstrom: 0.003
    assert np.mean(np.abs(found - shift) < 0.02) > 0.95
    assert np.mean(np.abs(maps.values["amplitude_2"] - height) < 0.1) > 0.95


class TestRealSpectra:
    """Bounds are those of the Sun and of other analyses (benchmarks/real_lines.py)."""

    @staticmethod
    def measured(name, shared):
        from benchmarks.real_lines import OBSERVATIONS

        return OBSERVATIONS[name](shared)

    def test_granulation_and_evershed_flow(self, shared):
        found = self.measured("hinode_sot", shared)
        # granulation in lines of the middle photosphere
        assert 0.5 < found["granulation rms km/s"] < 1.5
        # an outflow: away from us on the limb side, towards us on that of the disc centre
        assert 0.1 < found["penumbra, limb side km/s"] < 2
        assert -2 < found["penumbra, disc centre side km/s"] < -0.1

    def test_two_cameras_see_the_same_chromosphere(self, shared):
        found = self.measured("fiss", shared)
        assert found["r at (9, -2)"] > 0.5
        # the offset of their continua, within a pixel
        assert np.abs(np.subtract(found["at"], (9, -2))).max() <= 1
        assert 0.5 < found["H alpha rms km/s"] < 2
        assert 0.5 < found["Ca II 8542 rms km/s"] < 2

    def test_ca_8542_follows_the_published_velocities(self, shared):
        found = self.measured("ibis", shared)["bright cores (class 4)"]
        assert found["pixels"] > 300
        # a Gaussian pair beside their Voigt pair, where both lines are well seen
        assert found["r"] > 0.5
        assert abs(found["offset km/s"]) < 0.5

    def test_8_bits_cost_less_than_granulation(self, shared):
        found = self.measured("hinode_sp", shared)
        assert 0.3 < found["velocity rms km/s"] < 1.5
        assert found["rounding: velocity rms km/s"] < 0.1 * found["velocity rms km/s"]

    def test_a_raster_of_unresolved_lines_abstains(self, shared):
        for found in self.measured("iris", shared).values():
            assert found["unresolved of these"] > 0.85
            assert found["claimed and unflagged"] < 0.1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bound": ("width=0.1",)}, "not of the form"),
        ({"line": (1393.7, 1402.8)}, "one wavelength for each component"),
        ({"range": (1394.0, 1393.0)}, "lowest and the highest"),
        ({"tie": ("width_2~width_1",)}, "not of the form"),
        ({"tie": ("width_2=width_1",)}, "no parameter 'width_2'"),
        ({"fix": ("width",)}, "not of the form"),
        ({"prior": "smooth"}, "--prior is one of"),
        ({"components": 0}, "--components must be"),
    ],
)
def test_options_that_cannot_be(options, text):
    with pytest.raises(ValueError, match=text):
        GaussianPlan(**options)


def test_ties_are_read_as_they_are_written():
    plan = GaussianPlan(
        components=2,
        tie=("centre_2=centre_1-1.5", "amplitude_2=0.5*amplitude_1"),
        fix=("slope=0",),
        continuum_terms=2,
    )
    assert plan.ties == {
        "centre_2": ("centre_1", 1.0, -1.5),
        "amplitude_2": ("amplitude_1", 0.5, 0.0),
    }
    assert plan.fixed == {"slope": 0.0}
