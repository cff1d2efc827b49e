"""Series that are coherent in time: the command on real frames of a flare, and its resume."""

import shutil
import warnings

import numpy as np
import pytest
from astropy.io import fits

from science.dem.invert_series import main

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
