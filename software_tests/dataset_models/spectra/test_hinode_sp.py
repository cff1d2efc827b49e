"""Scans of Hinode/SP, level 1: bit shifts, wrapped intensities, order, gaps, files left out.

Files are written here with known numbers; SPBSHFT is that of SolarSoft's readl1_sbsp.pro.
"""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.hinode_sp import read_hinode_sp
from dataset_models.spectra.read_spectra import read_spectra

N_Y, N_WAVELENGTH = 40, 112


def slit(folder, index, *, name=None, shift=0, n_y=N_Y, **cards):
    """Write one slit position whose I is 1000 + index, Q, U, V are 10, 20, -30."""
    data = np.empty((4, n_y, N_WAVELENGTH), np.int16)
    for k, number in enumerate((1000 + index, 10, 20, -30)):
        data[k] = number
    if "data" in cards:
        data = cards.pop("data")
    header = fits.Header()
    header.update(
        {
            "INSTRUME": "SOT/SP",
            "SLITINDX": index,
            "SPBSHFT": shift,
            "CRVAL1": 6302.0,
            "CDELT1": 0.021549,
            "CRPIX1": 57.0,
            "XCEN": 100.0 + 0.15 * index,
            "YCEN": -50.0,
            "XSCALE": 0.15,
            "YSCALE": 0.16,
            "DATE_OBS": f"2007-02-27T00:00:{index:02d}.000",
        }
    )
    header.update(cards)
    path = folder / (name or f"SP3D{index:03d}.fits")
    fits.writeto(path, data, header)
    return path


def test_order_grid_and_place(tmp_path):
    for index, name in ((2, "a.fits"), (0, "b.fits"), (1, "c.fits")):
        slit(tmp_path, index, name=name)
    cube = read_spectra(tmp_path)
    assert cube.values.shape == (N_Y, 3, 4, N_WAVELENGTH)
    np.testing.assert_array_equal(cube.values[0, :, 0, 0], [1000, 1001, 1002])
    np.testing.assert_array_equal(cube.values[0, 0, :, 0], [1000, 10, 20, -30])
    assert cube.wavelength[56] == pytest.approx(6302.0)  # CRPIX1 counts from 1
    assert cube.wavelength[1] - cube.wavelength[0] == pytest.approx(0.021549)
    assert cube.time == "2007-02-27T00:00:00.000"
    # XCEN of index 1, the second column
    assert (cube.wcs["CRPIX1"], cube.wcs["CRVAL1"]) == (2.0, pytest.approx(100.15))
    assert (cube.wcs["CDELT1"], cube.wcs["CDELT2"]) == (0.15, 0.16)
    np.testing.assert_allclose(cube.pointing[:, 0], [100.0, 100.15, 100.3])


@pytest.mark.parametrize(
    ("shift", "factors"),
    [(0, (1, 1, 1, 1)), (1, (2, 1, 1, 1)), (2, (2, 1, 1, 2)), (3, (2, 2, 2, 2))],
)
def test_bit_shifts(tmp_path, shift, factors):
    cube = read_hinode_sp([slit(tmp_path, 5, shift=shift)])
    expected = np.array([1005, 10, 20, -30]) * factors
    np.testing.assert_array_equal(cube.values[3, 0, :, 7], expected)


def test_wrapped_intensity_is_unwrapped_before_doubling(tmp_path):
    data = np.full((4, N_Y, N_WAVELENGTH), 100, np.int16)
    data[0, 0] = -25536  # 40000 as an unsigned integer
    data[0, 1] = -32768
    data[1, 2, 3] = -32768
    data[0, 3, 5] = -1  # 65535: the counter is full
    cube = read_hinode_sp([slit(tmp_path, 0, shift=1, data=data)])
    assert cube.values[0, 0, 0, 0] == 80000
    assert cube.values[1, 0, 0, 0] == 65536
    assert np.isnan(cube.values).sum() == 2
    np.testing.assert_array_equal(np.flatnonzero(cube.saturated[:, 0]), [2, 3])
    assert np.isnan(cube.values[2, 0, 1, 3])


def test_missing_positions_and_lost_pixels(tmp_path):
    data = np.full((4, N_Y, N_WAVELENGTH), 100, np.int16)
    data[:, 4] = 0
    paths = [slit(tmp_path, 0), slit(tmp_path, 3, data=data)]
    cube = read_hinode_sp(paths)
    assert cube.shape == (N_Y, 4)
    assert np.isnan(cube.values[:, 1:3]).all()
    assert np.isnan(cube.values[4, 3]).all()
    assert any("2 of 4 slit positions" in note for note in cube.summary.notes)


