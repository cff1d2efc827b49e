"""Classifiers of scenes are explained on frames and on scenes of their own run."""

import keras
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from dataset_models.solar_scenes.classes import OUTPUTS
from network_models.differentiation.gradients import log_odds
from network_models.image_classification.slic.slic_lite import build_slic_lite
from network_models.image_classification.slic.train import main as train
from science.deconvolutional.deconvolutional import main as deconvolve
from science.embedding.tsne import main as embed
from science.saliency.attribution import Explainer
from science.saliency.question import AttributionOptions
from science.saliency.saliency import main

SMALL = ["--observations", "66", "--size", "32", "--epochs", "1", "--bootstrap-draws", "20"]
SMALL += ["--leak-observations", "0", "--width", "0.2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    output = tmp_path_factory.mktemp("scenes")
    assert train([*SMALL, "--output", str(output)]) == 0
    (folder,) = output.iterdir()
    return folder


@pytest.fixture
def frame(tmp_path):
    cards = {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec"}
    cards |= {"CRPIX1": 100.5, "CRPIX2": 80.5, "CRVAL1": 300.0, "CRVAL2": -200.0}
    cards |= {"CDELT1": 0.5, "CDELT2": 0.5, "DATE-OBS": "2014-01-11T08:00:00"}
    image = np.random.default_rng(0).normal(1000, 50, (256, 300)).astype(np.float32)
    image[100:130, 140:170] = 400
    fits.writeto(tmp_path / "frame.fits", image, fits.Header(cards))
    return tmp_path / "frame.fits"


# astropy sets MJD-OBS from DATE-OBS and says so
@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_a_frame_is_explained_on_its_own_pixels(run, frame, tmp_path):
    options = ["--target", "P(sunspots)", "--method", "gradient", "--output", str(tmp_path / "o")]
    assert main([str(run), str(frame), *options]) == 0
    (folder,) = (tmp_path / "o").iterdir()
    with fits.open(folder / "map.fits") as hdus:
        small = next(h for h in hdus if h.data is not None and h.data.ndim >= 2)
        assert small.data.shape[-2:] == (32, 32)
        # pixel 1 of the small map lies in the middle of the pixels under it
        found = WCS(small.header).celestial.all_pix2world([[0, 0]], 0)[0]
    middle = [(300 / 32 - 1) / 2, (256 / 32 - 1) / 2]
    own = WCS(fits.getheader(frame)).all_pix2world([middle], 0)[0]
    np.testing.assert_allclose(found, own, atol=1e-9)
    assert (folder / "map_on_image.fits").is_file()


def test_a_scene_of_the_run_and_its_filters_are_explained(run, tmp_path):
    options = ["--method", "grad-cam", "--output", str(tmp_path / "a")]
    assert main([str(run), "3", *options]) == 0
    few = ["--search", "8", "--examples", "1", "--output", str(tmp_path / "b")]
    assert deconvolve([str(run), "3", *few]) == 0
    sets = ["--set", "all", "--perplexity", "10", "--output", str(tmp_path / "c")]
    assert embed([str(run), *sets]) == 0
    assert list((tmp_path / "c").rglob("*.png"))


@pytest.mark.parametrize("what", ["nosuch.fits", "9999"])
def test_what_is_no_frame_is_refused(run, what, tmp_path):
    with pytest.raises((FileNotFoundError, ValueError), match="no such file|no scene"):
        main([str(run), what, "--output", str(tmp_path)])


def test_integrated_gradients_add_up_behind_the_scaling():
    keras.utils.set_random_seed(1)
    network = build_slic_lite(widths=(4, 4, 4), n_maps=8, n_blocks=1)
    image = np.random.default_rng(2).normal(100, 10, (1, 40, 48, 1)).astype(np.float32)
    head = log_odds(np.eye(len(OUTPUTS))[4])
    found = Explainer(network, head, image="image").explain(
        {"image": image}, "integrated-gradients", AttributionOptions(baseline="zero")
    )
    assert found.values.shape == (40, 48, 1)
    value = float(head(network({"image": image}))[0])
    assert found.target_value == pytest.approx(value, rel=1e-4)
    change = value - found.notes["baseline_target"]
    assert found.values.sum() == pytest.approx(change, rel=2e-3)


@pytest.mark.parametrize("method", ["integrated-gradients", "gradient", "occlusion"])
def test_the_mean_of_eight_views_turns_with_the_image(method):
    """A mean over all turns and mirrors knows no direction: the turned image has the turned map.

    The target's value is that of the eight images, one by one.
    """
    keras.utils.set_random_seed(1)
    network = build_slic_lite(widths=(4, 4, 4), n_maps=8, n_blocks=1)
    image = np.random.default_rng(2).normal(100, 10, (1, 32, 32, 1)).astype(np.float32)
    head = log_odds(np.eye(len(OUTPUTS))[4])
    explainer = Explainer(network, head, image="image")
    options = AttributionOptions(views=8, blocks=4)
    turned = np.rot90(image, axes=(1, 2))[:, :, ::-1]
    first, second = (
        explainer.explain({"image": np.ascontiguousarray(x)}, method, options)
        for x in (image, turned)
    )
    expected = np.rot90(first.values, axes=(0, 1))[:, ::-1]
    np.testing.assert_allclose(second.values, expected, atol=1e-4 * np.abs(expected).max())
    views = [np.rot90(image, k, axes=(1, 2)) for k in range(4)]
    views += [view[:, :, ::-1] for view in views]
    values = [float(head(network({"image": np.ascontiguousarray(v)}))[0]) for v in views]
    assert first.target_value == pytest.approx(np.mean(values), rel=1e-4)
    assert first.notes["views"] == 8


def test_networks_that_know_an_upper_side_have_no_mean_of_views():
    image = keras.Input((8, 8, 1), name="image")
    plain = keras.Model({"image": image}, keras.layers.Flatten()(image))
    explainer = Explainer(plain, lambda output: output[:, 0], image="image")
    sample = {"image": np.ones((1, 8, 8, 1), np.float32)}
    with pytest.raises(ValueError, match="classifiers of scenes"):
        explainer.explain(sample, "gradient", AttributionOptions(views=8))
    with pytest.raises(ValueError, match="1 view or the mean of 8"):
        explainer.explain(sample, "gradient", AttributionOptions(views=3))
