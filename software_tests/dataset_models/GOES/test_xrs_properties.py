"""X-ray files of several satellites against a slow, plain reference, by drawn examples.

The reference knows minutes only: a sample stands for its minute. Of one file, the first good flux
of a minute counts. Of one satellite, the file with the most good minutes counts first. The
satellite with the most good minutes is the primary, a tie goes to the newer one; where it has no
good minute, the one with the next most fills in, and so on. File names, their order and that of the
samples decide nothing.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataset_models.GOES.xrs import read_xrs
from dataset_models.GOES.xrs_merge import join_xrs
from dataset_models.solar_data import DataIntegrityError
from network_models.xray_flux_forecast.forecast_data import read_record

SETTINGS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
DAYS = ("1998-05-01", "2012-07-12", "2021-01-01")  # before and after the epoch of 2000
LONG_IS_BAD = ("flagged", "fill", "nan", "impossible", "no time")
STATES = ("good", "short flagged", *LONG_IS_BAD)
UNIT = 1e-9  # W m-2; a row's level counts these
IMPOSSIBLE = 20_000_000  # 0.02 W m-2, beyond X100
# of a long channel: dtype, _FillValue, scale_factor, add_offset, units and their size in W m-2
PACKINGS = (
    ("f8", -99999.0, None, None, "W m-2", 1.0),
    ("f4", -9999.0, None, None, "W/m2", 1.0),
    ("f4", 9.96921e36, None, None, "W/m^2", 1.0),
    ("f8", 3.21e-3, None, None, "Watts m-2", 1.0),
    ("f8", -1.0, None, None, "mW m-2", 1e-3),
    ("i4", -2147483647, 1e-9, None, "W m-2", 1.0),
    ("i4", 77_777, 1e-6, 5e-4, "mW m-2", 1e-3),
)
# time, long and short flux, their flags; whether it is a legacy product with the factor 0.7
SCHEMES = (
    ("time", "xrs{}_flux", "xrs{}_flags", False),
    ("time", "xrs{}_flux", "xrs{}_flag", False),
    ("time", "{}_flux", "{}_flags", False),
    ("time_tag", "{}_AVG", "{}_QUAL_FLAG", True),
    ("time_tag", "{}_FLUX", "{}_quality_flag", True),
)


@dataclass(frozen=True)
class Row:
    """One sample: its minute, what is the matter with it, and its flux in ``UNIT``."""

    minute: int
    state: str
    level: int


@dataclass(frozen=True)
class XRayFile:
    satellite: int
    rows: tuple[Row, ...]
    packing: int
    scheme: int
    named: str  # a file name with {} for the satellite; without, the platform says it
    platform: int


def true_flux(file, row):
    is_operational = SCHEMES[file.scheme][3] and file.satellite < 16
    return row.level * UNIT / (0.7 if is_operational else 1.0)


def good_minutes(file):
    """Return {minute: true flux} of one file."""
    found = {}
    for row in file.rows:
        if row.state not in LONG_IS_BAD and row.minute not in found:
            found[row.minute] = true_flux(file, row)
    return found


def reference(files):
    """Return {minute: fluxes that are right} and the satellites, the primary first.

    Several fluxes are right where files of one satellite have as much good time as each other.
    """
    of_satellite = {}
    for file in files:
        good = good_minutes(file)
        if good:
            of_satellite.setdefault(file.satellite, []).append(good)
    covered = {s: set().union(*goods) for s, goods in of_satellite.items()}
    ranking = sorted(covered, key=lambda s: (-len(covered[s]), -s))
    expected = {}
    for satellite in ranking:
        for minute in covered[satellite] - set(expected):
            having = [good for good in of_satellite[satellite] if minute in good]
            most = max(len(good) for good in having)
            expected[minute] = [good[minute] for good in having if len(good) == most]
    return expected, [f"GOES-{s}" for s in ranking]


def write(folder, number, file, day):
    dtype, fill, scale, offset, units, size = PACKINGS[file.packing]
    time_name, flux_name, flag_name, legacy = SCHEMES[file.scheme]
    letters = ("B", "A") if legacy else ("b", "a")
    path = folder / file.named.format(file.satellite, number=number)
    epoch, step = ("1970-01-01T00:00:00", 1e3) if legacy else ("2000-01-01T12:00:00", 1.0)
    start = (np.datetime64(day) - np.datetime64(epoch)) / np.timedelta64(1, "s")
    values = []
    for row in file.rows:
        level = IMPOSSIBLE if row.state == "impossible" else row.level
        value = (level * UNIT / size - (offset or 0)) / (scale or 1)
        if row.state in ("fill", "nan"):
            value = fill if row.state == "fill" or dtype == "i4" else float("nan")
        values.append(round(value) if dtype == "i4" else value)
    with h5py.File(path, "w") as out:
        out.attrs["title"] = "GOES 1-15 L2 XRS" if file.satellite < 16 else "L2 XRS averages"
        out.attrs["platform"] = f"g{file.satellite if '{}' not in file.named else file.platform}"
        times = [(start + 60 * row.minute) * step for row in file.rows]
        bad = [row.state == "no time" for row in file.rows]
        out[time_name] = np.where(bad, np.nan, np.array(times, float))
        unit = "milliseconds" if legacy else "seconds"
        out[time_name].attrs["units"] = f"{unit} since {epoch.replace('T', ' ')}"
        for letter, mark in zip(letters, ("flagged", "short flagged"), strict=True):
            flux = out.create_dataset(flux_name.format(letter), data=np.array(values, dtype))
            flux.attrs["_FillValue"], flux.attrs["units"] = np.array(fill, dtype), units
            packed = {"scale_factor": scale, "add_offset": offset}
            flux.attrs.update({key: value for key, value in packed.items() if value is not None})
            marked = [3 * (row.state == mark) for row in file.rows]
            flags = out.create_dataset(flag_name.format(letter), data=np.array(marked, "u2"))
            flags.attrs["flag_meanings"] = "good_data eclipse particle_spike"
            flags.attrs["flag_values"] = np.array([0, 1, 2], "u2")
            flags.attrs["flag_masks"] = np.array([65535, 1, 2], "u2")
    return path


def write_all(folder, files, day):
    return [write(Path(folder), number, file, day) for number, file in enumerate(files)]


def shuffled(rows, order):
    """Permute rows; those of one minute keep their order, the first of them counts."""
    waiting = {}
    for row in rows:
        waiting.setdefault(row.minute, []).append(row)
    return tuple(waiting[rows[k].minute].pop(0) for k in order)


@st.composite
def x_ray_files(draw, satellites=(13, 15, 16, 17)):
    """Draw one file of up to twelve minutes; its first two tell that it is of one-minute steps."""
    start, satellite = draw(st.integers(0, 10)), draw(st.sampled_from(satellites))
    level = st.integers(-400, 30_000) | st.sampled_from((1000, 2000, 3000))
    present = [0, 1] + [k for k in range(2, draw(st.integers(2, 12))) if draw(st.integers(0, 3))]
    rows = [
        Row(start + k, draw(st.sampled_from(STATES[:-1] if k < 2 else STATES)), draw(level))
        for k in present
    ]
    for row in draw(st.lists(st.sampled_from(rows), max_size=2)):  # repeated times
        rows.append(Row(row.minute, draw(st.sampled_from(STATES)), draw(level)))
    rows = draw(st.permutations(rows))
    mark = draw(st.sampled_from(["a", "z", "0"]))
    form = draw(st.sampled_from(["_g{}_{number}.nc", "_goes-{}_x{number}.nc", "_x{number}.nc"]))
    return XRayFile(
        satellite,
        tuple(rows),
        draw(st.integers(0, len(PACKINGS) - 1)),
        draw(st.integers(0, len(SCHEMES) - 1)),
        mark + form,
        draw(st.sampled_from(satellites)),
    )


def minutes_of(record, day):
    """Return {minute: flux} of a record; a flux is known when its minute is over."""
    minutes = (record.flux_time - np.datetime64(day)) / np.timedelta64(60, "s") - 1
    return dict(zip(minutes.astype(int).tolist(), record.flux.tolist(), strict=True))


@pytest.mark.parametrize("day", DAYS)
@SETTINGS
@given(files=st.lists(x_ray_files(), min_size=1, max_size=5))
def test_a_record_is_that_of_the_reference(day, files):
    expected, satellites = reference(files)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_all(folder, files, day)
        if not expected:
            with pytest.raises(DataIntegrityError):
                read_record([str(p) for p in paths], class_scale="true")
            return
        record = read_record([str(p) for p in paths], class_scale="true")
    found = minutes_of(record, day)
    assert sorted(found) == sorted(expected)
    for minute, flux in found.items():
        nearest = min(expected[minute], key=lambda right, flux=flux: abs(right - flux))
        assert flux == pytest.approx(nearest, rel=1e-6, abs=1e-15), minute
    assert list(record.satellites) == satellites
    useless = {p.name for p, f in zip(paths, files, strict=True) if not good_minutes(f)}
    assert {line.split(":")[0] for line in record.summary.left_out} == useless


@SETTINGS
@given(files=st.lists(x_ray_files(satellites=(15, 16)), min_size=2, max_size=4), data=st.data())
def test_names_and_orders_decide_nothing(files, data):
    files, others = [file for file in files if good_minutes(file)], []
    assume(files)
    for file in files:
        order = data.draw(st.permutations(range(len(file.rows))))
        named = data.draw(st.sampled_from("AZ_")) + file.named
        others.append(replace(file, rows=shuffled(file.rows, order), named=named))
    others = data.draw(st.permutations(others))
    joined = []
    for those in (files, others):
        with tempfile.TemporaryDirectory() as folder:
            paths = write_all(folder, those, DAYS[1])
            joined.append(join_xrs([read_xrs(path, scaling="true") for path in paths]))
    assert joined[0].satellite == joined[1].satellite
    good = [series.long_is_good for series in joined]
    np.testing.assert_array_equal(joined[0].time[good[0]], joined[1].time[good[1]])
    np.testing.assert_array_equal(joined[0].long_flux[good[0]], joined[1].long_flux[good[1]])


def test_two_files_of_as_much_good_time_need_no_order():
    # both begin alike and have the good fluxes 1, 2, 3; of the third minute they say 3 and 2
    states, files = ("good", "good", "good", "fill"), []
    for number, places in enumerate(((0, 1, 2, 3), (0, 3, 1, 2))):
        rows = tuple(Row(k, states[p], 1000 * (p + 1)) for k, p in enumerate(places))
        files.append(XRayFile(16, rows, 0, 0, f"{number}_g{{}}.nc", 16))
    with tempfile.TemporaryDirectory() as folder:
        one, other = (read_xrs(path) for path in write_all(folder, files, DAYS[2]))
    np.testing.assert_array_equal(
        join_xrs([one, other]).long_flux, join_xrs([other, one]).long_flux
    )


def test_seconds_in_a_gap_leave_the_minutes_to_the_primary():
    # by hand: of 100 minutes GOES-16 has 90; GOES-17 has its ten others as single seconds; GOES-18
    # has only eight that GOES-16 has too
    whole = [Row(k, "good", 1000) for k in range(100) if not 50 <= k < 60]
    few = [Row(k, "good", 3000) for k in range(20, 28)]
    files = [XRayFile(s, tuple(rows), 0, 0, "x_g{}.nc", 16) for s, rows in ((16, whole), (18, few))]
    with tempfile.TemporaryDirectory() as folder:
        series = [read_xrs(path) for path in write_all(folder, files, DAYS[2])]
    time = np.datetime64(f"{DAYS[2]}T00:50", "ms") + 1000 * np.arange(600).astype("timedelta64[ms]")
    flux, good = np.full(600, 2e-6), np.ones(600, bool)
    fields = {"time": time, "long_flux": flux, "short_flux": flux, "cadence_s": 1.0}
    fields |= {"long_is_good": good, "short_is_good": good, "satellite": "GOES-17"}
    _, minutes = join_xrs([*series, replace(series[0], **fields)]).minute_averages()
    assert Counter(np.round(minutes * 1e6).tolist()) == {1.0: 90, 2.0: 10}
