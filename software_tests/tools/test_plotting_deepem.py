"""Figures of imitated inversions: what is drawn lies where it belongs, with its unit."""

import numpy as np
import pytest

from tools.plotting.deepem import (
    plot_bins_beside_channels,
    plot_loss_curves,
    plot_solutions_mean,
    plot_synthesis,
)
from tools.plotting.style import save_figure


def images(generator, scale=1.0):
    return {c: scale * generator.lognormal(0, 1, (8, 10)) for c in (171, 211, 94)}


@pytest.mark.parametrize("empty", [0.0, np.nan])
def test_maps_have_the_south_below_units_and_one_scale(generator, tmp_path, empty):
    dn, teacher = images(generator, 100.0), images(generator, 1e26)
    network = {c: np.full((8, 10), empty) for c in dn}
    log_t = {171: 5.9, 211: 6.3, 94: 7.0}
    figure = plot_bins_beside_channels(
        dn, {"teacher": teacher, "network": network}, log_t, title="test"
    )
    panels = [a for a in figure.axes if a.images and a.get_title()]
    assert len(panels) == 9
    for axes in panels:
        assert axes.images[0].origin == "lower"
    for row in range(3):
        _, a, b = panels[3 * row : 3 * row + 3]
        assert a.images[0].norm.vmax == b.images[0].norm.vmax
    units = [a.get_ylabel() for a in figure.axes if a.get_ylabel()]
    assert len(units) == 9
    assert set(units) == {"DN s$^{-1}$ pix$^{-1}$", "cm$^{-5}$"}
    save_figure(figure, tmp_path / "x.png")


def test_synthesis_is_drawn_on_the_observed_scale(generator, tmp_path):
    dn = images(generator, 50.0)
    made = {"teacher": images(generator, 500.0)}
    figure = plot_synthesis(dn, made, title="test")
    panels = [a for a in figure.axes if a.images and a.get_title()]
    for row in range(3):
        a, b = panels[2 * row : 2 * row + 2]
        assert a.images[0].norm.vmax == b.images[0].norm.vmax
    save_figure(figure, tmp_path / "x.png")


def test_curves_have_logarithmic_axes(tmp_path):
    history = [{"epoch": k, "loss": 1 / k, "val_loss": 2 / k} for k in range(1, 6)]
    axes = plot_loss_curves(history, label="loss (1)")
    assert axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.lines] == ["training", "validation"]
    save_figure(axes.figure, tmp_path / "a.png")
    edges = np.linspace(5.45, 7.25, 19)
    curves = {"teacher": np.geomspace(1e25, 1e27, 18), "network": np.zeros(18)}
    axes = plot_solutions_mean(curves, edges)
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(axes.lines[0].get_xdata(), 5.5 + 0.1 * np.arange(18))
    assert axes.get_ylim()[1] > 1e27
    save_figure(axes.figure, tmp_path / "b.png")
