"""X-ray Sensor files: real days with values derived by hand, and damaged ones."""

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits

from dataset_models.GOES.flare_finder import record_of_series
from dataset_models.GOES.xrs import read_xrs
from dataset_models.GOES.xrs_merge import join_xrs
from dataset_models.solar_data import DataIntegrityError
from tools.physics.flare_class import flux_to_class

W_M2 = u.W / u.m**2


def classes(flux, flux_scale):
    return [
        flux_to_class(flux * W_M2, flux_scale=flux_scale, class_scale=scale)
        for scale in ("operational", "true")
    ]


def write_netcdf(path, *, time, long_flux, flags=None, units="seconds since 2000-01-01 12:00:00"):
    with h5py.File(path, "w") as file:
        file.attrs["title"], file.attrs["platform"] = "L2 XRS 1-s fluxes", "g16"
        file["time"] = np.asarray(time, float)
        file["time"].attrs["units"] = units
        file["xrsb_flux"] = np.asarray(long_flux, np.float32)
        file["xrsa_flux"] = np.asarray(long_flux, np.float32) / 10
        if flags is not None:
            file["xrsb_flags"] = np.asarray(flags, np.uint16)
            file["xrsb_flags"].attrs["flag_meanings"] = "good_data eclipse particle_spike"
            file["xrsb_flags"].attrs["flag_values"] = np.array([0, 1, 2], np.uint16)
            file["xrsb_flags"].attrs["flag_masks"] = np.array([65535, 1, 2], np.uint16)
    return path


class TestRealDays:
    def test_goes_15_on_2011_06_07(self, goes_15_day):
        # By hand: the SDAC file stands on the operational scale; its largest minute average is
        # 2.5446e-5 W m-2 in the minute 06:41, its largest 2-s sample 2.5554e-5 at 06:41:24. The
        # event list calls this flare M2.5 with its peak at 06:41. True scale: 2.5446e-5 / 0.7 =
        # 3.635e-5, M3.6.
        series = read_xrs(goes_15_day)
        assert (series.satellite, series.scaling) == ("GOES-15", "operational")
        assert series.cadence_s == pytest.approx(2.047, abs=1e-3)
        assert len(series.time) == 42177
        assert str(series.time[np.argmax(series.long_flux)])[:19] == "2011-06-07T06:41:24"
        assert series.long_flux.max() == pytest.approx(2.5554e-5, rel=1e-6)
        record = record_of_series(series)
        assert [str(t) for t in record.peak_time] == ["2011-06-07T06:41:00"]
        assert record.peak_flux[0] == pytest.approx(2.5446e-5, rel=1e-4)
        assert classes(record.peak_flux[0], series.scaling) == ["M2.5", "M3.6"]
        assert series.long_is_good.all()
        assert len(series.gaps(300)) == 0
        assert len(series.gaps(4)) == 2  # two steps of more than two samples, the larger 14.3 s

    def test_goes_16_on_2017_09_10(self, shared):
        # By hand: science-quality fluxes are true; the largest minute average is 1.29352e-3 in
        # 16:06 (X12.9), the largest sample 1.29709e-3 at 16:06:31. Operational: 1.29352e-3 * 0.7
        # = 9.0546e-4, X9.1. The event list of the time, from GOES-13 and -15, has X8.2 at 16:06:
        # 10 % lower, the instruments differ by more than the factor.
        path = shared / "goes/sci_xrsf-l2-flx1s_g16_d20170910_v2-1-0_truncated.nc"
        series = read_xrs(path)
        assert (series.satellite, series.scaling) == ("GOES-16", "true")
        assert len(series.time) == 7200
        assert (~series.long_is_good).sum() == 146  # particle_spike
        assert (~series.short_is_good).sum() == 166
        record = record_of_series(series)
        assert [str(t) for t in record.peak_time] == ["2017-09-10T16:06:00"]
        assert record.peak_flux[0] == pytest.approx(1.29352e-3, rel=1e-5)
        assert classes(record.peak_flux[0], series.scaling) == ["X9.1", "X12.9"]
        operational = read_xrs(path, scaling="operational")
        assert record_of_series(operational).peak_flux[0] == pytest.approx(9.0546e-4, rel=1e-4)
        assert "converted" in operational.repairs[-1]

    @pytest.mark.parametrize(
        ("name", "satellite", "first", "cadence_s"),
        [
            ("sci_gxrs-l2-irrad_g13_d20170901", "GOES-13", "2017-09-01T00:00:00", 2.047),
            ("sci_gxrs-l2-irrad_g15_d20131028", "GOES-15", "2013-10-28T00:00:01", 2.047),
            ("sci_xrsf-l2-avg1m_g15_d20190102", "GOES-15", "2019-01-02T00:00:00", 60),
            ("sci_xrsf-l2-avg1m_g16_d20210101", "GOES-16", "2021-01-01T22:20:00", 60),
            ("sci_xrsf-l2-flx1s_g17_d20201016", "GOES-17", "2020-10-16T00:00:00", 1),
        ],
    )
    def test_both_naming_schemes_and_epochs(self, shared, name, satellite, first, cadence_s):
        # the first times are the dates in the file names; 1970 epoch for a_flux, 2000 for xrsa_flux
        series = read_xrs(shared / f"flare/goes/{name}_truncated.nc")
        assert series.satellite == satellite
        assert str(series.time[0])[:19] == first
        assert series.cadence_s == pytest.approx(cadence_s, abs=2e-3)
        assert series.scaling == "true"
        assert series.long_is_good.all()

    def test_the_leap_second_of_2015(self, shared):
        # 100 samples of 2.047 s up to the leap second: steps stay even, no time stands twice
        series = read_xrs(shared / "flare/goes/goes_13_leap_second.nc")
        steps = np.diff(series.time) / np.timedelta64(1, "ms")
        assert series.satellite == "GOES-13"
        assert str(series.time[0]) == "2015-06-30T23:56:37.215"
        assert str(series.time[-1]) == "2015-06-30T23:59:59.965"
        assert (steps >= 2046).all()
        assert (steps <= 2050).all()

    def test_the_other_real_fits_day_reads_when_gzipped(self, goes_15_day):
        series = read_xrs(goes_15_day.with_name("go1520120601.fits.gz"))
        assert str(series.time[100])[:10] == "2012-06-01"


