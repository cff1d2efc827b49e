"""Situations from people's bug reports: X-ray files and lists that were once read wrongly.

Each is made here; where ../shared/cases is, its file of the same situation is read, too.
"""

import logging

import h5py
import numpy as np
import pytest
from astropy.io import fits

from dataset_models.GOES.flare_finder import record_of_series
from dataset_models.GOES.flare_list import read_flare_list
from dataset_models.GOES.xrs import read_xrs
from dataset_models.solar_data import DataIntegrityError
from network_models.xray_flux_forecast.forecast_data import read_record

N = 1440
LIST = "Flare Class,Start Time,Peak Time,End Time,Active Region Number\n"


def light_curve():
    """Return a day at C1 with a flare of M2.1 at 10:00, W m-2."""
    minute = np.arange(N)
    return 1e-6 + 2e-5 * np.exp(-np.abs(minute - 600) / 5.0)


def write(path, flux=None, *, day=0, epoch="seconds since 2000-01-01 12:00:00", **changes):
    """Write a day of one-minute samples of GOES-16, with further attributes of both fluxes."""
    flux = light_curve() if flux is None else flux
    with h5py.File(path, "w") as file:
        file.attrs["platform"] = "g16"
        file["time"] = 662731200.0 + day * 86400.0 + 60.0 * np.arange(len(flux))
        file["time"].attrs["units"] = epoch
        for name, values in (("xrsb_flux", flux), ("xrsa_flux", flux / 10)):
            file[name] = changes.get("stored", lambda v: v.astype(np.float32))(values)
            for key, value in changes.get("attributes", {"units": "W/m2"}).items():
                file[name].attrs[key] = value
    return path


def both(made, known):
    """Return the file that was made and those of the known case."""
    return [made, *known]


def test_every_flag_variable_counts(tmp_path, case_files):
    made = tmp_path / "g15_xrs_1m.nc"
    flux = light_curve()
    flux[900] = 5e-4
    with h5py.File(made, "w") as file:
        file["time_tag"] = 1.3074048e12 + 6e4 * np.arange(N)
        file["time_tag"].attrs["units"] = "milliseconds since 1970-01-01 00:00:00.0 UTC"
        file["B_FLUX"], file["A_FLUX"] = flux, flux / 10
        file["B_QUAL_FLAG"] = (np.arange(N) == 900).astype(np.int32)
        file["A_QUAL_FLAG"] = (np.arange(N) == 100).astype(np.int32)
        file["B_MOON_FLAG"] = np.zeros(N, np.int32)
    for path in both(made, case_files("f14_qual_flag/*.nc")):
        series = read_xrs(path)
        assert np.nanmax(series.long_flux[series.long_is_good]) < 4e-5
        assert (~series.long_is_good).sum() in (1, 10)
        assert series.satellite == "GOES-15"
    series = read_xrs(made)
    assert (~series.short_is_good).sum() == 1  # each channel by its own flags
    assert series.long_is_good[100]
    assert "flag variable B_MOON_FLAG not known, ignored" in series.repairs


def test_cf_packing_fills_and_units(tmp_path, case_files):
    flux = light_curve()
    packed = {"scale_factor": 1e-9, "add_offset": 0.0, "units": "W/m2"}
    whole = write(
        tmp_path / "packed_g16.nc",
        stored=lambda v: np.round(v / 1e-9).astype(np.int32),
        attributes=packed,
    )
    mw = write(tmp_path / "units_g16.nc", flux * 1e3, attributes={"units": np.bytes_("mW m-2")})
    shifted = write(
        tmp_path / "offset_g16.nc",
        stored=lambda v: np.round((v - 1e-7) / 1e-9).astype(np.int32),
        attributes=packed | {"add_offset": 1e-7, "units": "W m^-2"},
    )
    for path in (whole, mw, shifted):
        np.testing.assert_allclose(read_xrs(path).long_flux, flux, atol=1e-9)
    filled = flux.copy()
    filled[50:60] = 9.96921e36
    attributes = {"_FillValue": np.float32(9.96921e36), "units": "W/m2"}
    path = write(tmp_path / "fill_g16.nc", filled, attributes=attributes)
    series = read_xrs(path)
    assert (~series.long_is_good).sum() == 10
    # a tenth of the fill in the other channel is no fill, but no flux either
    assert "10 impossible fluxes missing" in series.repairs
    for path in case_files("f15_cf/*.nc"):
        series = read_xrs(path)
        assert 1e-8 < np.nanmin(series.long_flux)
        assert 1e-5 < np.nanmax(series.long_flux) < 3e-5
    odd = write(tmp_path / "odd.nc", attributes={"units": "counts"})
    with pytest.raises(DataIntegrityError, match="unit of xrsb_flux is 'counts'"):
        read_xrs(odd)


def test_noise_below_zero_is_read_and_makes_no_flare(tmp_path, case_files, generator):
    flux = light_curve()
    flux[:300] = -np.abs(generator.normal(0, 1e-8, 300))
    for path in both(write(tmp_path / "g16.nc", flux), case_files("f17_negative/*.nc")):
        record = record_of_series(read_xrs(path))
        assert (record.peak_flux > 0).all()
        assert 1.9e-5 < record.peak_flux.max() < 2.2e-5
        assert record.flux.min() < 0
    assert len(record_of_series(read_xrs(tmp_path / "g16.nc")).peak_time) == 1


