"""The command of Milne-Eddington inversions: known truth, checks of the data, files, resuming."""

import dataclasses
import json
import sys
import types

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from science.inversion.atmosphere_maps import (
    continuum_noise,
    invert_atmospheres,
    prepare_stokes,
)
from science.inversion.atmosphere_plan import AtmospherePlan
from science.inversion.milne_eddington import main
from science.inversion.synthetic_atmospheres import synthetic_active_region
from tools.fitting.flags import FitFlag
from tools.physics.milne_eddington import PARAMETERS, synthesise
from tools.physics.point_spread import gaussian_point_spread


@pytest.fixture(scope="module")
def cube():
    return synthetic_active_region((20, 24), seed=3)


def inverted(cube, **options):
    plan = AtmospherePlan(**options)
    return invert_atmospheres(prepare_stokes(cube, plan), plan)


def changed(cube, **parts):
    return dataclasses.replace(cube, **parts)


def test_the_map_is_what_its_truth_says(cube):
    theta = np.stack([cube.truth[name] for name in PARAMETERS], axis=-1)
    clean = synthesise(theta, cube.wavelength)
    away = (cube.values - clean) / 1e-3
    # 215,040 values: one sigma of the deviation is 0.15 %
    assert np.std(away) == pytest.approx(1, abs=0.008)
    field = cube.truth["field_strength"]
    along = cube.truth["line_of_sight_field"]
    assert field.max() > 2500
    assert np.median(field) < 1000
    assert along.max() > 1500  # the spot points to us
    np.testing.assert_allclose(along, field * np.cos(np.radians(cube.truth["inclination"])))
    assert cube.is_synthetic
    scale = WCS(fits.Header(cube.wcs)).proj_plane_pixel_scales()
    assert scale[0].to_value("arcsec") == pytest.approx(0.16)


def test_the_map_follows_its_seed_and_the_point_spread_function(cube):
    again = synthetic_active_region((20, 24), seed=3)
    np.testing.assert_array_equal(again.values, cube.values)
    other = synthetic_active_region((20, 24), seed=4)
    assert not np.allclose(other.truth["velocity"], cube.truth["velocity"])
    spread = gaussian_point_spread(0.32, 0.16)
    blurred = synthetic_active_region((20, 24), seed=3, point_spread=spread)
    np.testing.assert_array_equal(blurred.truth["velocity"], cube.truth["velocity"])
    # the same noise lies on both
    theta = np.stack([cube.truth[name] for name in PARAMETERS], axis=-1)
    clean = synthesise(theta, cube.wavelength)
    expected = spread.apply(clean.reshape(20, 24, -1)).reshape(clean.shape) - clean
    np.testing.assert_allclose(blurred.values - cube.values, expected, atol=1e-12)
    for bad in ({"size": 4}, {"noise": 0.0}):
        with pytest.raises(ValueError, match="expected a"):
            synthetic_active_region(**{"size": 16, **bad})


def test_granules_rise_where_they_are_bright():
    truth = synthetic_active_region(64, seed=1).truth
    level = truth["source_constant"] + truth["source_gradient"]
    quiet = truth["field_strength"] < 300
    assert np.corrcoef(level[quiet], truth["velocity"][quiet])[0, 1] < -0.5
    # umbra, penumbra and quiet Sun
    spot = truth["field_strength"] > 2300
    assert level[spot].mean() < 0.5 < 0.9 < level[quiet].mean()


def test_recovers_the_truth(cube):
    maps = inverted(cube)
    assert set(maps.values) == {*PARAMETERS, "line_of_sight_field"} == set(maps.errors)
    assert maps.units["line_of_sight_field"] == "G"
    assert np.mean(maps.chi2 < 1.5) > 0.98
    solved = maps.flags == 0
    assert solved.mean() > 0.5
    for name in ("line_of_sight_field", "velocity", "doppler_width", "eta0"):
        away = np.abs(maps.values[name] - cube.truth[name])[solved]
        # of some 300 pixels a share scatters by 2.7 %
        inside = np.mean(away < maps.errors[name][solved])
        assert inside == pytest.approx(0.68, abs=0.1), name
    # an angle of which nothing is known scatters by 180 / sqrt(12) degrees
    assert maps.errors["azimuth"].max() <= 52