def test_milliseconds_and_legacy_names_are_operational(tmp_path):
    path = tmp_path / "g14_xrs_2s.nc"
    with h5py.File(path, "w") as file:
        file["time_tag"] = 1.3e12 + 2047 * np.arange(20)
        file["time_tag"].attrs["units"] = "milliseconds since 1970-01-01 00:00:00.0 UTC"
        file["A_FLUX"], file["B_FLUX"] = np.full(20, 1e-8), np.full(20, 1e-7)
    series = read_xrs(path)
    assert (series.satellite, series.scaling) == ("GOES-14", "operational")
    assert str(series.time[0]) == "2011-03-13T07:06:40.000"  # 1.3e9 s after 1970
    assert read_xrs(path, scaling="true").long_flux[0] == pytest.approx(1e-7 / 0.7)
    assert read_xrs(path, scaling="true").short_flux[0] == pytest.approx(1e-8 / 0.85)


def test_flags_fill_values_and_gaps_are_counted(tmp_path):
    flux = np.full(600, 1e-6)
    flux[:10] = -9999.0
    flags = np.zeros(600, int)
    flags[50:60] = 2
    time = np.arange(600.0)
    time[300:] += 1000
    series = read_xrs(write_netcdf(tmp_path / "a.nc", time=time, long_flux=flux, flags=flags))
    assert (~series.long_is_good).sum() == 20
    assert np.isnan(series.long_flux[:10]).all()
    gaps = series.gaps(300)
    assert len(gaps) == 1
    assert (gaps[0, 1] - gaps[0, 0]) / np.timedelta64(1, "s") == 1001
    assert len(series.gaps(5)) == 2  # the flagged ten seconds as well


def test_repeated_times_are_dropped_and_counted(tmp_path):
    time = np.r_[np.arange(50.0), 49.0, np.arange(50.0, 60)]
    series = read_xrs(write_netcdf(tmp_path / "a.nc", time=time, long_flux=np.full(61, 1e-6)))
    assert len(series.time) == 60
    assert series.repairs == ("1 repeated times dropped",)