@pytest.mark.parametrize("kind", ["folder", "empty"])
def test_a_bad_day_costs_itself_and_is_named(tmp_path, case_files, caplog, kind):
    folder = tmp_path / "days"
    folder.mkdir()
    write(folder / "xrs_g16_d20210101.nc")
    write(folder / "xrs_g16_d20210103.nc", day=2)
    write(folder / "xrs_g16_d20210102.nc", light_curve()[:0], day=1)
    (folder / "broken_g16.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    (folder / "old_g16.nc").write_bytes(b"CDF\x01" + bytes(200))
    (folder / "._xrs_g16_d20210101.nc").write_bytes(b"\0\5\26\7")
    with caplog.at_level(logging.WARNING):
        record = read_record([str(folder)], class_scale="true")
    assert len(record.peak_time) == 2
    assert record.summary.n_given == 6
    assert record.summary.n_read == 2
    said = "\n".join(record.summary.lines())
    for text in (
        "2 of 6 files read, 4 left out",
        "xrs_g16_d20210102.nc: the file holds no samples",
        "broken_g16.nc: cannot be read",
        "old_g16.nc: a netCDF-3 file",
        "._xrs_g16_d20210101.nc: a hidden file",
    ):
        assert text in said
    assert "2 of 6 X-ray files read" in caplog.text
    for path in {p.parent for p in case_files(f"f18_{kind}/*.nc")}:
        record = read_record([str(path)], class_scale="true")
        days = set(record.flux_time.astype("datetime64[D]").astype(str))
        assert "2021-01-01" in days
        assert len(record.peak_time) >= 1


def test_a_time_without_a_value_costs_one_sample(tmp_path, case_files):
    made = tmp_path / "go15.fits"
    seconds = 60.0 * np.arange(N)
    seconds[10] = np.nan
    flux = np.stack([light_curve(), light_curve() / 10], -1)
    columns = [
        fits.Column("TIME", f"{N}D", array=seconds[None]),
        fits.Column("FLUX", f"{2 * N}E", dim=f"(2,{N})", array=flux[None]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="FLUXES")
    table.header["TIMEZERO"] = 55719
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "GOES 15"}))
    fits.HDUList([primary, table]).writeto(made)
    for path in both(made, case_files("f18_nan_time/*.fits")):
        series = read_xrs(path)
        assert len(series.time) == N - 1
        assert "1 samples without a time left out" in series.repairs
        assert series.satellite == "GOES-15"


def test_the_file_s_name_goes_before_its_platform(tmp_path):
    path = write(tmp_path / "sci_xrsf-l2-avg1m_g17_d20210101.nc")
    series = read_xrs(path)
    assert series.satellite == "GOES-17"
    assert "the name says GOES-17, the file GOES-16: taken for GOES-17" in series.repairs


ROWS = (
    "M1.0,2019-05-06T05:04Z,2019-05-06T05:10Z,2019-05-06T05:13Z,12740\n"
    "M1.0,2024-05-06T05:38Z,2024-05-06T05:57Z,2024-05-06T06:09Z,13663\n"
)


@pytest.mark.parametrize(
    ("scale", "fluxes"), [("operational", [1e-5, 0.7e-5]), ("true", [1e-5 / 0.7, 1e-5])]
)
def test_a_list_s_scale_follows_the_date(tmp_path, case_files, caplog, scale, fluxes):
    made = tmp_path / "list.csv"
    made.write_text(LIST + ROWS)
    for path in both(made, case_files("f19_list/list.csv")):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            record = read_record([str(path)], class_scale=scale)
        np.testing.assert_allclose(record.peak_flux, fluxes, rtol=1e-6)
        assert record.class_scale == scale
        assert "mixes flares on the operational scale (until 2019, 1) and on the true one (1)" in (
            caplog.text
        )


def test_a_list_s_satellite_goes_before_the_date(tmp_path):
    path = tmp_path / "list.csv"
    head = LIST.strip() + ",Satellite\n"
    first, second = ROWS.split()
    path.write_text(f"{head}{first},GOES-16\n{second},15\n")
    record = read_flare_list(path, class_scale="true")
    np.testing.assert_allclose(record.peak_flux, [1e-5, 1e-5 / 0.7], rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A0.0,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,11226", "class above 0"),
        ("M2.5,2011-06-07T06:91Z,2011-06-07T06:41Z,2011-06-07T06:59Z,11226", "no time that"),
        ("M2.5,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-01T06:59Z,11226", "ends at"),
        ("Z2.5,2011-06-07T06:16Z,2011-06-07T06:41Z,2011-06-07T06:59Z,11226", "flare class such"),
        ("M2.5,2011-06-07T06:16Z,2011-06-07T06:41Z", "expected 5 columns, got 3"),
    ],
)
def test_a_bad_row_costs_itself(tmp_path, row, reason):
    path = tmp_path / "list.csv"
    path.write_text(LIST + row + "\n" + ROWS)
    record = read_flare_list(path)
    assert len(record.peak_time) == 2
    assert record.faults["rows left out"] == 1
    (line,) = record.summary.left_out
    assert line.startswith("list.csv, line 2: ")
    assert reason in line
    assert record.summary.n_read == 2
    path.write_text(LIST + row + "\n")
    with pytest.raises(ValueError, match=r"list\.csv: no row can be read"):
        read_flare_list(path)
