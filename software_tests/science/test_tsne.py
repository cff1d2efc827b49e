"""Embeddings: features resume, the projector's folder holds, near images are near."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from network_models.differentiation.layer_outputs import LayerOutput
from network_models.training.reopen import open_network, reopen_run
from science.embedding.features import extract_features, vectors
from science.embedding.layout import lay_out, neighbours_kept
from science.embedding.projector import sprite_sheet, write_projector
from science.embedding.tsne import main

OPTIONS = ["--samples", "120", "--perplexity", "8", "--set", "all"]


def test_the_command_writes_projector_figure_and_page(image_run, capsys):
    assert main([str(image_run), *OPTIONS, "--like", "first", "--nearest", "3"]) == 0
    text = capsys.readouterr().out
    assert "Nearest to 2101-" in text
    (folder,) = (image_run / "embeddings").iterdir()
    facts = json.loads((folder / "embedding.json").read_text())
    distances = [near["distance"] for near in facts["nearest"]]
    assert distances == sorted(distances)
    assert len(distances) == 3
    assert distances[0] < 1e-3 * distances[1]  # the image itself is among them; rounding only
    page = (folder / "embedding.html").read_text()
    assert page.count("<i class=") == facts["samples"]
    assert "http" not in page
    assert "<script" not in page
    assert "(synthetic Sun)" in page
    assert "Embedding: " in (image_run / "report.html").read_text()
    lines = (folder / "projector/metadata.tsv").read_text().splitlines()
    assert lines[0].split("\t")[:3] == ["class", "sample", "peak"]
    assert len(lines) == facts["samples"] + 1
    tsne = np.loadtxt(folder / "projector/tsne.tsv", delimiter="\t")
    assert tsne.shape == (facts["samples"], 3)
    assert not tsne[:, 2].any()


def test_an_interrupted_extraction_goes_on(image_run, tmp_path, monkeypatch):
    monkeypatch.setattr("science.embedding.features._PART", 16)
    opened, dataset = open_network(str(image_run)), reopen_run(str(image_run)).data.dataset
    rows, identity = np.arange(0, 80), {"model": opened.model_hash}
    read, calls, fails_at = type(dataset).read, [], [4]

    def failing(self, indices):
        calls.append(len(indices))
        if len(calls) == fails_at[0]:
            raise KeyboardInterrupt
        return read(self, indices)

    monkeypatch.setattr(type(dataset), "read", failing)
    given = (opened.network, "hidden_sums", dataset, rows, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        extract_features(*given, identity=identity)
    calls[:], fails_at[0] = [], 0
    found = extract_features(*given, identity=identity)
    assert sum(calls) == 80 - 48  # three parts were kept
    expected = LayerOutput(opened.network, "hidden_sums")(read(dataset, rows))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    (tmp_path / sorted(p.name for p in tmp_path.glob("*-00001.npz"))[0]).write_bytes(b"damaged")
    calls[:] = []
    again = extract_features(*given, identity=identity)
    assert sum(calls) == 16
    np.testing.assert_allclose(again, found, atol=1e-5)
    calls[:] = []
    extract_features(*given, identity={"model": "another"})
    assert sum(calls) == 80


def test_maps_become_vectors_by_their_mean(generator):
    maps = generator.normal(size=(2, 4, 5, 3))
    np.testing.assert_allclose(vectors(maps), maps.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(vectors(maps[:, 0, 0]), maps[:, 0, 0], rtol=1e-6)


def groups(generator, n=60):
    centres = 8 * generator.normal(size=(3, 12))
    kind = np.repeat(np.arange(3), n)
    return (centres[kind] + generator.normal(size=(3 * n, 12))).astype(np.float32), kind


def test_groups_stay_together_and_new_samples_find_theirs(generator):
    features, kind = groups(generator)
    layout = lay_out(features, perplexity=15, seed=0)
    means = np.array([layout.places[kind == k].mean(axis=0) for k in range(3)])
    away = np.linalg.norm(layout.places[:, None] - means, axis=-1)
    assert (away.argmin(axis=1) == kind).mean() > 0.98
    new = features[kind == 1][:5] + 0.1
    placed = layout.place(new)
    assert (np.linalg.norm(placed[:, None] - means, axis=-1).argmin(axis=1) == 1).all()
    own = layout.place(features[:5])
    spread = np.ptp(layout.places, axis=0).max()
    np.testing.assert_allclose(own, layout.places[:5], atol=0.02 * spread)
    order, distances = layout.nearest(features[7])
    assert order[0] == 7
    assert distances[0] == pytest.approx(0, abs=1e-4)
    again = lay_out(features, perplexity=15, seed=0)
    np.testing.assert_array_equal(again.places, layout.places)


def test_kept_neighbours_of_the_same_and_of_random_places(generator):
    features, _ = groups(generator)
    assert neighbours_kept(features, features.copy()) == 1
    assert neighbours_kept(features, generator.normal(size=(180, 2))) < 0.3


def test_sprites_lie_row_by_row_within_the_page_s_limit(generator):
    pictures = generator.integers(0, 255, (7, 10, 10, 3)).astype(np.uint8)
    sheet, side = sprite_sheet(pictures)
    assert (sheet.size, side) == ((30, 30), 10)
    np.testing.assert_array_equal(np.asarray(sheet)[10:20, 20:30], pictures[5])
    many = np.zeros((20_000, 64, 64, 3), np.uint8)
    sheet, side = sprite_sheet(many)
    assert max(sheet.size) <= 8192
    assert side == 57


def test_the_projector_s_folder(generator, tmp_path):
    n, pictures = 9, generator.integers(0, 255, (9, 8, 8, 3)).astype(np.uint8)
    metadata = {"class": list("BCMBCMBCM"), "time": [f"a\tb\n{k}" for k in range(n)]}
    places = generator.normal(size=(n, 2))
    write_projector(
        tmp_path, generator.normal(size=(n, 4)), places, metadata, pictures, colour_by="class"
    )
    with Image.open(tmp_path / "sprite.png") as sheet:
        assert sheet.size == (24, 24)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("tensor_name") == 2
    assert "single_image_dim: 8" in config
    (state,) = json.loads((tmp_path / "bookmarks.txt").read_text())
    assert len(state["projections"]) == n
    assert len((tmp_path / "metadata.tsv").read_text().splitlines()) == n + 1
    with pytest.raises(ValueError, match="two columns"):
        write_projector(tmp_path, places, places, {"class": ["B"] * n}, None, colour_by="class")


def test_a_network_without_a_run_and_a_folder_of_arrays(tmp_path, generator):
    image = keras.Input((12, 12, 2), name="image")
    x = keras.layers.Conv2D(6, 3, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D(name="means")(x)
    network = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    network.save(tmp_path / "classes.keras")
    folder, output = tmp_path / "arrays", tmp_path / "out"
    folder.mkdir()
    images = generator.normal(size=(20, 12, 12, 2)).astype(np.float32)
    images *= np.repeat([1, 4], 10)[:, None, None, None]
    for k, one in enumerate(images):
        np.save(folder / f"{k:02d}.npy", one)
    given = [str(tmp_path / "classes.keras"), str(folder), "--perplexity", "5"]
    like = ["--like", str(folder / "03.npy"), "--nearest", "3"]
    assert main([*given, *like, "--output", str(output)]) == 0
    facts = json.loads((output / "means" / "embedding.json").read_text())
    assert facts["nearest"][0]["sample"] == "03.npy"
    rows = (output / "means/projector/metadata.tsv").read_text().splitlines()
    expected = np.asarray(network(images)).argmax(axis=1)
    assert [row.split("\t")[0] for row in rows[1:]] == [f"output {k}" for k in expected]
    with pytest.raises(ValueError, match="name files, or a folder of .npy arrays"):
        main(given[:1])


def test_a_store_of_images_as_the_dataset(image_run, tmp_path):
    (store,) = (image_run.parents[1] / "stores").iterdir()
    output = tmp_path / "out"
    given = [str(image_run), str(store), "--samples", "100", "--perplexity", "10"]
    assert main([*given, "--layer", "hidden_sums", "--output", str(output)]) == 0
    rows = (output / "hidden_sums/projector/metadata.tsv").read_text().splitlines()
    assert rows[1].split("\t")[0] == "unknown"  # images alone don't tell the peak to come
    assert rows[1].endswith("new")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "none"], "no layer 'none'"),
        (["--perplexity", "1"], "--perplexity must be above 1"),
        (["--samples", "20"], "too few for a perplexity of 30"),
        (["--nearest", "0"], "--nearest must be 1 or more"),
        (["--like", "nowhere.fits"], "is no file and no time"),
    ],
)
def test_what_can_not_be_laid_out_is_refused(image_run, tmp_path, arguments, message):
    with pytest.raises((ValueError, OSError)) as error:
        main([str(image_run), *arguments, "--output", str(tmp_path)])
    assert message in str(error.value)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    ("features", "says"),
    [(np.arange(40.0)[:, None], "a layer of one unit"), (np.ones((40, 5)), "the same features")],
)
def test_features_that_lay_nothing_out_are_a_sentence(features, says):
    with pytest.raises(ValueError, match=says):
        lay_out(features.astype(np.float32), perplexity=5, seed=0)
