"""Every problem's networks are explained by the commands as documented, in three ways."""

import json

import numpy as np
import pytest
from astropy.io import fits

from network_models.dem_regression import train as emission
from network_models.dem_regression.deepem import train as deepem
from network_models.image_classification import aia_regions
from network_models.image_classification.slic import train as scenes
from network_models.training.reopen import open_network, reopen_run
from science.deconvolutional.deconvolutional import main as deconvolve
from science.embedding.tsne import main as embed
from science.saliency.saliency import main as saliency

SMALL = {
    emission: ["--smoke", "--size", "fast", "--steps-per-epoch", "4", "--epochs", "1"]
    + ["--calibration-pixels", "10000", "--block-pixels", "256"],
    deepem: ["--smoke", "--size", "32", "--epochs", "2", "--jobs", "1"],
    scenes: ["--observations", "66", "--size", "32", "--epochs", "1", "--bootstrap-draws", "20"]
    + ["--leak-observations", "0", "--width", "0.2"],
    aia_regions: ["--images", "12", "--image-size", "96", "--epochs", "1"]
    + ["--bootstrap-draws", "20"],
}
PROBLEMS = ["flux", "emission", "deepem", "scenes", "regions"]
OF = {"emission": emission, "deepem": deepem, "scenes": scenes, "regions": aia_regions}
CHANNELS = {"flux": 8, "emission": 6, "deepem": 6, "scenes": 1, "regions": 8}
LAYERS = {
    "flux": "hidden",
    "emission": "emission_measure/step_2_1",
    "deepem": "leaky_2",
    "scenes": "last_maps",
    "regions": "last_maps",
}


@pytest.fixture(scope="session")
def run_of(image_run, tmp_path_factory):
    """Return a small finished run of a problem, trained once by its own script."""
    runs = {"flux": image_run}

    def give(name):
        if name not in runs:
            output = tmp_path_factory.mktemp(name)
            assert OF[name].main([*SMALL[OF[name]], "--output", str(output)]) == 0
            (runs[name],) = output.iterdir()
        return runs[name]

    return give


@pytest.mark.parametrize("name", PROBLEMS)
def test_saliency(run_of, name, tmp_path):
    run = run_of(name)
    assert saliency([str(run), "first", "--method", "gradient", "--output", str(tmp_path)]) == 0
    (folder,) = tmp_path.iterdir()
    facts = json.loads((folder / "map.json").read_text())
    assert np.isfinite(facts["value"])
    assert "synthetic" in facts["source"]
    with fits.open(folder / "map.fits") as hdus:
        maps = [hdu.data for hdu in hdus if hdu.data is not None]
    assert len(maps) == CHANNELS[name]
    assert np.isfinite(maps).all()
    assert np.ptp(maps) > 0
    # the map's first target is the first that the run names
    assert facts["target"] == next(iter(open_network(str(run)).targets))


@pytest.mark.parametrize("name", PROBLEMS)
def test_deconvolution(run_of, name, tmp_path, capsys):
    options = ["--top", "1", "--examples", "1", "--search", "20", "--output", str(tmp_path)]
    assert deconvolve([str(run_of(name)), "first", *options]) == 0
    (folder,) = tmp_path.iterdir()
    facts = json.loads((folder / "filters.json").read_text())
    assert facts["layer"] == LAYERS[name]
    (entry,) = facts["filters"].values()
    assert np.isfinite(entry["excitation"])
    assert len(entry["exciting images"]) == 1
    assert (folder / "filters.png").stat().st_size > 5000
    assert facts["error_against_autograd"] < 1e-5


