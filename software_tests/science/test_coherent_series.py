"""Series that are coherent in time: the command on real frames of a flare, and its resume."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.SDO.AIA.rotating_grids import followed_wcs, grid_offset
from science.dem.invert_series import main
from software_tests.conftest import ROOT
from software_tests.dataset_models.SDO.AIA.six_files import write_six

FLARE = "aia_flare"


@pytest.fixture(scope="module")
def frames(shared, tmp_path_factory):
    """Return a folder with three times of the X2.2 flare, cut to 12 x 10 pixels."""
    folder = tmp_path_factory.mktemp("frames")
    paths = sorted((shared / FLARE).glob("*T01-4[468]*.fits"))
    assert len(paths) == 18
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cards against the standard
            with fits.open(path) as hdus:
                data, header = hdus[0].data[28:38, 20:32], hdus[0].header
                header["CRPIX1"] -= 20
                header["CRPIX2"] -= 28
                fits.writeto(folder / path.name, data, header, output_verify="silentfix")
    return folder


def series(frames, output, *options):
    return main([str(frames), "--coherent", "--coregister", "--jobs", "1", "--output", str(output),
                 *options])  # fmt: skip


def test_times_are_solved_together_and_resumed(frames, tmp_path, capsys):
    output = tmp_path / "series"
    assert series(frames, output, "--time-weight", "3") == 0
    files = sorted(output.glob("2011*.fits"))
    assert len(files) == 3
    cubes = [fits.getdata(path) for path in files]
    assert cubes[0].shape == (18, 10, 12)
    assert all((cube >= 0).all() for cube in cubes)
    header = fits.getheader(files[0])
    assert header["TIMEWT"] == 3
    assert header["BUNIT"] == "cm-5"
    for name in ("series.csv", "series.png", "in_time.png", "prior_share.fits"):
        assert (output / name).is_file()
    before = [path.stat().st_mtime_ns for path in files]
    capsys.readouterr()
    assert series(frames, output, "--time-weight", "3") == 0
    assert "3 were there" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in files] == before


def test_a_weight_makes_times_more_alike(frames, tmp_path):
    loose, tight = tmp_path / "loose", tmp_path / "tight"
    for folder, weight in ((loose, "0.01"), (tight, "1e5")):
        assert series(frames, folder, "--time-weight", weight, "--time-penalty", "quadratic") == 0
    changes = []
    for folder in (loose, tight):
        cubes = [fits.getdata(path) for path in sorted(folder.glob("2011*.fits"))]
        changes.append(np.abs(cubes[2] - cubes[0]).sum() / (cubes[0].sum() + cubes[2].sum()))
    # the data must still be reached, so that what really changed stays
    assert changes[1] < 0.9 * changes[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "tikhonov"), "--method"),
        (("--time-penalty", "none"), "time-penalty"),
        (("--time-weight", "-1"), "time-weight"),
    ],
)
def test_options_that_do_not_go_together(frames, tmp_path, capsys, options, said):
    with pytest.raises((ValueError, SystemExit)) as error:
        series(frames, tmp_path / "none", *options)
    assert said in str(error.value) + capsys.readouterr().err


def test_one_time_alone_is_no_series(frames, tmp_path):
    one = tmp_path / "one"
    one.mkdir()
    for path in frames.glob("*T01-44*.fits"):
        shutil.copy(path, one)
    with pytest.raises(ValueError, match="expected 2 or more times"):
        series(one, tmp_path / "none")


def test_options_of_coherence_alone_are_rejected(frames, tmp_path):
    with pytest.raises(ValueError, match="without --coherent"):
        main([str(frames), "--output", str(tmp_path / "none"), "--time-weight", "3"])


@pytest.fixture
def synthetic(tmp_path):
    """Return a folder with six frames of one simulated map, a minute apart (synthetic)."""
    folder = tmp_path / "data"
    folder.mkdir()
    for k in range(6):
        write_six(folder, time=f"2014-01-11T08:0{k}:01", prefix=f"{k}_")
    return folder


def plain(folder, *options):
    # no coregistration: within six minutes the Sun turns by 1.4 pixels, so that grids are fixed up
    return [str(folder), "--coherent", "--workers", "1", "--time-weight", "3", "--coregister",
            *options]  # fmt: skip


def test_a_bad_time_is_left_out_and_listed(synthetic, tmp_path, capsys):
    (synthetic / "2_131.fits").unlink()
    output = tmp_path / "out"
    assert main(plain(synthetic, "--output", str(output))) == 1
    assert "5 times inverted, 0 were there, 1 failed" in capsys.readouterr().out
    rows = (output / "series.csv").read_text().splitlines()
    assert "lacking: 131" in rows[3]
    with fits.open(output / "20140111T080001.fits") as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus[1:]]
        assert names == ["ERROR", "CHI2", "STATUS", "MODEL", "OBSERVED"]  # as frame by frame
        assert hdus[0].header["METHOD"] == "coherent"
    assert fits.getdata(output / "prior_share.fits").shape == (5, 20, 20)
    with pytest.raises(ValueError, match="method was coherent"):
        main([str(synthetic), "--output", str(output), "--workers", "1"])


def test_a_killed_series_is_resumed_at_the_next_tile(synthetic, tmp_path):
    output, whole = tmp_path / "out", tmp_path / "whole"
    code = (
        "import sys, time, science.dem.coherent_series as c; from science.dem import invert_series;"
        "c.TILE_NUMBERS = 1; solve = c._solve_tile;"
        "c._solve_tile = lambda *a, **k: (time.sleep(float(sys.argv[1])), solve(*a, **k))[1];"
        "sys.exit(invert_series.main(sys.argv[2:]))"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    }
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(
        [*command, "0.2", *plain(synthetic, "--output", str(output))],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    for _ in range(3000):
        if len(list(output.glob("coherent/tile-*.npz"))) >= 2 or process.poll() is not None:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in sorted(output.glob("coherent/tile-*.npz"))}
    assert 2 <= len(kept) < 20
    assert not list(output.glob("2014*.fits"))
    # stop again when the next tiles are there: the first ones were not made anew
    process = subprocess.Popen(
        [*command, "0.2", *plain(synthetic, "--output", str(output))],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    for _ in range(3000):
        if len(list(output.glob("coherent/tile-*.npz"))) > len(kept) or process.poll() is not None:
            break
        time.sleep(0.02)
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for folder in (output, whole):
        done = subprocess.run(
            [*command, "0", *plain(synthetic, "--output", str(folder))],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert not (output / "coherent").exists()
    for path in sorted(whole.glob("2014*.fits")):
        np.testing.assert_array_equal(fits.getdata(path), fits.getdata(output / path.name))


def test_grids_follow_the_sun_or_are_rejected(synthetic, tmp_path):
    card = {"CRPIX1": 14.5}  # four pixels away
    write_six(synthetic, time="2014-01-11T08:05:01", prefix="5_", changes=dict.fromkeys(
        (94, 131, 171, 193, 211, 335), card))  # fmt: skip
    without = [o for o in plain(synthetic, "--output", str(tmp_path / "out")) if "coreg" not in o]
    with pytest.raises(ValueError, match="give --coregister"):
        main(without)


def test_rotation_at_disc_centre_is_the_known_rate():
    wcs = {"CRPIX1": 10.5, "CRPIX2": 10.5, "CRVAL1": 0.0, "CRVAL2": 0.0, "CDELT1": 0.6}
    wcs |= {"CDELT2": 0.6, "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}
    wcs |= {"CUNIT1": "arcsec", "CUNIT2": "arcsec"}
    moved = followed_wcs(wcs, (20, 20), 3600.0)
    # 14.38 - 0.9856 degrees a day on a radius of 960 arcsec: 9.35 arcsec an hour
    assert wcs["CRPIX1"] - moved["CRPIX1"] == pytest.approx(9.35 / 0.6, abs=0.02)
    assert grid_offset((20, 20), moved, wcs, 3600.0) == pytest.approx(0.0, abs=1e-6)
    assert grid_offset((20, 20), wcs, wcs, 3600.0) == pytest.approx(9.35 / 0.6, abs=0.02)
    beyond = wcs | {"CRVAL1": 990.0}
    assert followed_wcs(beyond, (20, 20), 3600.0) == beyond
