"""Pairs of EIS files: corrected wavelengths, calibration, errors, windows; eispac's own file."""

import importlib.util
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from dataset_models.solar_data import DataIntegrityError
from dataset_models.spectra.eis import eis_pair, read_eis
from dataset_models.spectra.read_spectra import read_spectra

N_Y, N_X, N_WAVE = 6, 5, 8
GRID = 195.0 + 0.0223 * np.arange(N_WAVE)
FACTOR = np.linspace(40, 41, N_WAVE)


def pair(folder, *, photons=None, n_wave=N_WAVE, without=()):
    """Write two windows as in the files that eispac carries; give the file of data."""
    correction = 0.001 * np.arange(N_Y)[:, None] + 0.01 * np.arange(N_X)
    head = {
        "index/date_obs": [b"2021-03-06T06:44:44.000"],
        "index/target": [b"Flare"],
        "exposure_times/duration": np.full(N_X, 10.0),
        "wavelength/wave_corr": correction,
        "times/date_obs": [f"2021-03-06T06:4{9 - k}:00.000".encode() for k in range(N_X)],
        "pointing/solar_x": -66.0 + 4.0 * np.arange(N_X),
        "pointing/solar_y": -200.0 + np.arange(N_Y),
    }
    numbers = {"xcen": -58.0, "ycen": -197.5, "x_scale": 4.0, "y_scale": 1.0}
    numbers |= {"offset_x": 24.5, "offset_y": 3.0}
    head |= {f"pointing/{key}": [value] for key, value in numbers.items()}
    for k, name in enumerate((b"Fe XII 195.120", b"He II 256.320")):
        grid = GRID + 61.0 * k
        head |= {
            f"wavelength/win0{k}": grid,
            f"radcal/win0{k}_pre": FACTOR,
            f"ccd_offsets/win0{k}": np.full(N_WAVE, 16.0),
            f"wininfo/win0{k}/line_id": [name],
            f"wininfo/win0{k}/wvl_min": [grid[0]],
            f"wininfo/win0{k}/wvl_max": [grid[-1]],
        }
    head["wininfo/nwin"] = [2]
    path = folder / "eis_20210306_064444.data.h5"
    with h5py.File(folder / "eis_20210306_064444.head.h5", "w") as file:
        for key, value in head.items():
            if key not in without:
                file[key] = np.asarray(value)
    with h5py.File(path, "w") as file:
        values = np.full((N_Y, N_X, n_wave), 100.0) if photons is None else photons
        file["level1/win00"], file["level1/win01"] = values.astype(np.float32), values
        file["level1/intensity_units"] = np.array([b"Counts"])
    return path


def test_wavelengths_of_each_pixel(tmp_path):
    cube = read_eis(pair(tmp_path), window=0)
    own = cube.wavelength + cube.wavelength_shift[..., None]
    # eispac: wavelength - wave_corr
    np.testing.assert_allclose(own[3, 2], GRID - 0.003 - 0.02, rtol=0, atol=1e-9)
    assert np.median(cube.wavelength_shift) == pytest.approx(0, abs=1e-12)


def test_calibration_and_errors(tmp_path):
    photons = np.full((N_Y, N_X, N_WAVE), 100.0)
    photons[0, 0, :2] = -100, -3
    path = pair(tmp_path, photons=photons)
    raw = read_eis(path, window="Fe XII 195.120", calibrated=False)
    # 14.427 electrons of read-out over 12398.5 / 195 / 3.65 = 17.42 electrons per photon
    readout = 14.427 / (12398.5 / GRID / 3.65)
    np.testing.assert_allclose(raw.sigma[1, 1, 0], np.sqrt(100 + readout**2))
    assert readout[0] == pytest.approx(0.828, abs=0.001)
    assert np.isnan(raw.values[0, 0, 0, 0])
    assert raw.values[0, 0, 0, 1] == -3
    assert raw.sigma[0, 0, 0, 1] == pytest.approx(readout[1])
    cube = read_eis(path, window="Fe XII 195.120")
    np.testing.assert_allclose(cube.values, raw.values * FACTOR)
    np.testing.assert_allclose(cube.sigma, raw.sigma * FACTOR)
    assert (raw.unit, cube.unit) == ("photons", "erg cm-2 s-1 sr-1 angstrom-1")
    assert "0.4% of the values are missing" in cube.summary.mended[0]


