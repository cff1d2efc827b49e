"""Units and order of wavelengths, and the windows that they choose."""

import numpy as np
import pytest

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.spectral_windows import chosen_window
from dataset_models.spectra.wavelength_axis import (
    in_angstrom,
    increasing,
    linear_axis,
    read_wavelength_file,
)

AXIS = np.array([6301.0, 6302.0, 6303.0])


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(1, "Angstrom"), (1, "Angstroms"), (0.1, "nm"), (1e-10, "m"), (1e-4, "um"), (1, "A")],
)
def test_units(factor, unit):
    axis, remark = in_angstrom(AXIS * factor, unit, "a")
    np.testing.assert_allclose(axis, AXIS, rtol=1e-12)
    assert remark == ""


def test_what_needs_no_unit():
    axis, remark = in_angstrom(AXIS, "", "a")
    np.testing.assert_array_equal(axis, AXIS)
    assert "taken as angstrom" in remark
    axis, remark = in_angstrom(AXIS * 1e-10, "", "a")  # metres, which FITS assumes
    np.testing.assert_allclose(axis, AXIS)
    assert "taken as metres" in remark


@pytest.mark.parametrize("values", [AXIS / 10, [193.0, 194.0], [1083.0, 1083.1], [0.63, 0.6301]])
def test_what_could_be_two_things(values):
    with pytest.raises(DataIntegrityError, match=r"of Fe I 6302 have no unit .* wavelength_unit"):
        in_angstrom(np.array(values), "", "a", said="Fe I 6302")


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([6301, np.nan], "", "a: expected finite wavelengths, got 1"),
        ([-0.5, 0.5], "nm", "expected positive wavelengths"),
        ([6301, 6302], "kg", "the unit 'kg'"),
        ([6301, 6302], "flops", "the unit 'flops'"),
    ],
)
def test_bad_wavelengths(values, unit, text):
    with pytest.raises(DataIntegrityError, match=text):
        in_angstrom(np.array(values), unit, "a")


def test_order():
    axis, order, remark = increasing(AXIS[::-1], "a")
    assert (axis.tolist(), order.tolist(), remark) == (AXIS.tolist(), [2, 1, 0], "")
    axis, order, remark = increasing(AXIS[[1, 0, 2]], "a")
    assert (axis.tolist(), order.tolist()) == (AXIS.tolist(), [1, 0, 2])
    assert "they are sorted" in remark
    with pytest.raises(DataIntegrityError, match="each wavelength once, got 6302 twice"):
        increasing(AXIS[[0, 1, 1]], "a")
    with pytest.raises(DataIntegrityError, match="at least 2 finite wavelengths"):
        increasing(AXIS[:1], "a")


def test_linear_axis():
    cards = {"CRVAL3": 5.0, "CDELT3": 0.5, "CRPIX3": 2.0}
    np.testing.assert_array_equal(linear_axis(cards, 3, 3, "a"), [4.5, 5.0, 5.5])
    cards = {"CRVAL3": 5.0, "CD3_3": -0.5}
    np.testing.assert_array_equal(linear_axis(cards, 3, 3, "a"), [5.0, 4.5, 4.0])
    with pytest.raises(DataIntegrityError, match="CDELT3 other than 0"):
        linear_axis({"CRVAL3": 5.0, "CDELT3": 0.0}, 3, 3, "a")
    with pytest.raises(DataIntegrityError, match="expected CRVAL3 and CDELT3"):
        linear_axis({"CRVAL3": "five", "CDELT3": 1.0}, 3, 3, "a")


def test_files(tmp_path):
    path = tmp_path / "w.txt"
    path.write_text("# angstrom\n6301.0, 0.1\n6302.0, 0.2\n")
    assert read_wavelength_file(path).tolist() == [6301.0, 6302.0]
    path.write_text("6301\n6302\n")
    assert read_wavelength_file(path).tolist() == [6301.0, 6302.0]


def test_the_nearer_window_counts():
    names, ranges = ("a", "b"), ((190.0, 191.0), (193.0, 194.0))
    assert chosen_window(191.5, names, ranges, "f", first=0) == 0
    assert chosen_window(192.5, names, ranges, "f", first=0) == 1
    assert chosen_window("B", names, ranges, "f", first=0) == 1
    assert chosen_window("", names[:1], ranges[:1], "f", first=0) == 0
