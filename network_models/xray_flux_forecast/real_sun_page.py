"""The report's first page: the real Sun, from the two observations in sunpy's own wheel."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits

from dataset_models.GOES.flare_finder import record_of_series
from dataset_models.GOES.xrs import read_xrs
from tools.physics.flare_class import OPERATIONAL, TRUE, flux_to_class
from tools.plotting.style import save_figure
from tools.plotting.sun import plot_aia_image, plot_xray_day
from tools.report.report import Figure, Section, Table, write_section

__all__ = ["write_real_sun_section"]

_GOES_FILE, _AIA_FILE = "go1520110607.fits", "aia_171_level1.fits"


def write_real_sun_section(folder: str | Path) -> None:
    """Draw one day of GOES-15 and one AIA 171 image, with what our code reads off them.

    Raises
    ------
    FileNotFoundError
        If the installed sunpy brings no sample data.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = _sunpy_data()
    series = read_xrs(data / _GOES_FILE)
    record = record_of_series(series)
    minute, flux = series.minute_averages()
    rows, peaks = [], []
    for time, peak in zip(record.peak_time, record.peak_flux, strict=True):
        names = [
            flux_to_class(peak * u.W / u.m**2, flux_scale=series.scaling, class_scale=scale)
            for scale in (OPERATIONAL, TRUE)
        ]
        peaks.append((time, peak, f"{names[0]} at {str(time)[11:16]}"))
        rows.append([str(time)[:16].replace("T", " "), f"{peak:.3e}", *names])
    short = _minute_mean(series.time, series.short_flux, series.short_is_good, minute)
    axes = plot_xray_day(
        minute,
        flux,
        short,
        peaks=peaks,
        title=f"{series.satellite}, real data, {series.scaling} scale",
    )
    save_figure(axes.figure, folder / "goes_day.png")
    date = _draw_aia(data / _AIA_FILE, folder / "aia_171.png")
    faults = ", ".join(f"{name}: {count}" for name, count in record.faults.items())
    section = Section(
        title="The real Sun first",
        order=10,
        text=[
            "Before anything synthetic, two real observations that come with the sunpy package, "
            "read by this suite's own readers. They have no part in the training below.",
            f"{len(series.time):,} samples of {series.satellite}, one every "
            f"{series.cadence_s:.3f} s ({series.time_is}); {faults}. The fluxes stand on the "
            "operational scale, into which NOAA multiplied 0.7 (1-8 A); the true irradiance and "
            "the class read off it are higher by 1 / 0.7.",
        ],
        figures=[
            Figure("goes_day.png", "One day of real X-ray flux, averaged over minutes (sunpy)."),
            Figure(
                "aia_171.png",
                f"AIA 171 A on {date}, level 1, real data, rebinned to 128 x 128 (sunpy). North is "
                "up, west to the right; the dotted circle is the photospheric limb.",
            ),
        ],
        tables=[
            Table(
                "Flares found in this day by the rule of NOAA's event list.",
                ["peak (UTC)", "1-8 A flux (W m-2)", "class, operational", "class, true scale"],
                rows,
            )
        ],
    )
    write_section(folder, section)


def _sunpy_data() -> Path:
    spec = find_spec("sunpy")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data" / "test"
    if not (folder / _GOES_FILE).is_file() or not (folder / _AIA_FILE).is_file():
        raise FileNotFoundError(
            f"the installed sunpy brings no {_GOES_FILE} and {_AIA_FILE}; install the version of "
            "requirements.txt"
        )
    return folder


def _minute_mean(time, flux, good, minute) -> np.ndarray:
    """Average samples over given minutes."""
    index = (time[good].astype("datetime64[m]") - minute[0].astype("datetime64[m]")).astype(int)
    count = np.bincount(index, minlength=len(minute))
    total = np.bincount(index, flux[good], minlength=len(minute))
    return np.divide(total, count, out=np.full(len(minute), np.nan), where=count > 0)


def _draw_aia(path: Path, output: Path) -> str:
    """Draw the image in DN s-1; give its time."""
    with warnings.catch_warnings():
        # the file has a BLANK card, which means nothing for its float data
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        with fits.open(path) as hdus:
            header, image = hdus[0].header, np.asarray(hdus[0].data, float)
    scale, n = header["CDELT1"], header["NAXIS1"]
    left = header["CRVAL1"] + (0.5 - header["CRPIX1"]) * scale
    bottom = header["CRVAL2"] + (0.5 - header["CRPIX2"]) * header["CDELT2"]
    date = header["DATE-OBS"][:16].replace("T", " ")
    axes = plot_aia_image(
        image / header["EXPTIME"],
        wavelength_angstrom=int(header["WAVELNTH"]),
        extent_arcsec=(left, left + n * scale, bottom, bottom + n * header["CDELT2"]),
        radius_arcsec=header["RSUN_OBS"],
        unit="DN s$^{-1}$ pix$^{-1}$",
        title=f"AIA {header['WAVELNTH']} \u212b, {date} UT",
    )
    save_figure(axes.figure, output)
    return date