@pytest.mark.parametrize("name", PROBLEMS)
def test_embedding(run_of, name, tmp_path):
    options = ["--set", "all", "--samples", "48", "--perplexity", "4", "--output", str(tmp_path)]
    assert embed([str(run_of(name)), *options]) == 0
    (folder,) = tmp_path.iterdir()
    facts = json.loads((folder / "embedding.json").read_text())
    assert facts["samples"] >= 20
    places = np.loadtxt(folder / "projector/tsne.tsv", delimiter="\t")
    assert np.isfinite(places).all()
    assert (folder / "embedding.png").stat().st_size > 5000
    header, *rows = (folder / "projector/metadata.tsv").read_text().splitlines()
    assert header.split("\t")[:2] == ["class", "sample"]
    assert len(rows) == facts["samples"]


def test_targets_say_what_they_are(run_of):
    kinds = {n: {t.kind for t in open_network(str(run_of(n))).targets.values()} for n in PROBLEMS}
    assert kinds == {
        "flux": {"flux", "probability"},
        "emission": {"emission measure"},
        "deepem": {"emission measure"},
        "scenes": {"probability"},
        "regions": {"probability"},
    }


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_run_is_opened_again_with_its_own_data(run_of, name):
    opened = reopen_run(run_of(name))
    config = opened.run.config
    assert opened.problem.name == config["problem"]
    assert opened.data.dataset.fingerprint() == config["data"]["fingerprint"]
    assert {k: len(v) for k, v in opened.data.split.sets.items()} == {
        k: config["split"][k]["samples"] for k in ("training", "validation", "test")
    }


def test_the_emission_measure_that_is_explained_is_the_inversion_s(run_of):
    from network_models.dem_regression.inversion import invert_with_network
    from network_models.training.lots import outputs_of

    run = run_of("emission")
    opened = open_network(str(run))
    data = opened.samples.as_explained(opened.data)
    arrays = data.dataset.read(np.array([0]))
    version = "v10_evenorm_chiantifix"
    # pixels of the version that the inversion is asked for, none of their channels missing
    errors = arrays["errors"][0]
    from tools.emission_measure.response import RESPONSE_VERSIONS

    rows = errors[..., 6 + RESPONSE_VERSIONS.index(version)] == 1
    rows &= (errors[..., :6] < 1e5).all(axis=-1)
    given, sigma = arrays["aia"][0][rows], errors[rows][:, :6]
    found = invert_with_network(given, sigma, run=run, version=version)
    output = outputs_of(opened, data.dataset, np.array([0]))[0][rows.ravel()]
    np.testing.assert_allclose(output[:, :18], found.em / 1e26, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "n_channels"), [("packaged/accurate", 6), ("packaged/deepem", 6)]
)
def test_packaged_networks_of_emission_measure_take_arrays(model, n_channels, tmp_path):
    generator = np.random.default_rng(3)
    folder = tmp_path / "arrays"
    folder.mkdir()
    for k in range(12):
        np.save(folder / f"{k}.npy", generator.gamma(2, 30, (5, 4, n_channels)).astype(np.float32))
    image, output = str(folder / "0.npy"), ["--output", str(tmp_path / "out")]
    target = ["--target", "log T 6.25-6.35"]
    assert saliency([model, image, *target, "--method", "gradient", *output]) == 0
    assert deconvolve([model, image, *target, "--top", "1", *output]) == 0
    assert embed([model, str(folder), "--perplexity", "3", *output]) == 0
    facts = [json.loads(p.read_text()) for p in (tmp_path / "out").glob("*/*.json")]
    assert {"map.png", "filters.png", "embedding.png"} <= {
        p.name for p in (tmp_path / "out").glob("*/*.png")
    }
    assert all(np.isfinite(f.get("value", 0.0)) for f in facts if isinstance(f, dict))


def test_a_scene_classifier_is_told_by_its_dataset_s_script(run_of, tmp_path):
    script = "dataset_models/solar_scenes/generated.py"
    options = ["--method", "gradient", "--output", str(tmp_path)]
    assert saliency([str(run_of("scenes")), script, "3", *options]) == 0
    with pytest.raises(ValueError, match="networks of classes of solar scenes take samples of"):
        saliency([str(run_of("scenes")), "dataset_models/SDO/AIA/fdl_1.py", "3", *options])
