"""Reads rasters of IRIS (level 2): one spectral window of one or several files, with its noise.

Errors are of photons and of the read-out (De Pontieu et al. 2014, doi:10.1007/s11207-014-0485-y,
sections 4 and 5; IRIS Technical Note 26): sigma^2 = max(DN, 0) / g + r^2, with g = 4 photons/DN (6
electrons/DN at 1.5 electrons/photon) and r = 3.1 DN in the far, g = 18 photons/DN and r = 1.2 DN in
the near ultraviolet. The observed DN stand for their expectation, so that faint wavelengths get
errors that are a little too small; steps of calibration that smooth are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.fits_files.cards import HeaderCards, finite_number, hdu_cards, header_cards
from dataset_models.fits_files.header_time import observation_time
from dataset_models.fits_files.opening import opened_hdus
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.slit_scan import scan_coordinates, usual_step
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.spectral_windows import chosen_window
from dataset_models.spectra.wavelength_axis import increasing, linear_axis

__all__ = ["is_iris_raster", "read_iris_raster"]

_FILL = -10.0  # DN; fill is -200, and what was interpolated from it lies between; noise is +- 3 DN
_SATURATED = 16383.0  # DN, the converter's 14 bits
_PHOTONS_PER_DN = {"FUV": 4.0, "NUV": 18.0}
_READOUT_DN = {"FUV": 3.1, "NUV": 1.2}
_SAME_GRID = 1e-3  # angstrom
_LARGEST_DECIMATION = 64


@dataclass(frozen=True)
class _Raster:
    """One window of one file: values (x, y, wavelength) in DN."""

    name: str
    values: np.ndarray
    saturated: np.ndarray
    wavelength: np.ndarray
    times: np.ndarray
    pointing: np.ndarray
    wcs: dict
    header: dict
    detector: str
    window: str
    remarks: tuple[str, ...]
    notes: tuple[str, ...]


def is_iris_raster(cards: HeaderCards) -> bool:
    """Return whether a primary header is one of an IRIS raster of level 2."""
    telescope, instrument = (str(cards.get(k, "")).upper() for k in ("TELESCOP", "INSTRUME"))
    return telescope.startswith("IRIS") and instrument.startswith("SPEC")


def read_iris_raster(
    paths: str | Path | Sequence[str | Path], *, window: str | float = ""
) -> SpectralCube:
    """Read a window of a raster, (y = slit, x = raster step in time, 1, wavelength) in DN.

    Values below -10 DN are fill, also interpolated fill: NaN. Infinity and values of 16,383 DN or
    more (in files of 16 bits: of the largest number they can store) are saturated: NaN, and the
    pixel is marked. Negative values above -10 stay: they are noise around a subtracted background.

    Where a file was thinned out and its header was not, the true step comes from TWMIN and TWMAX,
    and each value counts as the mean of the pixels that it stands for (checked on Si IV and Mg II
    lines of the one file at hand: to 0.3 steps). Calibrate the zero on a line before speaking of
    velocities.

    Parameters
    ----------
    paths : path or sequence of paths
        Files of one observation (r00000, r00001, ...), put together in the order of time.
    window : str or float
        "Si IV 1403", a number from 1, or a wavelength in angstrom (vacuum).

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    DataIntegrityError
        If no file can be used, or the window is not clear.
    """
    files = [Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths)]
    rasters, left_out = [], []
    for path in files:
        try:
            rasters.append(_read_file(path, window))
        except DataIntegrityError as error:
            if len(files) == 1:
                raise
            left_out.append(str(error))
    if not rasters:
        raise DataIntegrityError(
            f"expected IRIS rasters, got none that can be used of {len(files)}: "
            f"{left_out[0] if left_out else 'no file was given'}"
        )
    kept = [rasters[0]]
    for raster in rasters[1:]:
        problem = _difference(kept[0], raster)
        left_out.append(f"{raster.name}: {problem}") if problem else kept.append(raster)
    kept.sort(key=lambda raster: raster.times[0])
    return _joined(kept, len(files), left_out)


def _joined(kept: list[_Raster], n_given: int, left_out: list[str]) -> SpectralCube:
    first = kept[0]
    values = np.concatenate([raster.values for raster in kept]).swapaxes(0, 1)
    saturated = np.concatenate([raster.saturated for raster in kept]).T
    notes = list(first.notes)
    if len(kept) > 1:
        notes.append(
            f"{len(kept)} rasters stand one after another along x, so the map has no coordinates; "
            "each column's are in pointing"
        )
    gain, readout = _PHOTONS_PER_DN[first.detector], _READOUT_DN[first.detector]
    sigma = np.sqrt(np.maximum(values, 0) / gain + readout**2)
    return SpectralCube(
        values[:, :, None],
        first.wavelength,
        sigma=sigma[:, :, None],
        saturated=saturated,
        unit="DN",
        instrument=f"IRIS/{first.detector}",
        line=first.window,
        time=str(first.times[0]),
        wcs=first.wcs if len(kept) == 1 else {},
        header=first.header,
        summary=ReadingSummary(
            n_given, tuple(left_out), tuple(r for k in kept for r in k.remarks), tuple(notes)
        ),
        times=np.concatenate([raster.times for raster in kept]),
        pointing=np.concatenate([raster.pointing for raster in kept]),
    )


def _difference(first: _Raster, other: _Raster) -> str:
    """Return why two files can't be put together, "" if they can."""
    if other.window != first.window:
        return f"expected the window {first.window} as in {first.name}, got {other.window}"
    if other.values.shape[1:] != first.values.shape[1:]:
        return (
            f"expected (slit, wavelength) {first.values.shape[1:]} as in {first.name}, got "
            f"{other.values.shape[1:]}"
        )
    if np.abs(other.wavelength - first.wavelength).max() > _SAME_GRID:
        return f"its wavelengths differ from those of {first.name}"
    if other.times[0] == first.times[0]:
        return f"starts at the time of {first.name}: a copy"
    return ""


