"""What a file is, its content says: kinds, mixtures, options that do not fit, choice of Stokes."""

import gzip
import shutil

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.read_spectra import read_spectra


def plain(path, n_stokes=4, **cards):
    """Write (stokes, wavelength, y, x) whose Stokes parameters are 100, 200, ..."""
    values = 100.0 * np.arange(1, n_stokes + 1)[:, None, None, None] + np.zeros((1, 5, 3, 2))
    header = fits.Header({"CTYPE3": "AWAV", "CUNIT3": "nm", "CRVAL3": 630.1, "CDELT3": 0.002})
    header.update({"CRPIX3": 1.0, **cards})
    fits.writeto(path, values, header)
    return path


def test_the_name_does_not_matter(tmp_path):
    path = plain(tmp_path / "sit_and_stare.h5")
    packed = tmp_path / "packed"
    with open(path, "rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    for file in (path, packed):
        assert read_spectra(file).wavelength[0] == pytest.approx(6301.0)


def test_mixtures(tmp_path):
    values = np.ones((2, 3, 5)) * 100
    path = tmp_path / "a.npz"
    np.savez(path, data=values, wav=6301.0 + np.arange(5))
    with pytest.raises(ValueError, match=r"b.fits: expected npz as in the files before it"):
        read_spectra([path, plain(tmp_path / "b.fits")])


@pytest.mark.parametrize(
    ("option", "name"),
    [({"window": "Si IV"}, "window"), ({"rest_wavelength": 6302.0}, "rest_wavelength")],
)
def test_options_without_use(tmp_path, option, name):
    path = plain(tmp_path / "a.fits")
    with pytest.raises(ValueError, match=f"a.fits: expected no {name} for this kind of file"):
        read_spectra(path, **option)


@pytest.mark.parametrize(
    ("stokes", "names", "values"),
    [
        ("", "IQUV", [100, 200, 300, 400]),
        ("IVQU", "IQUV", [100, 300, 400, 200]),
        ("VI", "IV", [100, 400]),
    ],
)
def test_stokes(tmp_path, stokes, names, values):
    cube = read_spectra(plain(tmp_path / "a.fits"), stokes=stokes)
    assert cube.stokes == tuple(names)
    assert cube.values[0, 0, :, 0].tolist() == values


def test_the_header_names_stokes_parameters(tmp_path):
    cards = {"CTYPE4": "STOKES", "CRVAL4": 4.0, "CDELT4": -3.0, "CRPIX4": 1.0}
    cube = read_spectra(plain(tmp_path / "a.fits", 2, **cards))  # V, I
    assert cube.stokes == ("I", "V")
    assert cube.values[0, 0, :, 0].tolist() == [200, 100]
    path = plain(tmp_path / "b.fits", 2, **{**cards, "CRVAL4": -1.0})
    with pytest.raises(DataIntegrityError, match="expected Stokes numbers 1 to 4"):
        read_spectra(path)


def test_the_header_tells_axes_of_one_length_apart(tmp_path):
    values = np.arange(27.0).reshape(3, 3, 3) + 100  # (y, wavelength, x) by CTYPE2
    header = fits.Header({"CTYPE2": "WAVE", "CUNIT2": "m", "CRVAL2": 6.3e-7, "CDELT2": 1e-12})
    header["CTYPE1"], header["CTYPE3"] = "HPLN-TAN", "HPLT-TAN"
    fits.writeto(tmp_path / "a.fits", values, header)
    cube = read_spectra(tmp_path / "a.fits")
    np.testing.assert_array_equal(cube.values[2, 1, 0], values[2, :, 1])
    np.testing.assert_allclose(cube.wavelength, [6300.0, 6300.01, 6300.02])


def test_a_unit_that_is_missing(tmp_path):
    path = plain(tmp_path / "a.fits", CUNIT3="")
    with pytest.raises(DataIntegrityError, match=r"a.fits: wavelengths 630.1 to 630.108 have no"):
        read_spectra(path)
    assert read_spectra(path, wavelength_unit="nm").wavelength[0] == pytest.approx(6301.0)


def test_numbers_that_are_missing(tmp_path):
    path = plain(tmp_path / "a.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[0, 1, 2, 0] = np.nan
    cube = read_spectra(path)
    assert np.argwhere(np.isnan(cube.values)).tolist() == [[2, 0, 0, 1]]
    assert cube.values.dtype == np.dtype("float64")


def test_velocity_axes_need_wavelengths(tmp_path):
    path = plain(tmp_path / "a.fits", CTYPE3="VELO")
    with pytest.raises(ValueError, match="spectra of a known kind"):
        read_spectra(path)
    text = tmp_path / "w.txt"
    text.write_text("\n".join(str(6301 + 0.02 * k) for k in range(5)))
    assert read_spectra(path, wavelengths=text).wavelength[-1] == pytest.approx(6301.08)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\0" * 5760])
def test_what_is_no_spectrum(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.fits: expected spectra of a known kind; read are"):
        read_spectra(path)


def test_python_objects_are_not_run(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=np.array([{1: 2}], dtype=object), wav=np.arange(1))
    with pytest.raises(DataIntegrityError, match=r"a.npz: expected an .npz archive of plain"):
        read_spectra(path)


def test_a_folder_may_hold_other_files(tmp_path):
    plain(tmp_path / "a.fits")
    fits.writeto(tmp_path / "results.fits", np.ones((4, 5)))
    (tmp_path / "eis_20210306.fe_12.1c-0.fit.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    summary = read_spectra(tmp_path).summary
    assert (summary.n_given, summary.n_read) == (3, 1)
    text = " ".join(summary.left_out)
    assert "results.fits: holds no spectra" in text
    assert "a fit or template of eispac" in text
    # who names a file wants it
    with pytest.raises(ValueError, match=r"results.fits: expected spectra of a known kind"):
        read_spectra([tmp_path / "a.fits", tmp_path / "results.fits"])
