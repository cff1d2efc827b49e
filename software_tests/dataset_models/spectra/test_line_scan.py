"""Filtergrams of one line: order, wavelengths, covered columns, noise, errors.

The real scan is compared with what PROVENANCE.md measured on it.
"""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.line_scan import read_line_scan
from dataset_models.spectra.read_spectra import read_spectra

REAL_PROFILE = (558, 536, 468, 421, 444, 510, 541, 551, 553)  # DN, median; PROVENANCE.md


def frame(folder, offset, *, shape=(40, 50), second=0, **cards):
    """Write a filtergram of 500 + WAVEOFF DN with a second HDU that astropy does not know."""
    header = fits.Header({"WAVEOFF": offset, "WAVE": "TF Fe I 5576", "TIMESYS": "UTC"})
    header["DATE_OBS"] = f"2011-10-08T11:15:{second:02d}.000"
    header.update(cards)
    data = np.full(shape, 500 + offset, np.int16)
    path = folder / f"FG{second:02d}_{offset:+d}.fits"
    dump = fits.ImageHDU(np.zeros(560, np.uint8))
    fits.HDUList([fits.PrimaryHDU(data, header), dump]).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"XTENSION= 'IMAGE   '", b"XTENSION= 'DUMP    '"))
    return path


def test_offsets_order_the_frames(tmp_path):
    for second, offset in enumerate((80, -80, 0, 40)):
        frame(tmp_path, offset, second=second)
    cube = read_spectra(tmp_path)
    assert cube.values.shape == (40, 50, 1, 4)
    np.testing.assert_allclose(cube.wavelength, [5576.01, 5576.09, 5576.13, 5576.17])
    np.testing.assert_array_equal(cube.values[3, 4, 0], [420, 500, 540, 580])
    # (420 - 111) / 240 + 0.5^2
    assert cube.sigma[0, 0, 0, 0] == pytest.approx(np.sqrt(309 / 240 + 0.25))
    assert cube.time == "2011-10-08T11:15:00.000"
    assert any("not taken in the order" in note for note in cube.summary.notes)


def test_saturated_and_covered_pixels(tmp_path):
    paths = [frame(tmp_path, offset) for offset in (-80, 0, 80)]
    with fits.open(paths[1], mode="update") as hdus:
        hdus[0].data[5, 6] = 4095
        hdus[0].data[:, 0] = 111
    cube = read_line_scan(paths)
    assert cube.saturated[5, 6]
    assert cube.saturated.sum() == 1
    assert np.isnan(cube.values[5, 6, 0, 1])
    assert np.isnan(cube.values[:, 0]).all()  # in all frames
    assert np.isnan(cube.values).sum() == 40 * 3 + 1
    assert "1 dark columns at the left and 0 at the right" in cube.summary.notes[0]


def test_what_is_left_out(tmp_path):
    paths = [frame(tmp_path, offset) for offset in (-80, 0, 80)]
    paths.append(frame(tmp_path, 120, shape=(40, 51)))
    paths.append(frame(tmp_path, 160, WAVE="TF Na I 5896"))
    paths.append(tmp_path / "plain.fits")
    fits.writeto(paths[-1], np.ones((40, 50)))
    summary = read_line_scan(paths).summary
    assert summary.n_read == 3
    text = " ".join(summary.left_out)
    assert "(40, 51)" in text
    assert "TF Na I 5896" in text
    assert "plain.fits: expected an image (y, x) with WAVEOFF" in text


def test_rest_wavelength(tmp_path):
    paths = [frame(tmp_path, offset, WAVE="TF unknown") for offset in (-80, 0, 80)]
    with pytest.raises(DataIntegrityError, match="give its wavelength in angstrom"):
        read_line_scan(paths)
    cube = read_spectra(paths, rest_wavelength=5000.0)
    np.testing.assert_allclose(cube.wavelength, [4999.92, 5000.0, 5000.08])


def test_errors(tmp_path):
    paths = [frame(tmp_path, offset) for offset in (-80, 0)]
    with pytest.raises(DataIntegrityError, match="at least 3 filtergrams of one line, got 2"):
        read_line_scan(paths)
    paths += [frame(tmp_path, 0, second=3), frame(tmp_path, 40)]
    with pytest.raises(DataIntegrityError, match="each WAVEOFF once, got 0"):
        read_line_scan(paths)


def test_real_scan(shared):
    cube = read_spectra(shared / "hinode_sot")
    assert cube.values.shape == (512, 512, 1, 9)
    np.testing.assert_allclose(cube.wavelength, 5576.09 + np.arange(-0.16, 0.17, 0.04))
    profile = np.nanmedian(cube.values[:, :, 0], axis=(0, 1))
    # PROVENANCE.md took the median of the quiet part only, which is a little brighter
    np.testing.assert_allclose(profile, REAL_PROFILE, atol=5)
    assert profile.argmin() == 3  # -40 mA
    assert np.isnan(cube.values[:, [0, -1]]).all()
    assert np.isfinite(cube.values[:, 1:-1]).all()
    assert (round(cube.wcs["CRVAL1"]), round(cube.wcs["CRVAL2"])) == (60, 268)
    assert cube.time.startswith("2011-10-08T11:15:33")
    assert cube.summary.n_read == 9
