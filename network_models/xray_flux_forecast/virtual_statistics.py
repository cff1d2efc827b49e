"""The virtual Sun's statistics beside the real Sun's, as a section of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.record import VIRTUAL_START, hour_of_time
from dataset_models.virtual_sun.x_rays import VirtualXRays
from tools.channels import AIA_CHANNELS
from tools.physics.flare_class import OPERATIONAL, class_name
from tools.plotting.style import save_figure
from tools.plotting.sun import plot_xray_day
from tools.report.report import Figure, Section, Table, write_section
from tools.score_card import EVENTS
from tools.tables import read_table

__all__ = ["virtual_statistics", "write_statistics_section"]

_IMAGES = 400
_HOURS = 200


def virtual_statistics(dataset: FDL1) -> dict[str, tuple[float, float | None]]:
    """Give mean and spread of what ``tools/tables/real_sun_statistics.csv`` holds.

    Returns
    -------
    dict
        By the table's quantities. Channels: over the pixels of up to 400 images, DN s-1 pix-1; a
        day counts by the largest flux in a sample's label window.
    """
    rows = np.unique(np.linspace(0, len(dataset.times) - 1, _IMAGES).astype(int))
    totals = np.zeros((3, len(AIA_CHANNELS)))
    for row in rows:
        sample = dataset.read(np.array([row]))
        image = sample["aia"][0, -1].astype(float)
        there = sample["aia_present"][0, -1] > 0
        totals += there * [image.mean(axis=(0, 1)), (image**2).mean(axis=(0, 1)), there]
    mean = totals[0] / np.maximum(totals[2], 1)
    spread = np.sqrt(np.maximum(totals[1] / np.maximum(totals[2], 1) - mean**2, 0))
    out: dict[str, tuple[float, float | None]] = {
        str(c): (float(m), float(s)) for c, m, s in zip(AIA_CHANNELS, mean, spread, strict=True)
    }
    known = dataset.log10_peak_flux[np.isfinite(dataset.log10_peak_flux)]
    for name, flux in EVENTS.items():
        out[f"days with {name}"] = float((known >= np.log10(flux) - 1e-9).mean()), None
    peaks = dataset.record.peak_flux
    peaks = peaks[peaks >= EVENTS[">=C1"] * (1 - 1e-9)]
    days = (dataset.record.end - dataset.record.start) / np.timedelta64(86400, "s")
    out["flares >=C1 per day"] = len(peaks) / days, None
    out["flare index"] = float(peaks.sum() / 1e-6 / days), None
    return out


def _draw_day(path: Path, virtual: VirtualRecord, x_rays: VirtualXRays) -> None:
    """Draw both fluxes on the day of the record's largest visible flare."""
    flares = virtual.visible_flares()
    largest = int(np.argmax(flares.peak_flux))
    day = int(flares.hour[largest]) // 24
    series = x_rays.series(24 * day, 24, scaling=OPERATIONAL)
    long, short = (
        np.where(good, flux, np.nan)
        for good, flux in (
            (series.long_is_good, series.long_flux),
            (series.short_is_good, series.short_flux),
        )
    )
    peak = float(flares.peak_flux[largest])
    minute = int(flares.hour[largest]) * 60 + int(flares.minute[largest])
    time = VIRTUAL_START + minute * np.timedelta64(60, "s")
    axes = plot_xray_day(
        series.time.astype("datetime64[s]"),
        long,
        short,
        peaks=[(time, peak, f"{class_name(peak)} at {str(time)[11:16]}")],
        title="virtual Sun (synthetic), operational scale",
    )
    save_figure(axes.figure, path)


def write_statistics_section(folder: Path, dataset: FDL1, virtual: VirtualRecord) -> None:
    """Write the table of both Suns, and the X-ray flux of the virtual plasma in words."""
    found = virtual_statistics(dataset)
    _, real = read_table("real_sun_statistics")
    rows = []
    for quantity, mean, spread, unit in real:
        ours, width = found[quantity]
        name = f"{quantity} Å" if quantity.isdigit() else quantity
        both = f"{width:.3g} / {spread}" if width is not None else ""
        rows.append([name, f"{ours:.3g}", mean, both, "" if unit == "1" else unit])
    hours = hour_of_time(dataset.times)
    x_rays = VirtualXRays(virtual)
    step = max(len(hours) // _HOURS, 1)
    flux = np.array([x_rays.fluxes(int(h)) for h in hours[::step]])
    low, middle, high = np.percentile(flux[:, 0], [10, 50, 90])
    _draw_day(folder / "virtual_day.png", virtual, x_rays)
    section = Section(
        title="The virtual Sun beside the real one",
        order=15,
        text=[
            "All images and flares of this run are synthetic. This is how they compare with the "
            "real Sun; nothing was fitted to make them agree in this run.",
            f"The GOES-15 response to the same plasma gives 1-8 A fluxes of {low:.2g}, "
            f"{middle:.2g} and {high:.2g} W m-2 (10, 50 and 90 % of the issue times, true scale) "
            f"and a ratio of 0.5-4 A to 1-8 A of {np.median(flux[:, 1] / flux[:, 0]):.3f}.",
        ],
        figures=[
            Figure(
                "virtual_day.png",
                "X-ray flux of the virtual plasma (synthetic) on the day of the record's largest "
                "flare: one sample a minute, with noise; flagged samples and gaps left out.",
            )
        ],
        tables=[
            Table(
                "Real: SDOMLv2 images (2010-2020) and NOAA's flare list of two whole cycles "
                "(1996-2018); sources in tools/tables/real_sun_statistics.csv. The flare index is "
                "the sum of the peak fluxes of all flares of C1 or more.",
                ["quantity", "virtual, mean", "real, mean", "spread, virtual / real", "unit"],
                rows,
            )
        ],
    )
    write_section(folder, section)
