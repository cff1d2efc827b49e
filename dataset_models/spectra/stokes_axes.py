"""Orders the axes of an array of spectra: which is which by length, Stokes I, Q, U, V by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataset_models.solar_data import DataIntegrityError

__all__ = ["STOKES", "arranged", "n_stokes_of", "stokes_names"]

STOKES = ("I", "Q", "U", "V")


def arranged(
    values: np.ndarray, n_wavelengths: int, n_stokes: int, name: str, *, wavelength_first: bool
) -> tuple[np.ndarray, str]:
    """Return values as (y, x, stokes, wavelength), and a remark if their order was a choice.

    Axes are told by their lengths. If several orders fit, the first of these counts: with
    ``wavelength_first`` (stokes, wavelength, y, x), (wavelength, stokes, y, x) or
    (wavelength, y, x); else (y, x, stokes, wavelength), (y, x, wavelength).

    Raises
    ------
    DataIntegrityError
        If no order fits.
    """
    fitting = []
    for order in _orders(values.ndim, wavelength_first):
        lengths = dict(zip(order, values.shape, strict=True))
        if lengths["w"] == n_wavelengths and lengths.get("s", 1) == n_stokes:
            fitting.append(order)
    if not fitting:
        raise DataIntegrityError(
            f"{name}: expected axes of {n_wavelengths} wavelengths"
            + (f" and {n_stokes} Stokes parameters" if n_stokes > 1 else "")
            + f", got values of shape {values.shape}; turn its axes"
        )
    order = fitting[0]
    remark = ""
    if len(fitting) > 1:
        names = {"y": "y", "x": "x", "s": "stokes", "w": "wavelength"}
        said = ", ".join(names[letter] for letter in order)
        remark = f"{name}: several axes have these lengths; they are taken as ({said})"
    for letter in "yxs":
        if letter not in order:
            order += letter
            values = values[..., None]
    return np.transpose(values, [order.index(letter) for letter in "yxsw"]), remark


def n_stokes_of(shape: tuple[int, ...], n_wavelengths: int, *, wavelength_first: bool) -> int:
    """Return how many Stokes parameters an array of this shape holds, by the orders above."""
    for order in _orders(len(shape), wavelength_first):
        lengths = dict(zip(order, shape, strict=True))
        if lengths["w"] == n_wavelengths and lengths.get("s", 1) <= len(STOKES):
            return lengths.get("s", 1)
    return 1


def stokes_names(told: str, in_file: Sequence[str], n: int, name: str) -> tuple[str, ...]:
    """Return the names along the Stokes axis of a file.

    Parameters
    ----------
    told : str
        By the user, as "IVQU"; fewer letters than parameters choose among them and say nothing of
        the file's order.
    in_file : sequence of str
        As the file names them; may be empty.
    n : int
        Parameters in the file.

    Raises
    ------
    ValueError
        If a name is unknown or occurs twice, or their number cannot be that of the file.
    """
    told = told.upper().replace(",", "").replace(" ", "")
    if set(told) - set(STOKES) or len(set(told)) < len(told):
        raise ValueError(
            f"expected stokes as IQUV or IVQU, each letter once; got {told!r}; name them so"
        )
    if told and len(told) == n:
        return tuple(told)
    names = tuple(str(word).strip().upper() for word in in_file)
    if len(names) == n and not set(names) - set(STOKES) and len(set(names)) == n:
        return names
    if len(told) > n:
        raise ValueError(
            f"{name}: holds {n} Stokes parameters; stokes={told!r} names {len(told)}; name {n}"
        )
    if n in (1, len(STOKES)):
        return STOKES[:n]
    raise ValueError(f"{name}: holds {n} Stokes parameters; name them with stokes, as IV")


def _orders(n_axes: int, wavelength_first: bool) -> tuple[str, ...]:
    own = {1: ("w",), 2: ("yw", "wy"), 3: ("yxw", "ywx", "wyx", "ysw"), 4: ("yxsw", "yxws")}
    fits = {1: ("w",), 2: ("wy", "yw"), 3: ("wyx", "yxw", "ywx", "swy"), 4: ("swyx", "wsyx")}
    first, second = (fits, own) if wavelength_first else (own, fits)
    found = (*first.get(n_axes, ()), *second.get(n_axes, ()))
    return tuple(dict.fromkeys(found))
