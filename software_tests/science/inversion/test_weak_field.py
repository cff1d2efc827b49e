"""The command of the weak-field approximation: known truths, masks, files, sentences."""

import dataclasses
import json

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.spectra.spectral_cube import SpectralCube
from science.inversion.synthetic_fields import field_with_edges, smooth_field, synthetic_cube
from science.inversion.weak_field import (
    WeakFieldConfig,
    invert_weak_field,
    main,
)
from tools.fitting.flags import FitFlag
from tools.physics.weak_field import LINES, estimated_noise

LINE = LINES["CaII8542"]


def cube_of(kind="smooth", size=64, sigma=2e-3, seed=3):
    return synthetic_cube(kind, LINE, size=size, sigma=sigma, seed=seed)


def inverted(cube, **options):
    return invert_weak_field(cube, WeakFieldConfig(**options))


def test_without_a_prior_errors_cover_the_truth():
    cube = cube_of()
    maps = inverted(cube, prior="none")
    away = (maps.values["B_los"] - cube.truth["B_los"]) / maps.errors["B_los"]
    # 4,096 pixels: 0.7 % a sigma; noise of I adds 1 % to the spread
    assert np.mean(np.abs(away) < 1) == pytest.approx(0.6827, abs=0.04)
    both = [(maps.values[n] - cube.truth[n]) / maps.errors[n] for n in ("B_Q", "B_U")]
    assert np.mean(np.abs(both) < np.array(1)) == pytest.approx(0.6827, abs=0.04)
    assert not maps.prior_share
    # chi2 of three fitted parameters to V (24 slopes) and the wings of Q and U
    assert np.median(maps.chi2) == pytest.approx(1, abs=0.1)


def test_the_prior_lowers_the_noise_and_says_how_much():
    cube = cube_of()
    rough, smooth = inverted(cube, prior="none"), inverted(cube)
    for name in ("B_los", "B_Q", "B_U", "B_transverse"):
        before, after = (np.std(m.values[name] - cube.truth[name]) for m in (rough, smooth))
        assert after < 0.6 * before
    away = smooth.values["B_los"] - cube.truth["B_los"]
    ratio = np.sqrt(np.mean(away**2) / np.mean(smooth.errors["B_los"] ** 2))
    # the truth is not drawn from the prior: errors are good to a third
    assert ratio == pytest.approx(1, abs=0.33)
    assert 0 < np.median(smooth.prior_share["B_los"]) < 1


@pytest.mark.parametrize("prior", ["laplacian", "total-variation"])
def test_masked_pixels_have_no_answer_and_spoil_no_other(prior):
    cube = cube_of("edges", size=48)
    values = cube.values.copy()
    values[5:15, 20:32] = np.nan
    values[30, 30, 0] = 1.0  # a constant intensity says nothing of the field
    values[40, 3, 0] *= -1  # no continuum
    broken = dataclasses.replace(cube, values=values)
    maps = inverted(broken, prior=prior)
    lost = np.zeros(cube.shape, bool)
    lost[5:15, 20:32] = lost[30, 30] = lost[40, 3] = True
    for array in (*maps.values.values(), *maps.errors.values()):
        np.testing.assert_array_equal(np.isfinite(array), ~lost)
    assert (maps.flags[5:15, 20:32] & FitFlag.NO_DATA).all()
    assert maps.flags[30, 30] & FitFlag.NO_DATA
    assert maps.flags[40, 3] & FitFlag.NEGATIVE_CONTINUUM
    assert not (maps.flags[~lost] & (FitFlag.NO_DATA | FitFlag.NEGATIVE_CONTINUUM)).any()
    whole = inverted(cube, prior=prior).values["B_los"]
    truth = cube.truth["B_los"]
    before, after = (
        np.sqrt(np.mean((m - truth)[~lost] ** 2)) for m in (whole, maps.values["B_los"])
    )
    assert after < 1.2 * before


def test_a_map_without_any_data():
    cube = cube_of(size=16)
    empty = dataclasses.replace(cube, values=np.full_like(cube.values, np.nan))
    for prior in ("laplacian", "total-variation", "none"):
        maps = inverted(empty, prior=prior)
        assert all(np.isnan(array).all() for array in maps.values.values())
        assert (maps.flags & FitFlag.NO_DATA).all()


def test_a_bad_model_is_flagged():
    cube = cube_of(size=24)
    values = cube.values.copy()
    values[3, 4, 3] += 0.05  # an offset of V is no Zeeman signal
    maps = inverted(dataclasses.replace(cube, values=values), prior="none")
    assert maps.flags[3, 4] & FitFlag.POOR_FIT
    assert np.mean((maps.flags & FitFlag.POOR_FIT) > 0) < 0.01