def test_what_is_left_out(tmp_path):
    paths = [slit(tmp_path, k) for k in range(3)]
    paths.append(slit(tmp_path, 3, n_y=30))
    paths.append(slit(tmp_path, 7, CRVAL1=6302.1))
    paths.append(slit(tmp_path, 4, shift=7))
    paths.append(tmp_path / "broken.fits")
    paths[-1].write_bytes(paths[0].read_bytes()[:5000])
    summary = read_hinode_sp(paths).summary
    assert summary.n_read == 3
    text = " ".join(summary.left_out)
    assert "4 x 30 x 112 values, others have 4 x 40 x 112" in text
    assert "0.100 angstrom off the others" in text
    assert "SPBSHFT from 0 to 3, got 7" in text
    assert "broken.fits" in text


def test_a_position_that_is_there_twice_is_read_once(tmp_path):
    data = np.full((4, N_Y, N_WAVELENGTH), 7, np.int16)
    paths = [slit(tmp_path, 0), slit(tmp_path, 1), slit(tmp_path, 1, name="z.fits", data=data)]
    cube = read_hinode_sp(paths)
    assert cube.values[0, 1, 0, 0] == 1001
    assert "z.fits: position 1 was read from SP3D001.fits" in cube.summary.left_out[0]


def test_decreasing_wavelengths_are_turned(tmp_path):
    data = np.zeros((4, N_Y, N_WAVELENGTH), np.int16) + np.arange(1, 113, dtype=np.int16)
    cube = read_hinode_sp([slit(tmp_path, 0, data=data, CDELT1=-0.021549)])
    assert cube.wavelength[0] == pytest.approx(6302 - 55 * 0.021549)
    np.testing.assert_array_equal(cube.values[0, 0, 1], np.arange(112, 0, -1))


def test_uneven_steps_are_noted(tmp_path):
    paths = [slit(tmp_path, k, XCEN=100 + 0.3 * k + (k == 4)) for k in range(8)]
    cube = read_hinode_sp(paths)
    assert "2 of 7 scan steps differ" in cube.summary.notes[0]
    assert "XSCALE says 0.150" in cube.summary.notes[1]
    assert cube.wcs["CDELT1"] == pytest.approx(0.3)


def test_standard_grid_and_no_place(tmp_path):
    path = slit(tmp_path, 0)
    with fits.open(path, mode="update") as hdus:
        for key in ("CRVAL1", "CDELT1", "CRPIX1", "XCEN", "SPBSHFT"):
            del hdus[0].header[key]
    cube = read_hinode_sp([path])
    # what pyMilne and others use for a normal map: 112 wavelengths from 6300.892, 0.0215 apart
    assert (cube.wavelength[0], cube.wavelength[-1]) == pytest.approx((6300.892, 6303.2785))
    assert cube.wcs == {}
    assert "place on the Sun unknown" in cube.summary.notes[0]
    text = " ".join(cube.summary.mended)
    assert "no wavelengths; the usual grid" in text
    assert "SPBSHFT is missing and taken as 0" in text


def test_a_slit_that_stands_has_no_map(tmp_path):
    cube = read_hinode_sp([slit(tmp_path, k, XCEN=100.0, XSCALE=0.0) for k in range(3)])
    assert cube.wcs == {}
    assert any("stands still" in note for note in cube.summary.notes)


def test_errors(tmp_path):
    path = tmp_path / "a.fits"
    fits.writeto(path, np.ones((4, 5)))
    with pytest.raises(DataIntegrityError, match=r"expected \(4 stokes, y, wavelength\)"):
        read_hinode_sp([path])
    path = slit(tmp_path, 0, name="no_place.fits")
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["SLITINDX"]
    with pytest.raises(DataIntegrityError, match="place in the scan is unknown"):
        read_hinode_sp([path])
    path = slit(tmp_path, 0, name="text.fits", SLITINDX=1.5)
    with pytest.raises(DataIntegrityError, match="expected integers"):
        read_hinode_sp([path])
    short = np.ones((4, N_Y, 60), np.int16)
    path = slit(tmp_path, 0, name="b.fits", data=short, CDELT1=0.0)
    with pytest.raises(DataIntegrityError, match="usual 112 wavelengths, got 60"):
        read_hinode_sp([path])
    far = [slit(tmp_path, k, DATE_OBS="2007-02-27T00:00:00") for k in (0, 9000)]
    with pytest.raises(DataIntegrityError, match="at most 4096"):
        read_hinode_sp(far)
    twice = [far[0], slit(tmp_path, 0, name="twice.fits")]
    assert "position 0" in read_hinode_sp(twice).summary.left_out[0]
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_hinode_sp(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="got none"):
        read_hinode_sp(tmp_path / "empty")
