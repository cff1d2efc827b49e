"""Plain .npz files and FITS cubes: axes, units, Stokes order, errors."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.plain_spectra import read_npz_spectra
from dataset_models.spectra.read_spectra import read_spectra

WAVELENGTH = 6301.0 + 0.02 * np.arange(7)


def spectra(n_y=3, n_x=4, n_stokes=None):
    """Return values whose digits tell their place: wavelength, x, y, stokes."""
    y, x, w = np.ogrid[:n_y, :n_x, : len(WAVELENGTH)]
    one = 1000.0 + w + 10 * x + 100 * y
    if n_stokes is None:
        return one
    return np.stack([one + 10000 * k for k in range(n_stokes)], axis=2)


def written(path, **arrays):
    np.savez(path, **{"wavelength_unit": "angstrom", **arrays})
    return path


class TestNpz:
    @pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
    def test_axes_are_told_by_their_lengths(self, tmp_path, order):
        stored = np.transpose(spectra(), order)
        cube = read_spectra(written(tmp_path / "a.npz", data=stored, wav=WAVELENGTH))
        np.testing.assert_array_equal(cube.values[:, :, 0], spectra())
        assert cube.stokes == ("I",)
        assert cube.summary.mended == ()

    def test_equal_lengths_are_remarked(self, tmp_path):
        stored = spectra(7, 7)
        cube = read_spectra(written(tmp_path / "a.npz", data=stored, wav=WAVELENGTH))
        np.testing.assert_array_equal(cube.values[:, :, 0], stored)
        assert "taken as (y, x, wavelength)" in cube.summary.mended[0]

    def test_told_order_becomes_iquv(self, tmp_path):
        path = written(tmp_path / "a.npz", stokes=spectra(n_stokes=4), wavelength=WAVELENGTH)
        cube = read_spectra(path, stokes="IVQU")
        assert cube.stokes == ("I", "Q", "U", "V")
        # the file's places of I, V, Q, U are 0, 1, 2, 3
        np.testing.assert_array_equal(cube.values[0, 0, :, 0] // 10000, [0, 2, 3, 1])

    def test_fewer_letters_choose(self, tmp_path):
        path = written(tmp_path / "a.npz", stokes=spectra(n_stokes=4), wavelength=WAVELENGTH)
        cube = read_spectra(path, stokes="I")
        assert cube.values.shape == (3, 4, 1, 7)
        cube = read_spectra(path, stokes="VI")
        assert cube.stokes == ("I", "V")
        np.testing.assert_array_equal(cube.values[0, 0, :, 0] // 10000, [0, 3])

    def test_sigma_follows_the_order(self, tmp_path):
        values = spectra(n_stokes=4)
        path = written(
            tmp_path / "a.npz", values=values, sigma=values / 100, wavelengths=WAVELENGTH[::-1]
        )
        cube = read_spectra(path, stokes="IVQU")
        np.testing.assert_allclose(cube.sigma, cube.values / 100)
        assert cube.values[0, 0, 0, 0] == 1006  # decreasing wavelengths are turned
        assert cube.summary.mended == ()

    def test_no_order_is_sorted_and_remarked(self, tmp_path):
        order = [3, 0, 1, 2, 6, 5, 4]
        path = written(tmp_path / "a.npz", data=spectra()[..., order], wav=WAVELENGTH[order])
        cube = read_spectra(path)
        np.testing.assert_array_equal(cube.values[:, :, 0], spectra())
        assert "they are sorted" in cube.summary.mended[0]

    def test_nanometres(self, tmp_path):
        path = written(tmp_path / "a.npz", data=spectra(), wav=WAVELENGTH / 10, wavelength_unit="")
        cube = read_spectra(path, wavelength_unit="nm")
        np.testing.assert_allclose(cube.wavelength, WAVELENGTH)
        with pytest.raises(ValueError, match="could be nm or angstrom"):
            read_spectra(path)
        with pytest.raises(ValueError, match="the unit 'kelvin'"):
            read_spectra(path, wavelength_unit="kelvin")

    def test_continuum(self, tmp_path):
        path = written(tmp_path / "a.npz", data=spectra() / 1100, wav=WAVELENGTH)
        cube = read_spectra(path)
        assert cube.unit == "continuum"
        assert "parts of the continuum" in cube.summary.mended[0]

    def test_order_in_the_file(self, tmp_path):
        path = written(
            tmp_path / "a.npz",
            values=spectra(n_stokes=2),
            wavelength=WAVELENGTH,
            stokes_names=["V", "I"],
        )
        cube = read_spectra(path)
        assert cube.stokes == ("I", "V")
        np.testing.assert_array_equal(cube.values[0, 0, :, 0] // 10000, [1, 0])

    def test_infinity_is_missing(self, tmp_path):
        values = spectra()
        values[1, 2, 3] = np.inf
        cube = read_spectra(written(tmp_path / "a.npz", data=values, wav=WAVELENGTH))
        assert np.isnan(cube.values[1, 2, 0, 3])
        assert np.isnan(cube.values).sum() == 1

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"wav": WAVELENGTH[[0, 1, 2, 3, 4, 5, 5]]}, "each wavelength once"),
            ({"wav": np.where(np.arange(7) == 2, np.nan, WAVELENGTH)}, "finite wavelengths"),
            ({"wav": WAVELENGTH[:5]}, "expected axes of 5 wavelengths"),
            ({"data": np.full((3, 4, 7), np.nan)}, "no finite value"),
            ({"data": np.full((3, 4, 7), "a")}, "real numbers"),
            ({"values": spectra()}, "as one array named"),
            ({"sigma": np.ones((2, 2))}, "sigma of shape"),
        ],
    )
    def test_damage(self, tmp_path, change, text):
        arrays = {"data": spectra(), "wav": WAVELENGTH, **change}
        with pytest.raises(DataIntegrityError, match=text):
            read_npz_spectra(written(tmp_path / "a.npz", **arrays))

    def test_stokes_letters(self, tmp_path):
        path = written(tmp_path / "a.npz", data=spectra(), wav=WAVELENGTH)
        with pytest.raises(ValueError, match="each letter once"):
            read_spectra(path, stokes="IX")
        with pytest.raises(ValueError, match="holds 1 Stokes parameters"):
            read_spectra(path, stokes="IV")

    def test_hinode_in_8_bits(self, shared):
        cube = read_spectra(shared / "spectra" / "hinode_sp" / "hinode_data.npz", stokes="I")
        assert cube.values.shape == (342, 254, 1, 30)  # PROVENANCE.md: (342, 30, 254) in the file
        assert (cube.unit, cube.instrument) == ("DN", "Hinode/SOT-SP")
        # rounding alone, and rounding with noise of 0.12 % of the brightest pixels
        assert np.nanmin(cube.sigma) > 1 / np.sqrt(12)
        assert np.nanmax(cube.sigma) < 0.5
        mean = np.nanmean(cube.values, axis=(0, 1, 2))
        # Fe I 6301.5012, redshifted by the Sun's gravity (13 mA) and shifted by convection
        assert abs(cube.wavelength[mean.argmin()] - 6301.50) < 0.05


class TestFits:
    def cards(self, axis, unit="Angstrom"):
        return {
            f"CTYPE{axis}": "AWAV",
            f"CUNIT{axis}": unit,
            f"CRVAL{axis}": 6301.06,
            f"CDELT{axis}": 0.02,
            f"CRPIX{axis}": 4.0,
        }

    def test_axis_of_wavelengths(self, tmp_path):
        header = fits.Header(self.cards(3))
        header.update(
            {
                "CTYPE1": "HPLN-TAN",
                "CTYPE2": "HPLT-TAN",
                "CDELT1": 0.1,
                "CDELT2": 0.1,
                "CRPIX1": 1.0,
                "CRPIX2": 1.0,
                "CRVAL1": 10.0,
                "CRVAL2": -20.0,
                "CUNIT1": "arcsec",
                "CUNIT2": "arcsec",
                "DATE-OBS": "2014-06-03T17:08:41",
            }
        )
        path = tmp_path / "a.fits"
        fits.writeto(path, np.transpose(spectra(60, 60), (2, 0, 1)), header)
        cube = read_spectra(path)
        np.testing.assert_allclose(cube.wavelength, WAVELENGTH)
        np.testing.assert_array_equal(cube.values[:, :, 0], spectra(60, 60))
        assert (cube.wcs["CRVAL1"], cube.wcs["CRVAL2"]) == (10.0, -20.0)
        assert cube.time.startswith("2014-06-03T17:08:41")

    @pytest.mark.parametrize("order", [(2, 3, 0, 1), (3, 2, 0, 1)])
    def test_stokes_before_or_after_wavelengths(self, tmp_path, order):
        values = spectra(n_stokes=4)
        path = tmp_path / "a.fits"
        axis = 4 - order.index(3)
        fits.writeto(path, np.transpose(values, order), fits.Header(self.cards(axis)))
        cube = read_spectra(path, stokes="IQUV")
        np.testing.assert_array_equal(cube.values, values)

    @pytest.mark.parametrize("is_table", [False, True])
    def test_extension(self, tmp_path, is_table):
        data = np.transpose(spectra(), (2, 0, 1))
        extension = (
            fits.BinTableHDU.from_columns([fits.Column("w", "D", array=WAVELENGTH / 10, unit="nm")])
            if is_table
            else fits.ImageHDU(WAVELENGTH / 10, fits.Header({"BUNIT": "nm"}))
        )
        extension.name = "WAVELENGTH"
        noise = fits.ImageHDU(data / 100, name="SIGMA")
        path = tmp_path / "a.fits"
        fits.HDUList([fits.PrimaryHDU(data), extension, noise]).writeto(path)
        cube = read_spectra(path)
        np.testing.assert_allclose(cube.wavelength, WAVELENGTH)
        np.testing.assert_allclose(cube.sigma, cube.values / 100)

    def test_other_coordinates_are_noted(self, tmp_path):
        header = fits.Header({**self.cards(3), "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
        path = tmp_path / "a.fits"
        fits.writeto(path, np.transpose(spectra(), (2, 0, 1)), header)
        assert "place on the Sun" in read_spectra(path).summary.notes[0]

    def test_incomplete_axis(self, tmp_path):
        header = fits.Header({"CTYPE3": "WAVE", "CDELT3": 0.02})
        path = tmp_path / "a.fits"
        fits.writeto(path, np.transpose(spectra(), (2, 0, 1)), header)
        with pytest.raises(DataIntegrityError, match="expected CRVAL3 and CDELT3"):
            read_spectra(path)


class TestDispatch:
    def test_unknown_content(self, tmp_path):
        path = tmp_path / "a.fits"
        fits.writeto(path, np.ones((4, 5)))
        with pytest.raises(ValueError, match="spectra of a known kind; read are"):
            read_spectra(path)
        (tmp_path / "b.npz").write_bytes(b"text")
        with pytest.raises(ValueError, match="spectra of a known kind"):
            read_spectra(tmp_path / "b.npz")

    def test_paths(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such file"):
            read_spectra(tmp_path / "none.npz")
        with pytest.raises(ValueError, match="got none"):
            read_spectra([])
        with pytest.raises(ValueError, match="found none"):
            read_spectra(tmp_path)
        files = [written(tmp_path / f"{k}.npz", data=spectra(), wav=WAVELENGTH) for k in "ab"]
        with pytest.raises(ValueError, match="expected one file"):
            read_spectra(files)
        with pytest.raises(ValueError, match="files or one folder"):
            read_spectra([tmp_path, files[0]])