def test_files_that_overlap_are_not_interleaved(tmp_path):
    one = write_netcdf(tmp_path / "a.nc", time=np.arange(0, 100.0), long_flux=np.full(100, 1e-6))
    time = np.arange(0.7, 120.0)
    other = write_netcdf(tmp_path / "b.nc", time=time, long_flux=np.full(len(time), 2e-6))
    joined = join_xrs([read_xrs(one), read_xrs(other)])
    np.testing.assert_allclose(joined.long_flux, 2e-6)  # the longer one has both minutes
    assert (joined.time[1:] > joined.time[:-1]).all()


def test_files_of_one_scale_are_joined_in_time(tmp_path):
    later = write_netcdf(
        tmp_path / "a.nc", time=np.arange(100, 200.0), long_flux=np.full(100, 2e-6)
    )
    earlier = write_netcdf(
        tmp_path / "b.nc", time=np.arange(0, 120.0), long_flux=np.full(120, 1e-6)
    )
    joined = join_xrs([read_xrs(later), read_xrs(earlier)])
    assert len(joined.time) == 200
    assert joined.long_flux[110] == pytest.approx(1e-6)  # the file with more good time counts
    assert "20 samples within the good time of another file left out" in joined.repairs
    with pytest.raises(ValueError, match="mix the operational and the true"):
        join_xrs([read_xrs(later), read_xrs(earlier, scaling="operational")])


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such file"):
            read_xrs(tmp_path / "none.fits")

    @pytest.mark.parametrize(
        "content", [b"", b"<html>404</html>", b"\x89HDF\r\n\x1a\n" + b"0" * 99]
    )
    def test_no_x_ray_file(self, tmp_path, content):
        path = tmp_path / "page.fits"
        path.write_bytes(content)
        with pytest.raises(DataIntegrityError, match=r"page\.fits"):
            read_xrs(path)

    @pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
    def test_truncated_fits(self, tmp_path, goes_15_day, share):
        data = goes_15_day.read_bytes()
        path = tmp_path / "cut.fits"
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(DataIntegrityError, match=r"cut\.fits"):
            read_xrs(path)

    def test_fits_without_flux(self, tmp_path):
        path = tmp_path / "image.fits"
        fits.writeto(path, np.zeros((3, 3)))
        with pytest.raises(DataIntegrityError, match="no FLUXES table"):
            read_xrs(path)

    def test_netcdf_without_flux(self, tmp_path):
        path = tmp_path / "g16.nc"
        with h5py.File(path, "w") as file:
            file["temperature"] = np.zeros(3)
        with pytest.raises(DataIntegrityError, match="xrsa_flux and xrsb_flux"):
            read_xrs(path)

    def test_unsorted_time(self, tmp_path):
        time, flux = np.arange(50.0), np.arange(50) * 1e-8 + 1e-6
        order = np.arange(50)
        order[[20, 30]] = order[[30, 20]]
        path = write_netcdf(tmp_path / "a.nc", time=time[order], long_flux=flux[order])
        series = read_xrs(path)
        np.testing.assert_allclose(series.long_flux, flux, rtol=1e-6)
        assert "times ran backwards 2 times, sorted" in series.repairs

    @pytest.mark.parametrize("flux", [np.nan, -9999.0, 9.96921e36])
    def test_nothing_but_missing_flux(self, tmp_path, flux):
        path = write_netcdf(tmp_path / "a.nc", time=np.arange(9.0), long_flux=np.full(9, flux))
        with pytest.raises(DataIntegrityError, match="none of its 9 samples holds a good"):
            read_xrs(path)

    def test_unknown_scale(self, tmp_path):
        path = tmp_path / "xrs_g12.nc"
        write_netcdf(path, time=np.arange(9.0), long_flux=np.full(9, 1e-6))
        with h5py.File(path, "a") as file:
            file.attrs["platform"], file.attrs["title"] = "g12", "somebody's product"
        with pytest.raises(DataIntegrityError, match=r"flux scale \(factor 0.7\) is unknown"):
            read_xrs(path)

    def test_unknown_time_unit(self, tmp_path):
        path = write_netcdf(
            tmp_path / "a.nc", time=np.arange(9.0), long_flux=np.full(9, 1e-6), units="days since x"
        )
        with pytest.raises(DataIntegrityError, match="unknown time unit"):
            read_xrs(path)
