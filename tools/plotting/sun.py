"""Figures of the Sun itself: an image in its instrument's colours, a day of X-ray flux."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.dates import DateFormatter, HourLocator
from matplotlib.patches import Circle
from sunpy.visualization.colormaps import cm as sun_colours

from tools.channels import channel_name, channel_unit
from tools.plotting.style import CLASS_LINES, COLOURS, new_figure

__all__ = ["plot_aia_image", "plot_channels", "plot_xray_day"]

_AIA_UNIT = channel_unit(171)


def plot_aia_image(
    image: np.ndarray,
    *,
    wavelength_angstrom: int,
    extent_arcsec: tuple[float, float, float, float],
    radius_arcsec: float,
    unit: str,
    title: str = "",
    axes: Axes | None = None,
) -> Axes:
    """Draw an AIA image in its own colour table, solar north up, west to the right.

    Parameters
    ----------
    image : (y, x) float
        Row 0 is the southern edge.
    extent_arcsec : (left, right, bottom, top)
        Helioprojective coordinates of the outer pixel edges.
    radius_arcsec : float
        Radius of the solar disc, drawn as a thin circle.
    """
    axes = axes or new_figure(4.6, 4.2)[1]
    finite = np.isfinite(image)
    top = np.percentile(image[finite], 99.7)
    shown = axes.imshow(
        np.where(finite, image, 0),
        origin="lower",
        extent=extent_arcsec,
        cmap=sun_colours.cmlist[f"sdoaia{wavelength_angstrom}"],
        norm=PowerNorm(0.5, vmin=0, vmax=top, clip=True),
        interpolation="nearest",
    )
    axes.add_patch(Circle((0, 0), radius_arcsec, fill=False, color="white", linewidth=0.6, ls=":"))
    axes.set_xlabel("helioprojective x (arcsec)")
    axes.set_ylabel("helioprojective y (arcsec)")
    axes.set_title(title)
    axes.figure.colorbar(shown, ax=axes, label=unit, shrink=0.85)
    return axes


def plot_channels(
    images: np.ndarray,
    channels: tuple[int | str, ...],
    *,
    title: str = "",
    mark: tuple[float, float] | None = None,
    half_field: float = 1.28,
) -> list[Axes]:
    """Draw all channels of one image side by side, each in its own colour table.

    Parameters
    ----------
    images : (channel, y, x) float
        In the unit of ``tools.channels.channel_unit``; row 0 is the southern edge. A channel
        without a value is named as missing.
    channels : tuple
        Of ``AIA_CHANNELS`` and ``HMI_CHANNELS``.
    mark : (x, y), optional
        A place to circle, in solar radii to the west and north of the centre.
    half_field : float
        Half the image's width in solar radii.
    """
    columns = -(-len(channels) // 2)
    figure, grid = new_figure(2.7 * columns, 5.6, nrows=2, ncols=columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, image, channel in zip(grid.ravel(), images, channels, strict=False):
        finite = np.isfinite(image)
        unit = channel_unit(channel)
        axes.set_title(channel_name(channel) if unit == _AIA_UNIT else f"{channel} ({unit})")
        if not finite.any():
            axes.text(0.5, 0.5, "missing", ha="center", transform=axes.transAxes)
            continue
        top = max(float(np.percentile(np.abs(image[finite]), 99.7)), 1e-6)
        if channel == "B_los":
            look, ticks = {"cmap": "gray", "norm": Normalize(-top, top, clip=True)}, [-top, 0, top]
        else:
            name = f"sdoaia{channel}"
            colours = sun_colours.cmlist[name] if name in sun_colours.cmlist else "gray"
            norm = PowerNorm(0.5, vmin=0, vmax=top, clip=True)
            look, ticks = {"cmap": colours, "norm": norm}, [0, top / 4, top]
        shown = axes.imshow(
            np.where(finite, image, 0), origin="lower", interpolation="nearest", **look
        )
        if mark is not None:
            half = (len(image) - 1) / 2
            at = [half + place / half_field * len(image) / 2 for place in mark]
            ring = Circle(at, 0.06 * len(image), fill=False, color="white", linewidth=0.9)
            axes.add_patch(ring)
        bar = figure.colorbar(shown, ax=axes, orientation="horizontal", shrink=0.8, pad=0.02)
        bar.set_ticks(ticks, labels=[f"{v:.0f}" if abs(v) > 99 else f"{v:.2g}" for v in ticks])
    what = "" if all(isinstance(c, int) for c in channels) else "AIA: "
    figure.suptitle(f"{title} ({what}DN s$^{{-1}}$ pix$^{{-1}}$)".strip(), fontsize=9)
    return list(grid.ravel())


def plot_xray_day(
    time: np.ndarray,
    long_flux: np.ndarray,
    short_flux: np.ndarray,
    *,
    peaks: list[tuple[np.datetime64, float, str]],
    title: str = "",
    axes: Axes | None = None,
) -> Axes:
    """Draw X-ray flux of up to a few days with flare classes and peaks.

    Parameters
    ----------
    time : (minute,) datetime64
    long_flux, short_flux : (minute,) float, W m-2
    peaks : list of (time, flux, text)
    """
    axes = axes or new_figure(7.0, 3.6)[1]
    when = time.astype("datetime64[s]").astype(object)
    axes.semilogy(when, long_flux, color=COLOURS["observed"], linewidth=1, label="1-8 \u212b")
    axes.semilogy(when, short_flux, color=COLOURS["network"], linewidth=1, label="0.5-4 \u212b")
    for peak_time, flux, text in peaks:
        axes.annotate(
            text,
            (peak_time.astype("datetime64[s]").astype(object), flux),
            xytext=(6, 4),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set_ylim(5e-10, max(2e-4, 2 * float(np.nanmax(long_flux))))
    for letter, level in CLASS_LINES.items():
        axes.axhline(10.0**level, color="0.85", linewidth=0.8, zorder=0)
        axes.text(
            1.01, 10.0**level, f"{letter}1", transform=axes.get_yaxis_transform(), va="center"
        )
    axes.xaxis.set_major_locator(HourLocator(byhour=range(0, 24, 4)))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.set_xlabel(f"UTC on {str(time[len(time) // 2])[:10]}")
    axes.set_ylabel("flux (W m$^{-2}$)")
    axes.set_title(title)
    axes.legend(fontsize=8, loc="upper right")
    return axes
