"""Starts of Milne-Eddington fits from the packaged network, without importing keras.

The dense layers stand in ``layers.npz`` beside the Keras network, with the scaling folded into the
first and the last of them; a test holds both to the same answers (1e-5 of the largest).
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import numpy as np

from network_models.milne_eddington_start.atmosphere_draws import atmospheres_of
from tools.physics.milne_eddington import hinode_wavelengths
from tools.physics.stokes_starts import continuum_of

__all__ = ["LAYERS_FILE", "PACKAGED", "network_answers", "network_starts", "why_not_covered"]

logger = logging.getLogger(__name__)

PACKAGED = Path(__file__).parent / "packaged/milne_eddington"
LAYERS_FILE = "layers.npz"
_CHUNK = 2048  # pixels whose numbers stay in the cache
_COARSEST = 0.045  # angstrom, twice the step of Hinode/SP: coarser profiles lose their cores
_SAME_GRID = 1e-3  # angstrom, 0.05 km/s: nearer grids are not interpolated


def why_not_covered(wavelength: np.ndarray) -> str:
    """Return why the network can't take profiles of a grid, in a sentence; empty where it can.

    Parameters
    ----------
    wavelength : (wavelength,) float64
        Angstrom, increasing.
    """
    grid = hinode_wavelengths()
    wavelength = np.asarray(wavelength, float)
    if wavelength.ndim != 1 or wavelength.size < 2 or not (np.diff(wavelength) > 0).all():
        return "wavelengths must increase along one axis; sort them and the profiles first"
    slack = grid[1] - grid[0]
    if wavelength[0] > grid[0] + slack or wavelength[-1] < grid[-1] - slack:
        return (
            f"the start network needs {grid[0]:.3f} to {grid[-1]:.3f} angstrom, got "
            f"{wavelength[0]:.3f} to {wavelength[-1]:.3f}; start from moments"
        )
    inside = (wavelength >= grid[0] - slack) & (wavelength <= grid[-1] + slack)
    step = float(np.diff(wavelength[inside]).max(initial=0.0))
    if inside.sum() < 2 or step > _COARSEST:
        return (
            f"the start network needs steps of at most {_COARSEST} angstrom, got {step:.3f}; "
            "start from moments"
        )
    return ""


def network_starts(
    wavelength: np.ndarray,
    stokes: np.ndarray,
    sigma: np.ndarray | float,
    *,
    folder: str | Path = PACKAGED,
) -> np.ndarray | None:
    """Return starts for ``first=`` of ``fit_atmospheres``, None where the grid doesn't allow it.

    Parameters
    ----------
    wavelength : (wavelength,) float64
        Angstrom, increasing; of Fe I 6301.5 and 6302.5. Grids other than that of Hinode/SP are
        interpolated linearly. If they don't cover it, the reason (``why_not_covered``) is logged.
    stokes : (..., 4, wavelength) float64
        I, Q, U, V in any unit.
    sigma : float, or array that broadcasts to stokes
        Errors of one sigma in the same unit; they only say which values are missing (not finite
        or not positive).
    folder : path, optional
        Of another packaged network.

    Returns
    -------
    (pixel, 9) float64 or None
        In the order and units of ``PARAMETERS``, the source function in the unit of the profiles.
        NaN for pixels without positive continuum or with missing values, which
        ``fit_atmospheres`` starts from moments.

    Raises
    ------
    ValueError
        If the shapes of wavelengths and profiles don't agree.
    FileNotFoundError
        If there is no packaged network.
    """
    wavelength, stokes = np.asarray(wavelength, float), np.asarray(stokes)
    if wavelength.ndim != 1 or stokes.ndim < 2 or stokes.shape[-2:] != (4, len(wavelength)):
        raise ValueError(
            f"expected stokes (..., 4, {wavelength.size}) for I, Q, U and V, got {stokes.shape}; "
            "put the wavelength into the last axis"
        )
    reason = why_not_covered(wavelength)
    if reason:
        logger.warning("%s", reason)
        return None
    flat = stokes.reshape(-1, 4, len(wavelength))
    error = np.broadcast_to(np.asarray(sigma, float), stokes.shape).reshape(flat.shape)
    onto = _interpolation(wavelength)
    out = np.full((len(flat), 9), np.nan)
    for first in range(0, len(flat), _CHUNK):
        part = slice(first, first + _CHUNK)
        out[part] = _starts_of(flat[part], error[part], onto, Path(folder))
    return out


def network_answers(profiles: np.ndarray, *, folder: str | Path = PACKAGED) -> np.ndarray:
    """Return the network's ``QUANTITIES`` (pixel, 10) of profiles (pixel, 4, 112) float32.

    Parameters
    ----------
    profiles : (pixel, 4, 112) float32
        On the grid of Hinode/SP, in units of the continuum.
    folder : path, optional
        Of another packaged network.
    """
    units, mean, kernels, biases = _layers(Path(folder))
    h = np.arcsinh(np.asarray(profiles, np.float32) * units)
    h -= mean
    h = h.reshape(len(profiles), -1)
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        h = h @ kernel
        h += bias
        with np.errstate(over="ignore"):  # exp(-h) of large negative h: the answer is 0
            h /= 1 + np.exp(-h)
    return h @ kernels[-1] + biases[-1]


def _starts_of(
    stokes: np.ndarray, sigma: np.ndarray, onto: np.ndarray | None, folder: Path
) -> np.ndarray:
    """Return starts (pixel, 9) of a few pixels (pixel, 4, wavelength)."""
    is_valid = np.isfinite(stokes) & np.isfinite(sigma) & (sigma > 0)
    level = continuum_of(stokes[:, 0], is_valid[:, 0])
    is_good = is_valid.all(axis=(1, 2)) & (level > 0)
    level = level[is_good, None, None]
    profiles = (stokes[is_good] / level).astype(np.float32)
    if onto is not None:
        profiles = profiles @ onto
    out = np.full((len(stokes), 9), np.nan)
    out[is_good] = atmospheres_of(network_answers(profiles, folder=folder))
    out[is_good, 7:] *= level[:, 0]
    return out


def _interpolation(wavelength: np.ndarray) -> np.ndarray | None:
    """Return the matrix (wavelength, 112) of linear interpolation; None for the same grid."""
    grid = hinode_wavelengths()
    if len(wavelength) == len(grid) and np.abs(wavelength - grid).max() < _SAME_GRID:
        return None
    columns = [np.interp(grid, wavelength, one) for one in np.eye(len(wavelength))]
    return np.array(columns, np.float32)


@functools.lru_cache(maxsize=4)
def _layers(
    folder: Path,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Read units and means of I, Q, U and V (4, 1), and kernels and biases of all dense layers."""
    path = folder / LAYERS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the start network's layers in {path}, found no such file; make it with "
            "network_models/milne_eddington_start/package.py RUN"
        )
    with np.load(path, allow_pickle=False) as file:
        n = sum(name.startswith("kernel_") for name in file.files)
        kernels, biases = ([file[f"{kind}_{k}"] for k in range(n)] for kind in ("kernel", "bias"))
        return file["units"][:, None], file["mean"][:, None], kernels, biases