def _read_file(path: Path, window: str | float) -> _Raster:
    name = path.name
    with opened_hdus(path) as hdus:
        cards = header_cards(hdus[0].header)
        if not is_iris_raster(cards):
            raise DataIntegrityError(
                f"{name}: expected a raster of IRIS, level 2, got TELESCOP "
                f"{cards.get('TELESCOP', 'missing')!r} and INSTRUME "
                f"{cards.get('INSTRUME', 'missing')!r}; read it as plain spectra"
            )
        try:
            n_windows = int(finite_number(cards, "NWIN"))
            names = [str(cards[f"TDESC{k}"]).strip() for k in range(1, n_windows + 1)]
            ranges = [
                (finite_number(cards, f"TWMIN{k}"), finite_number(cards, f"TWMAX{k}"))
                for k in range(1, n_windows + 1)
            ]
        except (KeyError, ValueError) as error:
            raise DataIntegrityError(
                f"{name}: expected NWIN, TDESC, TWMIN and TWMAX of its windows, got {error}; fetch "
                "the file again"
            ) from None
        k = chosen_window(window, names, ranges, name, first=1)
        own = hdu_cards(hdus, k + 1) if k + 1 < len(hdus) else HeaderCards()  # scaling drops cards
        if len(hdus) < n_windows + 2 or hdus[k + 1].data is None or hdus[k + 1].data.ndim != 3:
            raise DataIntegrityError(
                f"{name}: expected {n_windows} windows (step, slit, wavelength) and auxiliary "
                f"data, got {len(hdus)} HDUs; fetch the file again"
            )
        stored = np.asarray(hdus[k + 1].data, float)
        auxiliary = _auxiliary(hdus[n_windows + 1], name, len(stored))
    values, saturated, remarks = _masked(stored, own, name)
    wavelength, decimation, remark = _wavelengths(own, ranges[k], stored.shape[2], name)
    wavelength, order, _ = increasing(wavelength, name)
    start = observation_time({"DATE-OBS": cards.get("STARTOBS", cards.get("DATE_OBS", ""))})
    pointing = np.stack([auxiliary["XCENIX"], auxiliary["YCENIX"]], 1)
    wcs, note = _coordinates(cards, own, pointing, stored.shape[:2], name)
    keys = ("OBSID", "OBS_DESC", "SAT_ROT", "SUMSPTRF", "SUMSPTRN", "SUMSPAT")
    header = {key: cards[key] for key in keys if key in cards} | {"WINDOW": names[k]}
    detector = str(cards.get(f"TDET{k + 1}", "")).upper()[:3]
    if detector not in _READOUT_DN:
        detector = "NUV" if wavelength[0] > 2000 else "FUV"
    exposure = auxiliary["EXPTIMEF" if detector == "FUV" else "EXPTIMEN"]
    return _Raster(
        name,
        values[..., order],
        saturated,
        wavelength,
        start + np.round(auxiliary["TIME"] * 1000).astype("timedelta64[ms]"),
        pointing,
        wcs,
        header | {"EXPTIME": float(np.median(exposure)), "DECIMATION": decimation},
        detector,
        names[k],
        tuple(text for text in (*remarks, remark) if text),
        (note,) if note else (),
    )


