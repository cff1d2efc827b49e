"""Drawings of the networks: what they show is counted, and the command writes them."""

import keras
import numpy as np
import pytest
from PIL import Image

from network_models.image_classification.slic.draw import classifier_columns, main, map_blocks
from network_models.image_classification.slic.slic_lite import build_slic_lite
from network_models.image_classification.slic.vgg13 import build_slic_vgg13
from tools.plotting import network_blocks
from tools.plotting.network_blocks import VectorColumn


def without_weights(build, **options):
    with keras.StatelessScope(initialize_variables=False):
        return build(**options)


def test_blocks_of_slic_are_its_ten_convolutions_and_five_pools():
    blocks, skips = map_blocks(without_weights(build_slic_vgg13))
    kinds = [block.kind for block in blocks]
    assert kinds.count("convolution") == 8
    assert kinds.count("shared") == 2
    assert kinds.count("pool") == 5
    assert skips == []
    pair = ["convolution", "convolution", "pool"]
    assert kinds == ["image", *pair * 4, "shared", "shared", "pool"]
    maps = [block.n_maps for block in blocks if block.kind == "pool"]
    assert maps == [64, 128, 256, 512, 512]
    assert [blocks[k].side[0] for k in (0, 3, 6, 9, 12, 15)] == [256, 128, 64, 32, 16, 8]


def test_the_untied_one_shares_nothing():
    blocks, _ = map_blocks(without_weights(build_slic_vgg13, tied=False))
    assert [block.kind for block in blocks].count("convolution") == 10


def test_blocks_of_the_small_network_and_what_is_added_up():
    blocks, skips = map_blocks(without_weights(build_slic_lite, side=64, n_blocks=2))
    kinds = [block.kind for block in blocks]
    assert kinds[:3] == ["image", "scaling", "convolution"]
    assert kinds.count("separable") == 4
    # every residual block spans two convolutions
    assert all(end - start == 2 for start, end in skips)
    assert len(skips) == 3
    assert blocks[-1].side == (8, 8)


def test_columns_of_the_classifiers():
    columns = classifier_columns(without_weights(build_slic_vgg13))
    assert [column.n for column in columns] == [32768, 4096, 4096, 5]
    assert "dropout 0.5" in columns[2].before
    assert columns[-1].names[0] == "filament"
    columns = classifier_columns(without_weights(build_slic_lite, side=96))
    assert [column.n for column in columns] == [256, 6, 6]
    assert columns[-1].names[-1] == "none of these"
    # softmax learns nothing: 1,542 weights lead to the logits, none from them to probabilities
    assert [column.has_weights for column in columns[1:]] == [True, False]


def test_a_function_without_weights_is_drawn_without_a_web_of_lines(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(network_blocks, "save_figure", lambda figure, path: drawn.append(figure))
    lines = []
    for has_weights in (True, False):
        columns = [VectorColumn(6, "a"), VectorColumn(6, "b", "f", has_weights=has_weights)]
        network_blocks.draw_classifier(columns, tmp_path / "x.png", title="")
        lines.append(len(drawn[-1].axes[0].lines))
    assert lines == [36, 12]  # 6 x 6 weights; 6 in and 6 out


@pytest.mark.parametrize("network", ["vgg13", "slic_lite"])
def test_the_command_writes_both_pictures(tmp_path, capsys, network):
    assert main(["--network", network, "--output", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    for name in ("cnn.png", "classifier.png"):
        assert str(tmp_path / "new" / name) in said
        with Image.open(tmp_path / "new" / name) as picture:
            assert min(picture.size) > 300
            assert np.ptp(np.asarray(picture.convert("L"))) > 100


def test_images_of_any_size_cannot_be_drawn():
    with pytest.raises(ValueError, match="slic_lite takes images of any size"):
        map_blocks(without_weights(build_slic_lite))
    with pytest.raises(ValueError, match="--side must be 32"):
        main(["--network", "slic_lite", "--side", "16"])
