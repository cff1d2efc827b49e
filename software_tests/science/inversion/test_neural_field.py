"""Neural fields: layers, training through the twins, resuming, the command and its images."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from astropy.io import fits

from network_models import neural_field
from network_models.files.safe_loading import load_network
from network_models.layers.fourier import ConstrainedValues, FourierFeatures
from network_models.neural_field import (
    FieldData,
    FieldSettings,
    FieldValue,
    evaluate_field,
    fit_field,
    grid_places,
)
from science.inversion.image_cube import image_noise, read_image_cube
from science.inversion.neural_field import NeuralFieldConfig, magnified_coordinates, main
from software_tests.conftest import ROOT

SMALL = FieldSettings(
    waves=24, width=16, blocks=1, bandwidths=(0.03,), steps=300, batch_pixels=256, patience=6
)


def wavy(places):
    return 3 + 2 * np.sin(places[:, 0] / 5) * np.cos(places[:, 1] / 7)


def wavy_data(sigma=0.1, shape=(24, 20), seed=1):
    places = grid_places(shape)
    noise = sigma * np.random.default_rng(seed).normal(size=len(places))
    values = (wavy(places) + noise)[:, None].astype(np.float32)
    weight = np.full_like(values, sigma**-2)
    return FieldData(places, values, weight, np.zeros((len(places), 1), np.float32))


def fitted(data, settings=SMALL, **options):
    return fit_field([FieldValue("depth", 2.0, 3.0)], lambda p, _: p, data, settings, **options)


def test_features_are_waves_of_the_bandwidth():
    layer = FourierFeatures(4000, [0.5, 0.0, 2.0], seed=3)
    step = 1e-3
    found = np.asarray(layer(np.float32(np.vstack([np.zeros(3), step * np.eye(3)]))))
    np.testing.assert_array_equal(found[0, :4000], 1)
    np.testing.assert_array_equal(found[0, 4000:], 0)
    # sin(2 pi k step) / step is 2 pi k; 4,000 waves have their spread to 1.1 %
    waves = found[1:, 4000:] / step / (2 * np.pi)
    np.testing.assert_allclose(waves.std(axis=1), [0.5, 0.0, 2.0], rtol=0.05)
    other = FourierFeatures(4000, [0.5, 0.0, 2.0], seed=4)
    assert not np.allclose(found[1:], np.asarray(other(np.float32(step * np.eye(3)))))


def test_constraints_hold_for_any_number():
    layer = ConstrainedValues(
        ["free", "exponential", "softplus", "bounded"], [1, 2, 3, 90], [2, 3, 4, 90]
    )
    at = np.float32([[0] * 4, [-30] * 4, [30] * 4])
    # by hand: exp(0) = 1, ln 2, tanh(0) = 0
    np.testing.assert_allclose(
        np.asarray(layer(at)),
        [[1, 5, 3 + 4 * np.log(2), 90], [-59, 2, 3, 0], [61, 2 + 3 * np.exp(30), 123, 180]],
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_field_is_saved_and_loaded(tmp_path):
    place = keras.Input((3,))
    x = keras.layers.Dense(2)(FourierFeatures(8, [0.1, 0.1, 0.3], seed=5)(place))
    network = keras.Model(place, ConstrainedValues(["free", "softplus"], [0, 1], [2, 3])(x))
    network.save(tmp_path / "field.keras")
    at = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)
    again = load_network(tmp_path / "field.keras")
    np.testing.assert_array_equal(np.asarray(network(at)), np.asarray(again(at)))


def test_a_smooth_map_is_found_below_its_noise_and_between_pixels():
    data = wavy_data()
    field = fitted(data)
    away = evaluate_field(field.network, data.places)[:, 0] - wavy(data.places)
    assert np.sqrt(np.mean(away**2)) < 0.06  # noise is 0.1
    fine = grid_places((24, 20), magnify=3)
    assert fine.shape == (72 * 60, 2)
    away = evaluate_field(field.network, fine)[:, 0] - wavy(fine)
    assert np.sqrt(np.mean(away**2)) < 0.06
    # pixels divided in three have a place in the middle: the pixel's own
    middle = fine.reshape(24, 3, 20, 3, 2)[:, 1, :, 1].reshape(-1, 2)
    np.testing.assert_allclose(middle, data.places, atol=1e-5)
    assert field.held_out_chi2 == pytest.approx(1, abs=0.6)  # of 24 pixels


def test_held_out_pixels_choose_the_bandwidth():
    settings = FieldSettings(**{**SMALL.__dict__, "bandwidths": (0.03, 3.0), "steps": 100})
    field = fitted(wavy_data(), settings)
    # waves of a third of a pixel say nothing of the pixel beside
    assert field.bandwidth == 0.03
    assert field.tried[3.0] > 5 * field.tried[0.03]


def test_a_killed_training_is_resumed_to_the_same_weights(tmp_path, monkeypatch):
    data = wavy_data()
    settings = FieldSettings(**{**SMALL.__dict__, "steps": 40, "check_every": 10})
    whole = fitted(data, settings)
    write, n_written = neural_field.write_arrays, []

    def killed(path, arrays):
        write(path, arrays)
        n_written.append(path)
        if len(n_written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(neural_field, "write_arrays", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(data, settings, state=tmp_path / "state")
    resumed = fitted(data, settings, state=tmp_path / "state")
    assert len(n_written) == 4
    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        # threads add up in another order
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="remove the file"):
        fitted(data, FieldSettings(**{**SMALL.__dict__, "blocks": 0}), state=tmp_path / "state")


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="bandwidth of 0 or more"):
        FourierFeatures(4, [-1.0])
    with pytest.raises(ValueError, match="places with 2 axes"):
        FourierFeatures(4, [1.0, 1.0])(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="expected transforms of free"):
        ConstrainedValues(["cube"], [0], [1])
    with pytest.raises(ValueError, match="a scale above 0"):
        ConstrainedValues(["free"], [0], [0])
    with pytest.raises(ValueError, match="one bandwidth or more"):
        FieldSettings(bandwidths=())
    data = wavy_data()
    with pytest.raises(ValueError, match="of the same pixels"):
        FieldData(data.places, data.values[1:], data.weight[1:], data.auxiliary)


def test_coordinates_of_divided_pixels():
    cards = {"CRPIX1": 3.0, "CDELT1": 0.6, "CRPIX2": 0.5, "CDELT2": 0.3, "CRVAL1": 7.0}
    fine = magnified_coordinates(cards, 3)
    # the middle of pixel 3 is that of pixel 8 of thirds; the map's edge (0.5) stays its edge
    assert fine == pytest.approx(
        {"CRPIX1": 8.0, "CDELT1": 0.2, "CRPIX2": 0.5, "CDELT2": 0.1, "CRVAL1": 7.0}
    )
    assert magnified_coordinates(cards, 1) == cards


def test_the_command_on_the_synthetic_map(tmp_path, capsys):
    output = tmp_path / "maps"
    command = ["--smoke", "--magnify", "2", "--output", str(output)]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "B_los" in text
    assert "rms from the truth" in text
    with fits.open(output / "maps.fits") as hdus:
        assert hdus["B_LOS"].data.shape == hdus["FLAGS"].data.shape == (48, 48)
        assert hdus["B_LOS"].header["CDELT1"] == pytest.approx(0.15)  # pixels of 0.3 arcsec
        assert 0 <= hdus["AZIMUTH"].data.min() <= hdus["AZIMUTH"].data.max() <= 180
        b_los = hdus["B_LOS"].data
    network = load_network(output / "longitudinal.keras")
    again = evaluate_field(network, grid_places((24, 24), magnify=2))[:, 0]
    np.testing.assert_allclose(again.reshape(48, 48), b_los, rtol=1e-5, atol=1e-3)
    assert json.loads((output / "fields.json").read_text())["transverse"]["weights"] > 100
    assert (output / "field.png").stat().st_size > 5000
    assert main(command) == 0  # shown from what is there
    assert capsys.readouterr().out == text
    with pytest.raises(ValueError, match="magnify was 2, is 3"):
        main([*command, "--magnify", "3"])


def test_the_command_on_an_image_with_a_gap(tmp_path, capsys):
    y, x = np.mgrid[:30, :26]
    image = 50 + 20 * np.sin(x / 6) * np.cos(y / 5)
    image += np.random.default_rng(3).normal(size=image.shape)
    image[4:7, 8:12] = np.nan
    file = tmp_path / "image.fits"
    hdu = fits.PrimaryHDU(image)
    hdu.header.update({"BUNIT": "DN", "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"})
    hdu.header.update({"CUNIT1": "arcsec", "CUNIT2": "arcsec", "CDELT1": 0.6, "CDELT2": 0.6})
    hdu.header.update({"CRPIX1": 13.5, "CRPIX2": 15.5, "CRVAL1": 0.0, "CRVAL2": 0.0})
    hdu.writeto(file)
    assert image_noise(image) == pytest.approx(1, rel=0.15)  # 700 differences, not independent
    output = tmp_path / "maps"
    assert main(["--smoke", "--is-positive", "--image", str(file), "--output", str(output)]) == 0
    assert "no usable data" in capsys.readouterr().out
    with fits.open(output / "maps.fits") as hdus:
        assert hdus["IMAGE"].header["BUNIT"] == "DN"
        found = hdus["IMAGE"].data
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(image))
    assert np.nanmin(found) >= 0
    assert (output / "field.png").stat().st_size > 5000


def test_bad_images_are_sentences(tmp_path):
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_image_cube(tmp_path / "absent.fits")
    np.save(tmp_path / "cube.npy", np.zeros((5, 5, 5)))
    with pytest.raises(ValueError, match="select one plane"):
        read_image_cube(tmp_path / "cube.npy")
    np.save(tmp_path / "flat.npy", np.zeros((5, 5)))
    with pytest.raises(ValueError, match="give the noise"):
        read_image_cube(tmp_path / "flat.npy")
    assert read_image_cube(tmp_path / "flat.npy", noise=2.0).sigma.item() == 2
    (tmp_path / "text.npy").write_text("text")
    with pytest.raises(ValueError, match="can't be read as .npy"):
        read_image_cube(tmp_path / "text.npy")
    with pytest.raises(ValueError, match="got both"):
        main(["some.fits", "--image", "other.fits"])
    with pytest.raises(ValueError, match="above 0"):
        NeuralFieldConfig(held_out=0.0)


_OTHER = """
import numpy as np
from software_tests.science.inversion.test_neural_field import SMALL, evaluate_field, fitted
from software_tests.science.inversion.test_neural_field import wavy, wavy_data
data = wavy_data()
away = evaluate_field(fitted(data).network, data.places)[:, 0] - wavy(data.places)
assert np.sqrt(np.mean(away**2)) < 0.06, np.sqrt(np.mean(away**2))
"""


def test_jax_trains_a_field_as_well():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("runs JAX beside TensorFlow")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", _OTHER], check=True, cwd=ROOT, env=environment)