def _auxiliary(hdu: fits.ImageHDU, name: str, n_steps: int) -> dict[str, np.ndarray]:
    """Return columns of the auxiliary image by the names that its header gives them."""
    cards = header_cards(hdu.header)
    data = np.asarray(hdu.data, float) if hdu.data is not None else np.zeros((0, 0))
    out = {}
    for key in ("TIME", "EXPTIMEF", "EXPTIMEN", "XCENIX", "YCENIX"):
        column = cards.get(key)
        if not isinstance(column, int) or data.shape[:1] != (n_steps,) or column >= data.shape[1]:
            raise DataIntegrityError(
                f"{name}: expected {key} of {n_steps} raster steps in the auxiliary data, got "
                f"column {column} of {data.shape}; fetch the file again"
            )
        out[key] = data[:, column]
    return out


def _masked(
    stored: np.ndarray, cards: HeaderCards, name: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return values with NaN where there is none, saturated pixels, and a remark."""
    full = _SATURATED
    if cards.get("BITPIX") == 16:
        top = 32767 * finite_number(cards, "BSCALE", 1.0) + finite_number(cards, "BZERO", 0.0)
        full = min(full, top)
    with np.errstate(invalid="ignore"):
        saturated, filled = stored >= full, stored < _FILL
    values = np.where(saturated | filled | ~np.isfinite(stored), np.nan, stored)
    if not np.isfinite(values).any():
        raise DataIntegrityError(
            f"{name}: expected values above {_FILL:g} DN, got fill alone; choose another window"
        )
    remarks = [f"{name}: {filled.mean():.0%} of the values are fill and missing"]
    return values, saturated.any(2), remarks if filled.any() else []


def _wavelengths(
    cards: HeaderCards, span: tuple[float, float], n: int, name: str
) -> tuple[np.ndarray, int, str]:
    """Return the axis in angstrom, of how many pixels each value stands, and a remark."""
    axis = linear_axis(cards, 1, n, name)
    step = axis[1] - axis[0] if n > 1 else np.nan
    n_true = (span[1] - span[0]) / step + 1
    decimation = round(n_true / n) if np.isfinite(n_true) else 0
    # TWMAX may be an edge or a centre, and thinning cuts at most one value from the end
    fits_span = decimation >= 1 and abs(n_true / decimation - n) <= 1.5
    if fits_span and decimation == 1:
        return axis, 1, ""
    if not (fits_span and decimation <= _LARGEST_DECIMATION):
        raise DataIntegrityError(
            f"{name}: expected {n} wavelengths of {step:g} angstrom to span TWMIN to TWMAX, "
            f"{span[0]:.3f} to {span[1]:.3f}, got another span; fetch the file again"
        )
    axis = span[0] + ((decimation - 1) / 2 + decimation * np.arange(n)) * step
    return (
        axis,
        decimation,
        f"{name}: thinned out {decimation} times with a header that isn't; the step is "
        f"{decimation * step:.4f} angstrom by TWMIN and TWMAX, the zero is uncertain by 0.3 steps",
    )


def _coordinates(
    cards: HeaderCards, own: HeaderCards, pointing: np.ndarray, shape: tuple[int, int], name: str
) -> tuple[dict, str]:
    """Return the coordinates of (x steps, y slit), or {} with the reason."""
    n_x, n_y = shape
    moves = abs(finite_number(cards, "STEPS_AV", finite_number(own, "CDELT3", 0.0))) > 0
    if not moves or n_x < 2:
        return {}, f"{name}: the slit stands still (sit and stare): columns are times"
    x_step = usual_step(np.arange(n_x), pointing[:, 0])
    y_step = finite_number(own, "CDELT2")
    field = finite_number(cards, "FOVY", 0.0)
    if field and round(field / y_step / n_y) > 1:  # thinned out along the slit, too
        y_step = field / n_y
    # independent of how the steps are divided between PC and CDELT; its sign is that of PC2_3
    product = finite_number(own, "PC3_2", 0.0) * finite_number(own, "PC2_3", 0.0)
    sine = np.sign(finite_number(own, "PC2_3", 0.0)) * np.sqrt(min(max(-product, 0.0), 1.0))
    wcs = scan_coordinates(
        (n_y, n_x),
        centre=(float(np.median(pointing[:, 0])), float(np.median(pointing[:, 1]))),
        step=(x_step, y_step),
        roll_deg=float(np.degrees(np.arcsin(sine))),
    )
    return wcs, "" if wcs else f"{name}: the slit stands still: columns are times"
