"""The training of the start network: prior, sets, loss, and a run, packaged and explained."""

import json

import numpy as np
import pytest

from network_models.milne_eddington_start.atmosphere_draws import draw_atmospheres, draw_pixels
from network_models.milne_eddington_start.experiment import open_data
from network_models.milne_eddington_start.package import main as package
from network_models.milne_eddington_start.start import network_answers, network_starts
from network_models.milne_eddington_start.train import StartConfig, main
from tools.physics.milne_eddington import hinode_wavelengths, synthesise

TINY = ["--smoke", "--training-pixels", "600", "--validation-pixels", "64", "--test-pixels", "64"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a finished run of a minute's training."""
    output = tmp_path_factory.mktemp("starts")
    assert main([*TINY, "--epochs", "1", "--output", str(output)]) == 0
    (folder,) = output.iterdir()
    return folder


def test_the_prior_is_the_documented_one():
    draws = draw_atmospheres(20000, np.random.default_rng(0))
    least = [0, 0, 0, -5, 15, 1, 0.03, 0.05, 0.3]
    most = [4000, 180, 180, 5, 70, 60, 1.2, 0.6, 1.0]
    assert (draws >= least).all()
    assert (draws <= most).all()
    # 60 % uniform: 0.6 * 0.125; 40 % log-uniform: 0.4 * ln(50) / ln(400); four sigma of 20,000
    share = 0.6 * 0.125 + 0.4 * np.log(50) / np.log(400)
    assert (draws[:, 0] < 500).mean() == pytest.approx(share, abs=0.014)
    # half uniform (1/3 of the angles), half isotropic (mean of cos: 1/2)
    middle = (draws[:, 1] > 60) & (draws[:, 1] < 120)
    assert middle.mean() == pytest.approx(0.5 * 1 / 3 + 0.5 * 0.5, abs=0.014)


def test_profiles_are_the_model_s_with_the_noise_that_is_said():
    pixels = draw_pixels(300, np.random.default_rng(1))
    clean = synthesise(pixels.parameters, hinode_wavelengths())
    pull = (pixels.stokes - clean) / pixels.sigma[:, None, None]
    assert pull.std() == pytest.approx(1, abs=0.01)  # of 134,400 numbers: sigma 0.002
    assert pixels.sigma.min() > 2.5e-4
    assert pixels.sigma.max() < 1.1e-2


def test_sets_are_draws_of_streams_of_their_own():
    sizes = {"training_pixels": 80, "validation_pixels": 40, "test_pixels": 64}
    data = open_data(StartConfig(**sizes))
    other = open_data(StartConfig(**(sizes | {"training_pixels": 100})))
    same = [d.dataset.read(d.split.test)["stokes"] for d in (data, other)]
    np.testing.assert_array_equal(*same)  # however large the training set is
    truth = data.dataset.read(np.arange(184))["atmosphere"]
    assert len(np.unique(truth, axis=0)) == 184


def test_the_loss_is_quadratic_then_linear():
    from network_models.milne_eddington_start.atmosphere_loss import ScaledHuber

    loss = ScaledHuber([2.0, 10.0])
    value = float(loss(np.zeros((1, 2), np.float32), np.array([[0.02, 1e4]], np.float32)))
    # e = 0.01: e^2 / 2; e = 1000: e - 1; the mean of both
    assert value == pytest.approx((0.5e-4 + 999.0005) / 2, rel=1e-5)
    assert ScaledHuber.from_config(loss.get_config()).scale == [2.0, 10.0]


def test_a_run_names_baselines_and_has_a_report(run):
    scores = json.loads((run / "performance/skill.json").read_text())
    assert list(scores) == ["network", "moments", "mean"]
    assert (run / "report.html").is_file()
    assert "moments" in (run / "report.html").read_text()


def test_a_run_is_packaged_and_opened(run, tmp_path):
    from network_models.training.reopen import open_network

    folder = tmp_path / "tiny"
    assert package([str(run), "--output", str(folder)]) == 0
    opened = open_network(str(folder))
    assert opened.problem.name == "start of Milne-Eddington fits"
    assert next(iter(opened.targets)) == "field strength"
    stokes = draw_pixels(5, np.random.default_rng(2)).stokes
    expected = opened.network.predict_on_batch({"stokes": np.swapaxes(stokes, 1, 2)})
    found = network_answers(stokes, folder=folder)
    spread = np.abs(expected).max(axis=0)
    assert (np.abs(found - expected) / spread).max() < 1e-5  # float32, summed in another order
    assert np.isfinite(network_starts(hinode_wavelengths(), stokes, 1e-3, folder=folder)).all()


@pytest.mark.parametrize("way", ["saliency", "deconvolution", "embedding"])
def test_a_run_is_explained(run, tmp_path, way):
    from science.deconvolutional.deconvolutional import main as deconvolve
    from science.embedding.tsne import main as embed
    from science.saliency.saliency import main as saliency

    output = ["--output", str(tmp_path)]
    if way == "saliency":
        assert saliency([str(run), "first", "--method", "gradient", *output]) == 0
    elif way == "deconvolution":
        few = ["--top", "1", "--examples", "1", "--search", "20"]
        assert deconvolve([str(run), "first", *few, *output]) == 0
    else:
        assert embed([str(run), "--set", "test", "--perplexity", "4", *output]) == 0
    (folder,) = tmp_path.iterdir()
    assert all(p.stat().st_size > 5000 for p in folder.glob("*.png"))
    assert list(folder.glob("*.png"))


def test_unfinished_runs_are_not_packaged(run, tmp_path):
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(ValueError, match="finished run"):
        package([str(tmp_path), "--output", str(tmp_path / "out")])
