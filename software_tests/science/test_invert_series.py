"""A series of inversions: goes on after a kill, lists what failed, takes nothing for finished."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.SDO.fits_folder import FITSFolder
from dataset_models.store import build_store
from science.dem.invert import main as invert
from science.dem.invert_series import main
from software_tests.dataset_models.SDO.AIA.six_files import write_six

ROOT = Path(__file__).parents[2]
TIMES = [f"2014-01-11T{hour:02d}:00:01" for hour in (8, 9, 10)]


@pytest.fixture
def folder(tmp_path):
    """Give a folder of FITS files of three times, the second without 131 angstrom."""
    data = tmp_path / "data"
    data.mkdir()
    for k, at in enumerate(TIMES):
        write_six(data, time=at, prefix=f"{k}_")
    (data / "1_131.fits").unlink()
    return data


def arguments(folder, *more):
    return [str(folder), "--output", str(folder.parent / "out"), "--workers", "1", *more]


def listed(folder):
    with open(folder.parent / "out/series.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("corrected", [False, True])
def test_a_store_of_files_is_inverted_by_both_commands(folder, capsys, corrected):
    source = FITSFolder(folder, 32, degradation_corrected=corrected)
    store = build_store(folder.parent / "store", source).path
    output = folder.parent / "map.fits"
    assert invert([str(store), "--time", TIMES[0], "--output", str(output)]) == 0
    # version 10 corrected the store, or somebody did before
    expected = "not known" if corrected else "v10"
    assert fits.getheader(output)["CALIBRAT"] == expected
    capsys.readouterr()
    assert main(arguments(store)) == 0
    text = capsys.readouterr().out
    assert "3 times inverted, 0 were there, 0 failed" in text
    assert "17 of 17 files read, 0 left out" in text


def test_a_bad_time_is_listed_and_stops_nothing(folder, capsys):
    (folder / "broken.fits").write_bytes(b"SIMPLE")
    assert main(arguments(folder)) == 1
    text = capsys.readouterr().out
    assert "2 times inverted, 0 were there, 1 failed" in text
    assert "lacking: 131" in text
    assert "17 of 18 files read, 1 left out" in text
    rows = listed(folder)
    assert [row["file"] for row in rows] == ["20140111T080001.fits", "", "20140111T100001.fits"]
    assert "lacking: 131" in rows[1]["reason"]
    with fits.open(folder.parent / "out" / rows[0]["file"]) as hdus:
        hdus.verify("exception")
        mean = hdus[0].data.mean(axis=(1, 2))
        assert float(rows[0]["mean_em_cm-5_6.25_6.35"]) == pytest.approx(mean[8], rel=1e-3)
        assert float(rows[0]["solved"]) == 1
    assert (folder.parent / "out/series.png").stat().st_size > 1000
    assert not list((folder.parent / "out").glob(".*"))


def test_finished_times_are_kept_and_the_rest_is_made(folder, capsys):
    assert main(arguments(folder)) == 1
    out = folder.parent / "out"
    first = out / "20140111T080001.fits"
    before, rows = first.stat().st_mtime_ns, listed(folder)
    (out / "20140111T100001.fits").unlink()
    (out / ".20140111T100001.fits.partial").write_bytes(b"left by a kill")
    write_six(folder, time=TIMES[1], prefix="1_")
    capsys.readouterr()
    assert main(arguments(folder)) == 0
    assert "2 times inverted, 1 were there, 0 failed" in capsys.readouterr().out
    assert first.stat().st_mtime_ns == before
    assert not list(out.glob(".*"))
    again = listed(folder)
    assert [again[k] for k in (0, 2)] == [rows[k] for k in (0, 2)]
    # another image of a time, or a damaged file: made anew
    write_six(folder, time=TIMES[0], prefix="0_", changes={94: {"EXPTIME": 2.5}})
    (out / "20140111T090001.fits").write_bytes(b"SIMPLE")
    capsys.readouterr()
    assert main(arguments(folder)) == 0
    assert "2 times inverted, 1 were there, 0 failed" in capsys.readouterr().out


def test_other_options_and_foreign_folders_are_refused(folder, tmp_path):
    assert main(arguments(folder)) == 1
    with pytest.raises(ValueError, match="method was basis-pursuit, is tikhonov"):
        main(arguments(folder, "--method", "tikhonov"))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/a.txt").write_text("")
    with pytest.raises(ValueError, match=r"holds other files \(a.txt"):
        main([str(folder), "--output", str(tmp_path / "foreign")])
    with pytest.raises(ValueError, match="are 1 or more"):
        main([*arguments(folder)[:3], "--workers", "0"])
    with pytest.raises(FileNotFoundError, match="no such response table"):
        main([str(folder), "--output", str(tmp_path / "new"), "--response-table", "none.csv"])
    assert not (tmp_path / "new").exists()


def test_several_processes_give_what_one_does(folder):
    assert main(arguments(folder)) == 1
    out = folder.parent / "out"
    one = {p.name: fits.getdata(p) for p in sorted(out.glob("*.fits"))}
    rows = listed(folder)
    out.rename(folder.parent / "before")
    assert main([*arguments(folder)[:3], "--workers", "2"]) == 1
    assert listed(folder) == rows
    for name, em in one.items():
        np.testing.assert_array_equal(fits.getdata(out / name), em)


def test_a_killed_series_goes_on(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for k in range(12):
        write_six(data, time=f"2014-01-11T{8 + k:02d}:00:01", prefix=f"{k:02d}_")
    command = [sys.executable, "science/dem/invert_series.py", str(data), "--output", str(out)]
    command += ["--workers", "1"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    }
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    for _ in range(3000):
        if len(list(out.glob("*.fits"))) >= 2 or process.poll() is not None:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in out.glob("*.fits")}
    assert 2 <= len(kept) < 12
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{12 - len(kept)} times inverted, {len(kept)} were there, 0 failed" in done.stdout
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    assert len(list(out.glob("*.fits"))) == 12
