"""The packaged networks as an inversion: units, status, known plasma, the network of images."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from network_models.dem_regression import inversion, package, train
from network_models.dem_regression.inversion import PACKAGED_NETWORKS, invert_with_network
from network_models.files.safe_loading import load_network
from network_models.training.callbacks import RunRecorder
from science.saliency import saliency
from tools.emission_measure.families import FINE_LOG_T, LOG_T_EDGES, profile
from tools.emission_measure.noise import aia_noise
from tools.emission_measure.response import RESPONSE_CHANNELS, aia_response, bin_response
from tools.emission_measure.simulated_maps import simulated_map
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNLIKE_TRAINING

VERSION = "v10_evenorm_chiantifix"
CENTRES = (LOG_T_EDGES[:-1] + LOG_T_EDGES[1:]) / 2


def single_temperatures(log_t, log_em=27.0):
    """Return brightness and error of plasma of single temperatures, without noise drawn."""
    fine = profile("isothermal", np.array(log_t), np.full(len(log_t), 0.01))
    rate = 10**log_em * fine @ aia_response(FINE_LOG_T, version=VERSION).T
    return rate, aia_noise(rate, RESPONSE_CHANNELS, pixels_averaged=64)


def test_both_sizes_are_packaged():
    assert set(PACKAGED_NETWORKS) == {"fast", "accurate"}


@pytest.mark.parametrize("size", PACKAGED_NETWORKS)
def test_plasma_of_ten_million_kelvin_is_found_there(size):
    rate, sigma = single_temperatures([7.0])
    found = invert_with_network(rate, sigma, size=size)
    mean = (found.em * CENTRES).sum() / found.em.sum()
    assert mean == pytest.approx(7.0, abs=0.05 if size == "accurate" else 0.1)
    assert found.em.sum() == pytest.approx(1e27, rel=0.2)  # cm-5, neither per K nor per dex


@pytest.mark.parametrize("size", PACKAGED_NETWORKS)
def test_a_map_is_near_the_truth_and_its_intervals_hold_it(size):
    given = simulated_map("log-normal", 48, 64, seed=77, version=VERSION)
    found = invert_with_network(given.dn, given.sigma, size=size)
    assert (found.em > 0).all()
    assert (found.extra["low"] >= 0).all()
    assert (found.extra["low"] <= found.em).all()
    assert (found.extra["high"] >= found.em).all()
    model = found.em @ bin_response(LOG_T_EDGES, version=VERSION).T
    np.testing.assert_allclose(found.model, model, rtol=1e-3)
    l1 = np.abs(found.em - given.em).sum(axis=1) / given.em.sum(axis=1)
    assert np.median(l1) < 0.3  # DeepEM's is .49 on such maps, basis pursuit's .2
    inside = (given.em >= found.extra["low"]) & (given.em <= found.extra["high"])
    assert inside.mean() > 0.55
    assert (found.status == OK).mean() > 0.95


def test_every_pixel_has_an_answer_or_a_status():
    rate, sigma = single_temperatures([6.0, 6.2, 6.4, 6.6, 6.1, 6.0, 6.6, 6.3])
    rate[0, 2] = np.nan  # one channel is missing
    rate[1, 1:4] = np.nan  # three are
    rate[2] = np.nan
    rate[3] *= -1  # nothing is positive
    rate[4, 0] *= -1  # an odd number of negative channels
    rate[5] *= [1, 1, 100, 1, 1, 1]  # no plasma looks like this
    saturated = np.zeros(rate.shape, bool)
    saturated[6:, 3] = True
    found = invert_with_network(rate, sigma, saturated=saturated)
    assert np.isfinite(found.em).all()
    assert (found.em[[0, 1, 3, 4, 5, 6, 7]] > 0).all()
    assert found.status[2] == NO_DATA
    assert (found.em[2] == 0).all()
    assert np.isnan(found.chi2[2])
    assert found.status[1] == UNLIKE_TRAINING
    assert found.status[3] == NO_SIGNAL
    assert found.status[5] in (UNLIKE_TRAINING, NOT_FITTED)
    # without 193 A plasma of one temperature at log T 6.3 is found, but fitted badly
    for p, log_t, statuses in ((0, 6.0, [OK]), (6, 6.6, [OK]), (7, 6.3, [OK, NOT_FITTED])):
        assert found.status[p] in statuses
        assert (found.em[p] * CENTRES).sum() / found.em[p].sum() == pytest.approx(log_t, abs=0.1)


def test_shapes_and_tiles_do_not_matter():
    given = simulated_map("box", 20, 64, seed=5, version=VERSION)
    flat = invert_with_network(given.dn, given.sigma, size="fast")
    shaped = invert_with_network(
        given.dn.reshape(4, 100, 6), given.sigma.reshape(4, 100, 6), size="fast"
    )
    np.testing.assert_array_equal(shaped.em.reshape(-1, 18), flat.em)
    assert shaped.model.shape == (4, 100, 6)
    assert invert_with_network(given.dn[0], given.sigma[0], size="fast").em.shape == (18,)
    many = np.arange(33_000) % len(given.dn)  # more than a tile
    tiled = invert_with_network(given.dn[many], given.sigma[many], size="fast")
    for name in ("em", "error", "model", "chi2", "status"):
        expected = getattr(flat, name)[many]
        np.testing.assert_allclose(getattr(tiled, name), expected, rtol=2e-4)
    for end in ("low", "high"):
        np.testing.assert_allclose(tiled.extra[end], flat.extra[end][many], rtol=2e-4, atol=1e18)
    half = (flat.extra["high"] - flat.extra["low"]) / 2
    np.testing.assert_allclose(flat.error, half, rtol=1e-5)


def test_an_error_of_next_to_nothing_does_not_lose_the_map():
    given = simulated_map("box", 4, 64, seed=5, version=VERSION)
    dn, sigma = given.dn.copy(), given.sigma.copy()
    dn[3], sigma[3] = 0.0, 1e-25  # less than any camera has, its square 0 in single precision
    found = invert_with_network(dn, sigma, size="fast")
    alone = invert_with_network(given.dn, given.sigma, size="fast")
    rest = np.arange(len(dn)) != 3
    np.testing.assert_array_equal(found.em[rest], alone.em[rest])
    assert found.status[3] == NO_DATA


@pytest.mark.parametrize("huge", [2e7, 1e12, 1e16, 1e25, 1e300, -1e300, np.inf])
def test_numbers_that_no_instrument_gives_count_as_missing(huge):
    rate, sigma = single_temperatures([6.0, 6.3, 6.6])
    rate[1, 2], rate[2] = np.nan, np.nan
    expected = invert_with_network(rate, sigma, size="fast")
    rate[1, 2], rate[2] = huge, huge
    found = invert_with_network(rate, sigma, size="fast")
    np.testing.assert_array_equal(found.em, expected.em)
    np.testing.assert_array_equal(found.status, expected.status)
    assert found.status[2] == NO_DATA


@pytest.mark.parametrize("odd", [1e-300, 1e-40, 1e-37, 1e-7, 2e5, 1e19])
@pytest.mark.parametrize("size", PACKAGED_NETWORKS)
def test_errors_that_no_camera_has_count_as_missing(size, odd):
    rate, sigma = single_temperatures([6.0, 6.3, 6.6])
    sigma[1, 2], sigma[2] = 0.0, 0.0
    expected = invert_with_network(rate, sigma, size=size)
    sigma[1, 2], sigma[2] = odd, odd
    found = invert_with_network(rate, sigma, size=size)
    np.testing.assert_array_equal(found.em, expected.em)
    np.testing.assert_array_equal(found.status, expected.status)
    assert found.status[2] == NO_DATA


@pytest.mark.parametrize("size", PACKAGED_NETWORKS)
def test_the_brightest_and_surest_pixels_are_numbers(size):
    dn = np.array([[9e6] * 6, [9e6, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 9e6], [1e-6] * 6])
    for error in (2e-6, 1.0, 9e4):
        found = invert_with_network(dn, np.full(dn.shape, error), size=size)
        for values in (found.em, found.error, found.model, found.chi2):
            assert np.isfinite(values).all()
        np.testing.assert_array_equal(found.status[:3], UNLIKE_TRAINING)


def test_faults_are_sentences(tmp_path):
    good = np.ones((3, 6))
    with pytest.raises(ValueError, match="six channels"):
        invert_with_network(np.ones((3, 5)), np.ones((3, 5)))
    with pytest.raises(ValueError, match="no network 'huge'"):
        invert_with_network(good, good, size="huge")
    with pytest.raises(ValueError, match="no response"):
        invert_with_network(good, good, version="v8")
    with pytest.raises(ValueError, match="finished run"):
        invert_with_network(good, good, run=tmp_path)


def test_train_package_and_invert(tmp_path, capsys):
    options = ["--smoke", "--size", "fast", "--epochs", "1", "--steps-per-epoch", "4"]
    options += ["--calibration-pixels", "10000", "--output", str(tmp_path / "runs")]
    assert train.main(options) == 0
    (run,) = (tmp_path / "runs").iterdir()
    report = (run / "report.html").read_text()
    assert "out of prior" in report
    assert "synthetic" in report
    package.main([str(run), "--output", str(tmp_path / "packaged")])
    settings = json.loads((tmp_path / "packaged/fast/network.json").read_text())
    assert settings["trained"]["run"] == run.name
    given = simulated_map("box", 8, 64, seed=5, version=VERSION)
    own = invert_with_network(given.dn, given.sigma, run=run)
    again = invert_with_network(given.dn, given.sigma, run=tmp_path / "packaged/fast")
    np.testing.assert_array_equal(own.em, again.em)
    assert "was made before" not in capsys.readouterr().out


def test_a_stopped_training_goes_on_to_the_same_network(tmp_path, monkeypatch):
    options = ["--smoke", "--size", "fast", "--epochs", "3", "--steps-per-epoch", "4"]
    options += ["--calibration-pixels", "10000", "--output"]
    assert train.main([*options, str(tmp_path / "whole")]) == 0
    finish = RunRecorder.on_epoch_end

    def stop(recorder, epoch, logs=None):
        finish(recorder, epoch, logs)
        raise InterruptedError("stopped")

    monkeypatch.setattr(RunRecorder, "on_epoch_end", stop)
    with pytest.raises(InterruptedError):
        train.main([*options, str(tmp_path / "stopped")])
    monkeypatch.undo()
    assert train.main([*options, str(tmp_path / "stopped")]) == 0
    (whole,), (stopped,) = ((tmp_path / name).iterdir() for name in ("whole", "stopped"))
    weights = [load_network(run / "network.keras").get_weights() for run in (whole, stopped)]
    for expected, found in zip(*weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_network_of_another_shape_inverts_but_is_not_packaged(tmp_path):
    options = ["--smoke", "--size", "fast", "--epochs", "1", "--steps-per-epoch", "4"]
    options += ["--calibration-pixels", "10000", "--output", str(tmp_path / "runs")]
    options += ["--width", "24", "--steps", "2", "--first-layers", "1", "--activation", "silu"]
    assert train.main(options) == 0
    (run,) = (tmp_path / "runs").iterdir()
    given = simulated_map("box", 8, 64, seed=5, version=VERSION)
    found = invert_with_network(given.dn, given.sigma, run=run)
    assert np.isfinite(found.em).all()
    with pytest.raises(ValueError, match="is no fast network: its width, layers or steps"):
        package.main([str(run), "--output", str(tmp_path / "packaged")])


def test_a_packaged_network_is_explained_on_an_array_with_the_channel_first_or_last(tmp_path):
    given = simulated_map("log-normal", 6, 64, seed=3, version=VERSION)
    image = given.dn.reshape(6, 6, 6)[:, :5].astype(np.float32)
    np.save(tmp_path / "last.npy", image)
    np.save(tmp_path / "first.npy", np.moveaxis(image, -1, 0))
    arguments = ["--method", "gradient", "--target", "log T 6.45-6.55"]
    maps = []
    for name in ("last", "first"):
        output = ["--output", str(tmp_path / f"map_{name}")]
        file = str(tmp_path / f"{name}.npy")
        assert saliency.main(["packaged/fast", file, *arguments, *output]) == 0
        (folder,) = (tmp_path / f"map_{name}").iterdir()
        with fits.open(folder / "map.fits") as hdus:
            maps.append(np.stack([hdu.data for hdu in hdus[1:]]))
        facts = json.loads((folder / "map.json").read_text())
    assert maps[0].shape == (6, 6, 5)
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-6 * np.abs(maps[0]).max())
    # the mean over the pixels of what the inversion gives, with the errors of one exposure
    sigma = aia_noise(image, RESPONSE_CHANNELS, exposure_s=None).astype(np.float32)
    found = invert_with_network(image, sigma, size="fast", version=VERSION)
    assert facts["value"] == pytest.approx(float(found.em[..., 10].mean() / 1e26), rel=1e-4)


@pytest.fixture
def copied(tmp_path):
    """Copy the packaged fast network."""
    return Path(
        shutil.copytree(Path(inversion.__file__).parent / "packaged/fast", tmp_path / "run")
    )


def changed_settings(folder, **changes):
    path = folder / "network.json"
    settings = json.loads(path.read_text())
    for name, value in changes.items():
        place = settings["calibration"] if name in settings["calibration"] else settings
        if value is None:
            del place[name]
        else:
            place[name] = value
    path.write_text(json.dumps(settings))


SHAPE = {"width": 40, "first_layers": 2, "steps": 2, "step_layers": 1, "activation": "relu"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"chi2 limits": [1.0, 2.0]}, "one chi2 limit more than signal levels"),
        ({"chi2 limits": None}, "is damaged .*chi2 limits"),
        ({"chi2 limits": [np.nan] * 6}, "positive limits"),
        ({"largest log10 total emission measure, cm-5": 1e6}, "is damaged"),
        ({"log_temperature_edges": [5.0, 6.0]}, "temperatures are not those"),
        ({"shape": {"width": 40}}, "is damaged"),
        ({"shape": SHAPE | {"steps": 2.5}}, "is damaged.*whole number"),
        ({"shape": SHAPE | {"first_layers": 0}}, "is damaged.*whole number"),
        ({"shape": SHAPE | {"activation": "abc"}}, "is damaged.*activation"),
        ({"shape": SHAPE | {"activation": "gelu"}}, "not the network that network.json"),
        ({"shape": SHAPE | {"width": 48}}, "not the network that network.json"),
    ],
)
def test_settings_that_are_damaged_are_sentences(copied, changes, sentence):
    changed_settings(copied, **changes)
    with pytest.raises(ValueError, match=sentence):
        invert_with_network(np.ones((3, 6)), np.ones((3, 6)), run=copied)


def test_a_truncated_file_is_named(copied):
    path = copied / "network.json"
    path.write_text(path.read_text()[:200])
    with pytest.raises(ValueError, match=r"network\.json is damaged"):
        invert_with_network(np.ones((3, 6)), np.ones((3, 6)), run=copied)


def test_damaged_weights_are_a_sentence(copied):
    path = copied / "network.keras"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match="network.keras"):
        invert_with_network(np.ones((3, 6)), np.ones((3, 6)), run=copied)


@pytest.mark.parametrize("factors", [np.full((3, 18), np.nan), -np.ones((3, 18)), np.ones((3, 17))])
def test_factors_that_are_none_are_refused(copied, factors):
    network = load_network(copied / "network.keras")
    network.get_layer("intervals").table = factors.tolist()
    network.save(copied / "network.keras")
    with pytest.raises(ValueError, match=r"network\.keras"):
        invert_with_network(np.ones((3, 6)), np.ones((3, 6)), run=copied)


def test_weights_that_are_no_numbers_are_refused(copied):
    network = load_network(copied / "network.keras")
    kernel, bias = network.get_layer("first_1").get_weights()
    kernel[3, 5] = np.nan
    network.get_layer("first_1").set_weights([kernel, bias])
    network.save(copied / "network.keras")
    with pytest.raises(ValueError, match="weights that are no numbers"):
        invert_with_network(np.ones((3, 6)), np.ones((3, 6)), run=copied)


def test_a_network_that_is_written_anew_is_read_anew(copied):
    given = simulated_map("box", 4, 64, seed=5, version=VERSION)
    before = invert_with_network(given.dn, given.sigma, run=copied)
    network = load_network(copied / "network.keras")
    kernel, bias = network.get_layer("proposal").get_weights()
    network.get_layer("proposal").set_weights([kernel, bias + 1])
    network.save(copied / "network.keras")
    after = invert_with_network(given.dn, given.sigma, run=copied)
    assert not np.allclose(before.em, after.em, rtol=0.1)


def test_networks_that_name_the_axis_of_their_columns_are_read(copied, tmp_path):
    path = copied / "network.keras"
    given = simulated_map("box", 4, 64, seed=5, version=VERSION)
    expected = invert_with_network(given.dn, given.sigma, run=copied)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    config = json.loads(parts["config.json"])
    for layer in config["config"]["layers"]:
        if layer["class_name"] in ("BrightnessFeatures", "Misfit", "Synthesis"):
            layer["config"]["axis"] = -1
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    found = invert_with_network(given.dn, given.sigma, run=copied)
    np.testing.assert_array_equal(found.em, expected.em)