def test_noise_is_estimated_beside_the_line():
    cube = cube_of(kind="edges", sigma=1e-3)
    known = inverted(cube, prior="none")
    found = inverted(dataclasses.replace(cube, sigma=None), prior="none")
    for name in ("B_los", "B_Q", "B_U"):
        # 20,000 values; the fit takes a few per cent of the noise with it
        np.testing.assert_allclose(found.errors[name] / known.errors[name], 1, atol=0.05)
    with pytest.raises(ValueError, match="give the noise"):
        estimated_noise(np.zeros((4, 4, 9)), np.ones((4, 4, 9)), np.ones(9, bool))


def test_synthetic_fields_are_what_they_say():
    smooth, edges = (field((128, 128), seed=5) for field in (smooth_field, field_with_edges))
    assert smooth.std() == pytest.approx(300, rel=1e-6)
    # neighbours of a map filtered by 8 pixels differ by 300 / (8 sqrt 2) = 27 G rms, and by five
    # times that at most; an umbra's edge is a jump of hundreds
    assert np.abs(np.diff(smooth)).max() < 5 * 27
    assert np.abs(np.diff(edges)).max() > 300
    np.testing.assert_array_equal(edges, field_with_edges((128, 128), seed=5))
    assert not np.array_equal(edges, field_with_edges((128, 128), seed=6))


def test_the_command_on_the_synthetic_map(tmp_path, capsys):
    output = tmp_path / "maps"
    command = ["--size", "48", "--output", str(output), "--line", "MgI5173"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "rms from the truth" in text
    with fits.open(output / "maps.fits") as hdus:
        assert hdus["B_LOS"].header["BUNIT"] == "G"
        assert hdus["B_LOS"].header["SYNTHET"]
        assert hdus["B_LOS"].data.shape == (48, 48)
        names = {"B_Q", "B_U", "B_TRANSVERSE", "AZIMUTH", "B_LOS_ERROR", "B_LOS_PRIOR", "FLAGS"}
        assert names <= {hdu.name for hdu in hdus}
        assert 0 <= hdus["AZIMUTH"].data.min() <= hdus["AZIMUTH"].data.max() <= 180
    assert json.loads((output / "summary.json").read_text())["median_error"]["B_los"] > 0
    for name in ("field.png", "errors.png", "flags.png"):
        assert (output / name).stat().st_size > 5000
    assert main(command) == 0  # again: shown from what is there
    assert capsys.readouterr().out == text
    with pytest.raises(ValueError, match="noise was 0.0, is 0.01"):
        main([*command, "--noise", "0.01"])


@pytest.mark.parametrize("prior", ["none", "total-variation"])
def test_the_command_with_other_priors_and_without_q_and_u(tmp_path, monkeypatch, prior, capsys):
    from science.inversion import weak_field

    full = cube_of(size=24)
    cube = SpectralCube(full.values[:, :, [0, 3]], full.wavelength, stokes=("I", "V"))
    monkeypatch.setattr(weak_field, "_opened", lambda files, config: cube)
    assert main(["a_file.fits", "--prior", prior, "--output", str(tmp_path / "maps")]) == 0
    assert "azimuth" not in capsys.readouterr().out
    assert not (tmp_path / "maps" / "errors.png").exists() or prior == "none"


def test_what_is_rejected():
    with pytest.raises(ValueError, match="--wavelength0 and --lande together"):
        WeakFieldConfig(wavelength0=8542.0)
    with pytest.raises(ValueError, match="no closed form"):
        WeakFieldConfig(prior="total-variation", weight_by="evidence")
    with pytest.raises(ValueError, match="nanometres"):
        inverted(cube_of(size=16), wavelength0=854.2, lande=1.1)
    with pytest.raises(ValueError, match="got both"):
        main(["file.fits", "--synthetic"])
    cube = cube_of(size=16)
    nm = dataclasses.replace(cube, wavelength=cube.wavelength / 10)
    with pytest.raises(ValueError, match="--wavelength-unit nm"):
        inverted(nm)
    with pytest.raises(ValueError, match="expected Fe I 6302"):
        inverted(cube, line="FeI6302")
    only = SpectralCube(cube.values[:, :, :1], cube.wavelength)
    with pytest.raises(ValueError, match="expected I and V, got Stokes I"):
        inverted(only)
    with pytest.raises(SystemExit):
        main(["--outptu", "x"])
