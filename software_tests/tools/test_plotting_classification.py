"""Figures of classifiers: every panel is there, numbers and units are those that were given."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tools.abstention import risk_coverage
from tools.classification_scores import class_scores
from tools.plotting.classification import (
    plot_bar_chart,
    plot_class_reliability,
    plot_confusion,
    plot_map_overlay,
    plot_montage,
    plot_risk_coverage,
)
from tools.plotting.style import save_figure

NAMES = ("filament", "flare ribbon", "prominence", "quiet Sun", "sunspot", "none of these")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_a_montage_has_a_panel_for_every_frame(n, generator, tmp_path):
    images = [generator.normal(size=(40 + k, 60)) for k in range(n)]
    figure = plot_montage(images, [f"label {k}" for k in range(n)], title="some frames")
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [f"label {k}" for k in range(n)]
    for axes, image in zip(shown, images, strict=True):
        assert (axes.images[0].get_array() == image).all()
        assert axes.images[0].origin == "lower"
    assert save_figure(figure, tmp_path / "montage.png").stat().st_size > 1000


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_bars_for_any_number_of_classes(n):
    figure = plot_bar_chart(np.full(n, 1 / n), [f"class {k}" for k in range(n)], is_log=False)
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([1 / n] * n)
    assert axes.get_ylabel() == "probability"


def test_bars_on_a_logarithmic_axis_show_what_is_small(generator, tmp_path):
    probability = np.array([0.9, 0.09, 0.01 - 2e-5, 2e-5, 0, 0])
    figure = plot_bar_chart(probability, NAMES, image=generator.normal(size=(20, 30)))
    axes = figure.axes[-1]
    assert axes.get_yscale() == "log"
    assert axes.patches[3].get_height() == pytest.approx(2e-5)
    assert "2e-5" in texts(axes)
    assert "0.90" in texts(axes)
    assert save_figure(figure, tmp_path / "bars.png").stat().st_size > 1000


def test_a_constant_frame_can_be_drawn():
    plot_montage([np.full((10, 10), 7.0)], ["flat"])


def test_labels_must_be_as_many_as_images():
    with pytest.raises(ValueError, match="as many labels"):
        plot_montage([np.ones((3, 3))], [])


def test_the_confusion_matrix_shows_counts_and_shares(tmp_path):
    confusion = np.array([[8, 2], [0, 5]])
    figure = plot_confusion(confusion, ["quiet", "spot"], n_events=4)
    axes = figure.axes[0]
    assert texts(axes) == ["8\n80.0%", "2\n20.0%", "5\n100.0%"]
    shares = np.asarray(axes.images[0].get_array())
    assert shares == pytest.approx(np.array([[0.8, 0.2], [0, 1]]))
    assert [t.get_text() for t in axes.get_yticklabels()] == ["quiet (10)", "spot (5)"]
    assert "true" in axes.get_ylabel()
    assert "15 frames of 4 events" in axes.get_title()
    plot_confusion(np.zeros((2, 2), int), ["quiet", "spot"])


def test_reliability_and_risk_name_their_axes(generator):
    probability = generator.dirichlet(np.ones(4), size=300)
    truth = probability.argmax(axis=1)
    scores = class_scores(probability, truth, np.arange(300) // 5, n_draws=50)
    figure = plot_class_reliability({"network": scores.reliability}, errors={"network": 0.123})
    axes, counts = figure.axes
    line = axes.lines[1]
    filled = scores.reliability.count > 0
    assert line.get_ydata() == pytest.approx(scores.reliability.accuracy[filled])
    assert "ECE 0.123" in line.get_label()
    assert "probability" in counts.get_xlabel()
    curve = risk_coverage(1 - probability.max(axis=1), truth == 0)
    (axes,) = plot_risk_coverage({"error": curve}, mark=(0.9, 0.2)).axes
    assert axes.lines[0].get_ydata()[-1] == (truth == 0).mean()
    assert "wrong" in axes.get_ylabel()


@pytest.mark.parametrize("grid", [None, (-100, 200, 0.5)])
def test_the_overlay_colours_the_likeliest_class_and_leaves_quiet_clear(grid):
    image = np.arange(40 * 60.0).reshape(40, 60)
    probability = np.zeros((6, 10, 15))
    probability[3] = 1
    probability[3, 2:5, 3:6], probability[4, 2:5, 3:6] = 0, 1
    probability[5, 8, 8] = 1
    figure = plot_map_overlay(
        image, probability, NAMES[:5], step=4, quiet=3, grid_arcsec=grid, marks=[("spot", 16, 12)]
    )
    axes = figure.axes[0]
    layer = axes.images[1].get_array()
    assert (layer[..., 3] > 0).sum() == 9
    assert layer[3, 4, 3] == pytest.approx(0.75)
    assert ("arcsec" if grid else "pixels") in axes.get_xlabel()
    edges = (-100.25, -70.25, 199.75, 219.75) if grid else (-0.5, 59.5, -0.5, 39.5)
    assert [tuple(shown.get_extent()) for shown in axes.images] == [edges, edges]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "sunspot" in labels
    assert "quiet Sun: clear" in labels
    assert "probability" in figure.axes[1].get_ylabel()


def test_names_of_regions_that_touch_are_set_apart():
    marks = [("flare ribbon", 30 + k % 2, 20 + 0.3 * k) for k in range(5)] + [("sunspot", 5, 35)]
    image = np.arange(40 * 60.0).reshape(40, 60)
    probability = np.zeros((6, 10, 15))
    probability[3] = 1
    figure = plot_map_overlay(image, probability, NAMES[:5], step=4, quiet=3, marks=marks)
    figure.draw_without_rendering()
    named = [text for text in figure.axes[0].texts if text.get_text()]
    assert len(named) == len(marks)
    boxes = [text.get_window_extent() for text in named]
    pairs = [(a, b) for k, a in enumerate(boxes) for b in boxes[:k]]
    assert not any(a.overlaps(b) for a, b in pairs)
    assert named[-1].xyann == named[0].xyann == (4, 4)  # with room for it, a name stays
