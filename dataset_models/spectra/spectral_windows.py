"""Chooses one of a file's spectral windows by its name, its number, or a wavelength."""

from __future__ import annotations

from collections.abc import Sequence

from dataset_models.solar_data import DataIntegrityError

__all__ = ["chosen_window"]

_LARGEST_NUMBER = 99
_FARTHEST_ANGSTROM = 5.0  # from a window's end; farther off, another line is meant


def chosen_window(
    wanted: str | float,
    names: Sequence[str],
    ranges: Sequence[tuple[float, float]],
    file: str,
    *,
    first: int,
) -> int:
    """Return which window is meant, counted from 0.

    Parameters
    ----------
    wanted : str or float
        A name or a part of one that only one window has ("Si IV 1403"), a window's number, or a
        wavelength in angstrom, whose window or nearest one counts. "" if there is one only.
    names, ranges : sequence
        Of each window, the wavelengths in angstrom.
    file : str
        For messages.
    first : int
        The number of the first window in this kind of file.

    Raises
    ------
    DataIntegrityError
        If several windows are left, or none fits.
    """
    listed = ", ".join(f"{first + k} {name}" for k, name in enumerate(names))
    text = " ".join(str(wanted).split()).lower()
    if not text:
        if len(names) == 1:
            return 0
        raise DataIntegrityError(
            f"{file}: expected the choice of one of its {len(names)} windows ({listed}); name it "
            "with window"
        )
    plain = [" ".join(name.split()).lower() for name in names]
    if text in plain:
        return plain.index(text)
    try:
        number = float(text)
    except ValueError:
        number = None
    if number is None:
        parts = [k for k, name in enumerate(plain) if text in name]
        if len(parts) == 1:
            return parts[0]
        problem = "several windows have it" if parts else "it has no such window"
        raise DataIntegrityError(f"{file}: window {wanted!r}: {problem}; expected one of {listed}")
    if number <= _LARGEST_NUMBER:
        k = int(number) - first
        if number != int(number) or not 0 <= k < len(names):
            raise DataIntegrityError(f"{file}: window {wanted!r} is missing; expected {listed}")
        return k
    away = [max(low - number, number - high, 0.0) for low, high in ranges]
    k = min(range(len(away)), key=lambda k: (away[k], abs(sum(ranges[k]) / 2 - number)))
    if away[k] > _FARTHEST_ANGSTROM:
        raise DataIntegrityError(
            f"{file}: {number:g} angstrom lies in no window; the nearest, {names[k]}, ends "
            f"{away[k]:.0f} angstrom off; expected one of {listed}"
        )
    return k