def test_times_and_places(tmp_path):
    cube = read_eis(pair(tmp_path), window=256.3)
    assert cube.line == "He II 256.320"
    assert cube.time == "2021-03-06T06:44:44.000"
    assert str(cube.times[0]) == "2021-03-06T06:49:00.000"  # the last exposure lies in the east
    # XCEN + offset; YCEN + offset - offset on the detector
    assert (cube.wcs["CRVAL1"], cube.wcs["CRVAL2"]) == (-33.5, -210.5)
    assert (cube.wcs["CRPIX1"], cube.wcs["CRPIX2"]) == (3.0, 3.5)
    assert cube.pointing[0].tolist() == [-41.5, -210.5]


def test_either_file_names_the_pair(tmp_path):
    path = pair(tmp_path)
    head = path.with_name(path.name.replace(".data.", ".head."))
    assert eis_pair(head) == (path, head)
    by_folder = read_spectra(tmp_path, window="1")
    np.testing.assert_array_equal(by_folder.values, read_spectra(head, window="1").values)


def test_errors(tmp_path):
    path = pair(tmp_path, without=("wavelength/wave_corr",))
    with pytest.raises(DataIntegrityError, match="expected wavelength/wave_corr"):
        read_eis(path, window=0)
    with pytest.raises(DataIntegrityError, match="one of its 2 windows"):
        read_eis(path)
    other = tmp_path / "b"
    other.mkdir()
    with pytest.raises(DataIntegrityError, match="expected win00 as"):
        read_eis(pair(other, n_wave=7), window=0)
    third = tmp_path / "c"
    third.mkdir()
    with pytest.raises(DataIntegrityError, match="got none in Fe XII"):
        read_eis(pair(third, photons=np.full((N_Y, N_X, N_WAVE), -100.0)), window=0)
    path.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    pair_head = path.with_name(path.name.replace(".data.", ".head."))
    pair_head.write_bytes(path.read_bytes())
    with pytest.raises(DataIntegrityError, match="expected an HDF5 file of EIS"):
        read_eis(path)
    pair_head.unlink()
    with pytest.raises(FileNotFoundError, match="EIS files come in pairs"):
        read_eis(path)
    with pytest.raises(DataIntegrityError, match="ends in .data.h5"):
        read_eis(tmp_path / "x.h5")


@pytest.fixture
def eispac_files():
    """Return the folder of eispac's test data, or skip."""
    spec = importlib.util.find_spec("eispac")
    folder = os.environ.get("EISPAC_DATA") or (spec and Path(spec.origin).parent / "data" / "test")
    if not folder or not list(Path(folder).glob("eis_*.data.h5")):
        pytest.skip("eispac's test files (EISPAC_DATA, or the package) are not here")
    return Path(folder)


def test_eispac_agrees(eispac_files):
    """eispac fitted Fe XII 192.394 in this file; its wavelengths and integrals are the truth."""
    (fit_path,) = eispac_files.glob("eis_20210306_064444.fe_12_192_394.1c-0.fit.h5")
    cube = read_eis(eispac_files / "eis_20210306_064444.data.h5", window=192.394)
    with h5py.File(fit_path) as file:
        wavelength, integral = file["fit/wavelength"][()], file["fit/int"][..., 0]
        background = file["fit/params"][..., 3]
    own = cube.wavelength + cube.wavelength_shift[..., None]
    np.testing.assert_allclose(own, wavelength, rtol=0, atol=1e-9)
    line = (cube.wavelength > 192.25) & (cube.wavelength < 192.56)
    above = np.nan_to_num(cube.values[:, :, 0] - background[..., None])[..., line]
    summed = above.sum(-1) * (cube.wavelength[1] - cube.wavelength[0])
    # a sum against the integral of a fit; only a unit per angstrom makes them equal
    assert np.median(summed / integral) == pytest.approx(1, abs=0.05)
    assert np.corrcoef(summed.ravel(), integral.ravel())[0, 1] > 0.99
