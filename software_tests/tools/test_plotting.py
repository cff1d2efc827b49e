"""Axes carry quantities and units, images stand upright, drawings show every layer."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tools.plotting.architecture import draw_architecture
from tools.plotting.forecasts import (
    plot_band,
    plot_learning_curves,
    plot_reliability,
    plot_roc,
)
from tools.plotting.sun import plot_aia_image, plot_xray_day


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_north_is_up_and_west_is_right():
    image = np.zeros((8, 8))
    image[7, 7] = 100.0  # north-west corner
    axes = plot_aia_image(
        image,
        wavelength_angstrom=171,
        extent_arcsec=(-1200, 1200, -1200, 1200),
        radius_arcsec=970,
        unit="DN s$^{-1}$",
    )
    shown = axes.images[0]
    assert shown.origin == "lower"
    assert tuple(shown.get_extent()) == (-1200, 1200, -1200, 1200)
    assert shown.get_array()[7, 7] == 100
    assert "arcsec" in axes.get_xlabel()
    assert axes.figure.axes[1].get_ylabel() == "DN s$^{-1}$"
    assert shown.cmap.name == "SDO AIA 171 Angstrom" or "171" in shown.cmap.name


def test_x_ray_days_name_unit_date_and_peaks():
    minute = np.datetime64("2011-06-07T00:00:00") + 60 * np.arange(1440).astype("timedelta64[s]")
    axes = plot_xray_day(
        minute, np.full(1440, 1e-7), np.full(1440, 1e-9), peaks=[(minute[401], 2.5e-5, "M2.5")]
    )
    assert "W m" in axes.get_ylabel()
    assert "2011-06-07" in axes.get_xlabel()
    assert any(text.get_text() == "M2.5" for text in axes.texts)


def test_bands_mark_classes_and_leave_out_what_did_not_come():
    times = np.datetime64("2014-01-01T00:00:00") + np.arange(5) * np.timedelta64(1, "D")
    quantiles = np.tile([-6.5, -6, -5.5, -5, -4.5], (5, 1))
    axes = plot_band(times, quantiles, np.array([-7, -5, -6, -7, -4.2]), floor=-7.0)
    came = next(line for line in axes.lines if line.get_label() == "came true")
    assert len(came.get_xdata()) == 3
    assert {"C1", "M1", "X1"} <= {text.get_text() for text in axes.texts}
    assert "log10" in axes.get_ylabel()


def test_learning_curves_mark_the_best_epoch():
    history = [{"epoch": k, "loss": 3 / k, "val_loss": abs(k - 3) + 1} for k in range(1, 6)]
    axes = plot_learning_curves(history)
    best = next(line for line in axes.lines if line.get_label() == "best")
    assert best.get_xdata()[0] == 3
    assert axes.get_xlabel() == "epoch"


def test_reliability_and_roc_have_a_panel_per_event():
    curve = {"mean_probability": [0.1, 0.5], "frequency": [0.2, 0.4], "count": [10, 3]}
    axes = plot_reliability({">=C1": {"network": curve}, ">=M1": {"network": curve}})
    assert [a.get_title() for a in axes[:2]] == [">=C1", ">=M1"]
    assert axes[0].get_ylabel() == "observed frequency"
    axes = plot_roc({">=C1": {"network": (np.array([0, 1]), np.array([0, 1]))}})
    assert axes[0].get_xlabel() == "false alarm rate"


def test_drawings_are_written(tmp_path):
    layers = [("in", "InputLayer", "batch x 3", 0), ("a", "Dense", "batch x 2", 8)]
    layers.append(("b", "Concatenate", "batch x 5", 0))
    path = draw_architecture(layers, [("in", "a"), ("a", "b"), ("in", "b")], tmp_path / "a.png")
    image = plt.imread(path)
    assert image.shape[0] > 200
    assert image[..., :3].min() < 0.5  # something is drawn


def test_arrows_of_long_ways_stay_on_the_drawing(tmp_path):
    layers = [(f"layer {k}", "Dense", "batch x 4", 20) for k in range(25)]
    names = [name for name, *_ in layers]
    links = [*zip(names[:-1], names[1:], strict=True), (names[0], names[-1]), (names[0], names[12])]
    image = plt.imread(draw_architecture(layers, links, tmp_path / "a.png"))
    ink = image[..., :3].min(axis=2) < 0.9
    assert not ink[:, -5:].any()  # nothing is cut off at the side round which arrows go
    assert ink[:, : ink.shape[1] // 2].any()
    columns = np.flatnonzero(ink.any(axis=0))
    assert columns[-1] > columns[0] + 1.3 * 290  # they go round the boxes, 2.9 wide at 100 dots
