"""Reads scans of the Fast Imaging Solar Spectrograph (FISS), packed by principal components.

A scan is a pair of files: ``_c`` holds coefficients (x, y, 21), ``_p`` 20 eigenvectors (20,
wavelength); profile = (c[..., :20] @ p) 10^c[..., 20] in counts. Cards of the original file stand
in COMMENT, the wavelength axis among them, whose CRPIX1 counts from 0 (as in fisspy): on the
sunspot scans of 2014-06-03 the mean cores are then 1.5 (H-alpha) and 0.3 pixels (Ca II 8542) from
CRVAL1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from dataset_models.fits_files.cards import HeaderCards, finite_number, header_cards
from dataset_models.fits_files.opening import opened_hdus, quietly
from dataset_models.fits_files.values import pixel_values
from dataset_models.reading_summary import ReadingSummary
from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.spectral_cube import SpectralCube
from dataset_models.spectra.wavelength_axis import increasing
from tools.times import parse_time

__all__ = ["is_fiss", "read_fiss"]

_LARGEST_MISS = 3.0  # pixels; more is no Doppler shift of a mean profile (0.06 A: 2.6 km/s)
_LINES = {6562.8: "H-alpha", 8542.1: "Ca II 8542", 5889.95: "Na I D2", 5434.5: "Fe I 5434"}


def is_fiss(cards: HeaderCards) -> bool:
    """Return whether a header is one of packed FISS coefficients."""
    return "PFILE" in cards and cards.get("NAXIS") == 3


def read_fiss(path: str | Path) -> SpectralCube:
    """Read a scan, (y = slit, x = scan step, 1, wavelength) in counts.

    If the header's axis puts the core of the mean profile more than 3 pixels from CRVAL1, the axis
    is moved there, and the summary says so. Errors are None: packing took most of the noise away.
    There are no coordinates; TEL_XPOS and TEL_YPOS, arcsec, stay in ``header``.

    Parameters
    ----------
    path : path
        Of either file of the pair.

    Raises
    ------
    FileNotFoundError
        If a file of the pair is missing.
    DataIntegrityError
        If they don't fit each other, or the original cards lack the wavelength axis.
    """
    path = _coefficient_file(Path(path))
    with opened_hdus(path) as hdus:
        cards = header_cards(hdus[0].header)
        if not is_fiss(cards):
            raise DataIntegrityError(
                f"{path.name}: expected coefficients (x, y, component) and the card PFILE of FISS, "
                f"got {hdus[0].shape}; read it as plain spectra"
            )
        found = pixel_values(hdus[0], cards, path.name, shape=hdus[0].shape)
    vectors_path = path.with_name(Path(str(cards["PFILE"]).strip()).name)
    if not vectors_path.is_file():  # a renamed pair keeps its endings
        vectors_path = path.with_name(path.name.replace("_c.", "_p."))
    with opened_hdus(vectors_path) as hdus:
        own = header_cards(hdus[0].header)
        vectors = pixel_values(hdus[0], own, vectors_path.name, shape=hdus[0].shape or (0,)).data
    n = found.data.shape[2] - 1
    if vectors.ndim != 2 or len(vectors) < n:
        raise DataIntegrityError(
            f"{vectors_path.name}: expected {n} eigenvectors for {path.name}, got {vectors.shape}; "
            "give the files of one scan"
        )
    n_x, n_y = found.data.shape[:2]
    # as one product: numpy's product of stacks of matrices is many times slower
    values = (found.data[..., :n].reshape(-1, n) @ vectors[:n]).reshape(n_x, n_y, -1)
    with np.errstate(over="ignore"):
        values *= 10.0 ** found.data[..., n:]
    values[~np.isfinite(values)] = np.nan
    original = _original_cards(str(cards.get("COMMENT", "")))
    try:
        reference = finite_number(original, "CRVAL1")
        step = finite_number(original, "CDELT1")
        pixel = finite_number(original, "CRPIX1")
    except (KeyError, ValueError) as error:
        raise DataIntegrityError(
            f"{path.name}: expected CRVAL1, CDELT1 and CRPIX1 in its COMMENT cards, got {error}; "
            "fetch the pair again"
        ) from None
    wavelength = reference + (np.arange(vectors.shape[1]) - pixel) * step
    mended = [found.mended(path.name)]
    core = _core(np.nanmean(values, axis=(0, 1)))
    if abs(core - pixel) > _LARGEST_MISS:
        wavelength = reference + (np.arange(vectors.shape[1]) - core) * step
        mended.append(
            f"{path.name}: CRPIX1 {pixel:.1f} misses the core of the mean profile by "
            f"{core - pixel:+.1f} pixels; the axis is moved to have it at {reference:.3f} angstrom"
        )
    wavelength, order, _ = increasing(wavelength, path.name)
    keys = ("TARGET", "TEL_XPOS", "TEL_YPOS", "EXPTIME", "CRPIX1", "CRVAL1", "CDELT1", "CCDNAME")
    return SpectralCube(
        values.swapaxes(0, 1)[..., order][:, :, None],
        wavelength,
        unit="counts",
        instrument="GST/FISS",
        line=next((name for w, name in _LINES.items() if abs(w - reference) < 0.5), ""),
        time=_start(original),
        header={key: original[key] for key in keys if key in original} | {"CORE_PIX": core},
        summary=ReadingSummary(
            1,
            mended=tuple(text for text in mended if text),
            notes=(f"{n} principal components: their profiles have less noise than the camera's",),
        ),
    )


def _coefficient_file(path: Path) -> Path:
    """Return the file of coefficients, also from that of the eigenvectors."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    other = path.with_name(path.name.replace("_p.", "_c."))
    if "_p." in path.name and not other.is_file():
        raise FileNotFoundError(f"no such file: {other}; FISS files come in pairs")
    return other


def _original_cards(comment: str) -> HeaderCards:
    """Return the cards that stand as text in COMMENT."""
    header = fits.Header()
    with quietly():
        for line in comment.splitlines():
            if len(line) > 9 and line[8] == "=":
                card = fits.Card.fromstring(line.ljust(80))
                try:
                    header.append((card.keyword, card.value))
                except (fits.VerifyError, ValueError):
                    continue
    return header_cards(header)


def _core(profile: np.ndarray) -> float:
    """Return where a profile is darkest, pixels from 0, by a parabola through seven values."""
    k = int(np.clip(np.nanargmin(profile), 3, len(profile) - 4))
    a, b, _ = np.polyfit(np.arange(-3, 4), profile[k - 3 : k + 4], 2)
    return float(k - b / (2 * a)) if a > 0 and abs(b / (2 * a)) < 3 else float(k)


def _start(cards: HeaderCards) -> str:
    text = str(cards.get("STRTIME", "")).strip().replace("-", "T", 1)
    try:
        return str(parse_time(text.replace(".", "-", 2)))
    except ValueError:
        return ""