def test_another_order_of_the_stokes_axis_is_put_right(cube):
    order = (3, 0, 2, 1)
    turned = changed(cube, values=cube.values[:, :, order], stokes=("V", "I", "U", "Q"))
    prepared = prepare_stokes(turned, AtmospherePlan())
    np.testing.assert_array_equal(prepared.values, cube.values)
    with_sigma = changed(turned, sigma=np.arange(1.0, 5.0)[:, None] * 1e-3)
    np.testing.assert_array_equal(
        prepare_stokes(with_sigma, AtmospherePlan()).sigma[:, 0], [0.002, 0.004, 0.003, 0.001]
    )


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (lambda c: {"values": c.values[:, :, :1], "stokes": ("I",)}, {}, "Q, U, V missing"),
        (
            lambda c: {"values": c.values[:, :, [0, 3]], "stokes": ("I", "V")},
            {},
            "expected Stokes I, Q, U and V, got I, V: Q, U missing",
        ),
        (lambda c: {"values": c.values[:, :, [3, 1, 2, 0]]}, {}, "I to be the largest"),
        (lambda c: {"wavelength": c.wavelength / 10}, {}, "--wavelength-unit nm"),
        (lambda c: {"wavelength": c.wavelength - 1200}, {}, "got wavelengths of 5100.892"),
        (lambda c: {}, {"range": (6302.0, 6303.2)}, "6301.5 .* in the spectra"),
        (lambda c: {}, {"noise": 50.0}, "got 50 from --noise"),
        (lambda c: {"values": 2e8 * c.values}, {"noise": 1e-3}, "in the unit of the data"),
        (
            lambda c: {"sigma": None},
            {"range": (6302.2, 6302.8), "line": ("6302",)},
            "too few; give it with --noise",
        ),
    ],
)
def test_unfit_data_are_rejected_with_a_sentence(cube, change, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        prepare_stokes(changed(cube, **change(cube)), AtmospherePlan(**options))


def test_suspicious_data_are_reported(cube, caplog):
    caplog.set_level("WARNING")
    prepare_stokes(cube, AtmospherePlan())
    assert not caplog.records
    prepare_stokes(changed(cube, values=cube.values[:, :, [0, 3, 2, 1]]), AtmospherePlan())
    assert "V is even about the centre" in caplog.text
    caplog.clear()
    values = cube.values.copy()
    values[:, :, 0] *= 1e6
    prepare_stokes(changed(cube, values=values, sigma=None), AtmospherePlan(noise=1.0))
    assert "divided by the continuum where I is not" in caplog.text


def test_bad_pixels_have_flags_and_the_others_their_answer(cube):
    values, saturated = cube.values.copy(), np.zeros(cube.shape, bool)
    values[0, :5] = np.nan
    values[1, 3] *= -1
    values[2, 4, :, 30:34] = np.nan
    saturated[2, 4] = True
    maps = inverted(changed(cube, values=values, saturated=saturated))
    assert (maps.flags[0, :5] == FitFlag.NO_DATA).all()
    assert maps.flags[1, 3] == FitFlag.NEGATIVE_CONTINUUM
    assert maps.flags[2, 4] & FitFlag.SATURATED
    lost = np.zeros(cube.shape, bool)
    lost[0, :5] = lost[1, 3] = True
    for array in (*maps.values.values(), *maps.errors.values(), maps.chi2):
        np.testing.assert_array_equal(np.isfinite(array), ~lost)
    whole = inverted(cube)
    same = ~lost
    same[2, 4] = False
    # further starts are drawn in the order of the pixels: only where the first one was enough
    away = np.abs(maps.values["velocity"] - whole.values["velocity"])[same]
    assert np.mean(away < 1e-6) > 0.9


def test_a_map_without_a_value_is_flagged(cube, caplog):
    maps = inverted(changed(cube, values=np.full_like(cube.values, np.nan)))
    assert (maps.flags == FitFlag.NO_DATA).all()
    assert "no pixel of the map has a finite value" in caplog.text
    dark = inverted(changed(cube, values=-np.abs(cube.values)))
    assert (dark.flags == FitFlag.NEGATIVE_CONTINUUM).all()
    assert "nowhere positive" in caplog.text


def test_noise_is_estimated_beside_the_lines(cube, caplog):
    caplog.set_level("INFO")
    lines = AtmospherePlan().lines
    # about 20 wavelengths of three profiles in 480 pixels: 0.7 % a sigma; wings bend a little
    assert continuum_noise(cube, lines) == pytest.approx(1e-3, rel=0.03)
    counts = changed(cube, values=3e4 * cube.values, sigma=None, unit="DN")
    prepared = prepare_stokes(counts, AtmospherePlan())
    assert float(np.median(prepared.sigma)) == pytest.approx(30, rel=0.03)
    assert "estimated from the continuum of Q, U and V" in caplog.text
    maps = invert_atmospheres(prepared, AtmospherePlan())
    assert maps.units["source_gradient"] == "DN"
    assert np.median(maps.values["source_gradient"]) > 1e4
    assert np.median(maps.chi2) == pytest.approx(1, abs=0.08)
    assert prepare_stokes(counts, AtmospherePlan(noise=45.0)).header["NOISEFRO"] == "--noise"


def test_fixed_and_tied_parameters(cube):
    options = {"fix": ("damping=0.3",), "tie": ("source_gradient=-1*source_constant+1",)}
    maps = inverted(cube, **options)
    np.testing.assert_array_equal(maps.values["damping"], 0.3)
    assert "damping" not in maps.errors
    np.testing.assert_allclose(maps.errors["source_gradient"], maps.errors["source_constant"])
    none = inverted(cube, fix=("field_strength=0", "inclination=0", "azimuth=0"))
    assert "line_of_sight_field" not in none.errors
    np.testing.assert_array_equal(none.values["line_of_sight_field"], 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"line": ("6301", "spot.fits")}, "files stand before options"),
        ({"line": ("6301", "6301")}, "twice"),
        ({"line": ()}, "got none"),
        ({"range": (6303.0,)}, "lowest and the highest"),
        ({"fix": ("field=3",)}, "got 'field'; there are field_strength"),
        ({"fix": ("damping",)}, "not of the form damping=0.3"),
        ({"fix": ("doppler_width=-3",)}, "outside 8 to 150"),
        ({"tie": ("eta0+3",)}, "not of the form"),
        ({"tie": ("eta0=damping",), "fix": ("eta0=3",)}, "both --fix and --tie"),
    ],
)
def test_wrong_options_are_rejected(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        AtmospherePlan(**options)


def test_starts_of_a_network_are_used_or_their_lack_reported(cube, caplog, monkeypatch):
    plan = AtmospherePlan(start="network", starts=1)
    small = prepare_stokes(changed(cube.rows(slice(4))), plan)
    theta = np.stack([small.truth[name] for name in PARAMETERS], axis=-1)
    module = types.ModuleType("network_models.milne_eddington_start.start")
    module.network_starts = lambda wavelength, stokes, sigma: theta
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert np.mean(invert_atmospheres(small, plan).chi2 < 1.3) > 0.98

    def fail(wavelength, stokes, sigma):
        raise FileNotFoundError("no weights")

    module.network_starts = fail
    maps = invert_atmospheres(small, plan)
    assert "the network gives no starts (no weights): moments" in caplog.text
    assert np.isfinite(maps.values["velocity"]).all()


def test_the_command_writes_maps_figures_and_resumes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("science.inversion.milne_eddington._PIXELS", 16 * 6)  # three blocks
    folder = tmp_path / "fit"
    command = ["--size", "16", "--jobs", "2", "--output", str(folder)]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "16 x 16 pixels, 112 wavelengths" in text
    assert "line_of_sight_field against the truth: median error" in text
    assert len(list(folder.glob("rows_*.npz"))) == 3
    with fits.open(folder / "maps.fits") as hdus:
        names = [hdu.name for hdu in hdus[1:]]
        assert names[:10] == [*(name.upper() for name in PARAMETERS), "LINE_OF_SIGHT_FIELD"]
        assert names[-2:] == ["CHI2", "FLAGS"]
        header = hdus["LINE_OF_SIGHT_FIELD"].header
        assert (header["BUNIT"], header["SYNTHET"]) == ("G", True)
        assert (header["CTYPE1"], header["CDELT1"]) == ("HPLN-TAN", 0.16)
        assert header["NOISE"] == pytest.approx(1e-3)
        first = hdus["VELOCITY"].data.copy()
    assert json.loads((folder / "summary.json").read_text())["flags"]["solved"] > 0.5
    for name in ("field", "line", "source_function", "errors", "flags"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
    # after a stop only the missing block is inverted
    (folder / "rows_00006.npz").unlink()
    calls = []
    from science.inversion import atmosphere_maps

    monkeypatch.setattr(
        atmosphere_maps,
        "invert_atmospheres",
        lambda part, plan, original=atmosphere_maps.invert_atmospheres: (
            calls.append(part.shape) or original(part, plan)
        ),
    )
    assert main(command) == 0
    assert calls == [(6, 16)]
    with fits.open(folder / "maps.fits") as hdus:
        np.testing.assert_array_equal(hdus["VELOCITY"].data, first)
    with pytest.raises(ValueError, match="options"):
        main([*command, "--seed", "5"])


def test_files_are_inverted_in_the_order_that_is_given(tmp_path, capsys, cube):
    name = tmp_path / "profiles.npz"
    np.savez(name, values=cube.values[:6, :8, [0, 3, 1, 2]], wavelength=cube.wavelength / 10)
    command = [str(name), "--stokes", "IVQU", "--wavelength-unit", "nm"]
    assert main([*command, "--output", str(tmp_path / "maps")]) == 0
    assert "6 x 8 pixels" in capsys.readouterr().out
    with fits.open(tmp_path / "maps" / "maps.fits") as hdus:
        found = hdus["LINE_OF_SIGHT_FIELD"].data
    away = found - cube.truth["line_of_sight_field"][:6, :8]
    assert np.median(np.abs(away)) < 6
    with pytest.raises(FileNotFoundError, match=r"nothing\.fits"):
        main([str(tmp_path / "nothing.fits"), "--output", str(tmp_path / "none")])


def test_a_cube_of_one_line(cube):
    maps = inverted(cube, line=("6302",), range=(6302.0, 6303.2))
    away = np.abs(maps.values["line_of_sight_field"] - cube.truth["line_of_sight_field"])
    # half the wavelengths and the line of the larger factor: the error is below twice that of both
    assert np.median(away) < 5
