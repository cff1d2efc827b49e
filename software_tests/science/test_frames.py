"""All three commands on a run with two frames and the flare history."""

import json

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.store import ImageStore
from science.deconvolutional import deconvolutional
from science.embedding import tsne
from science.saliency import saliency


def only(folder):
    (path,) = folder.iterdir()
    return path


def test_a_map_holds_every_frame_with_its_own_time(frames_run, tmp_path):
    arguments = [str(frames_run), "first", "--method", "gradient-x-input"]
    assert saliency.main([*arguments, "--output", str(tmp_path)]) == 0
    facts = json.loads((only(tmp_path) / "map.json").read_text())
    assert len(facts["frame_shares"]) == 2
    assert np.isclose(sum(facts["frame_shares"]), 1, atol=1e-5)
    with fits.open(only(tmp_path) / "map.fits") as hdus:
        newest, earlier = hdus["171"], hdus["171_EARLIER1"]
        assert (newest.header["FRAME"], earlier.header["FRAME"]) == (0, -1)
        times = [np.datetime64(hdu.header["DATE-OBS"]) for hdu in (newest, earlier)]
        assert times[0] - times[1] == np.timedelta64(48, "h")
        masses = [
            sum(np.abs(hdu.data).sum() for hdu in hdus if hdu.header.get("FRAME") == f)
            for f in (-1, 0)
        ]
    np.testing.assert_allclose(np.array(masses) / sum(masses), facts["frame_shares"], atol=1e-4)


def test_filters_and_embedding_of_two_frames(frames_run, tmp_path):
    given = [str(frames_run), "first", "--top", "2", "--examples", "1"]
    assert deconvolutional.main([*given, "--output", str(tmp_path / "features")]) == 0
    with fits.open(next((tmp_path / "features").rglob("filter_*.fits"))) as hdus:
        assert "171_EARLIER1" in hdus
    options = ["--samples", "60", "--perplexity", "8", "--set", "all", "--like", "first"]
    output = tmp_path / "embedding"
    assert tsne.main([str(frames_run), *options, "--output", str(output)]) == 0
    assert next(output.rglob("embedding.png")).exists()


def test_files_need_all_frames_and_the_history(frames_run, tmp_path):
    config = json.loads((frames_run / "config.json").read_text())
    store = ImageStore(config["data"]["store"])
    with pytest.raises(ValueError, match="give it with --flares"):
        saliency.main([str(frames_run), f"{store.path}@{store.times[5]}"])
