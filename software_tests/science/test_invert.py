"""The inversion command: what it reads, what it writes, what it refuses."""

import os
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from ndcube import NDCube

from dataset_models.SDO.AIA.six_channels import read_six_images
from dataset_models.solar_data import DataIntegrityError
from science.dem.invert import main
from software_tests.dataset_models.SDO.AIA.six_files import SIDE, TIME, write_six
from software_tests.tools.emission_measure.simulated import simulated_map
from tools.emission_measure.response import RESPONSE_CHANNELS


@pytest.mark.parametrize("method", ["basis-pursuit", "tikhonov", "plowman-caspi"])
def test_six_files_become_a_cube_with_coordinates(tmp_path, method, capsys):
    paths, truth, rates = write_six(tmp_path)
    output = tmp_path / "out" / "em.fits"
    assert main([*paths[::-1], "--method", method, "--output", str(output)]) == 0
    assert "solved" in capsys.readouterr().out
    with fits.open(output) as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus]
        more = ["ERROR_95"] if method == "tikhonov" else []
        assert names == ["PRIMARY", "ERROR", "CHI2", "STATUS", "MODEL", "OBSERVED", *more]
        em, header = hdus[0].data, hdus[0].header
        assert em.shape == (18, SIDE, SIDE)
        assert header["BUNIT"] == "cm-5"
        assert header["DATE-OBS"].startswith(TIME)
        assert header["SYNTHET"] is False
        assert hdus["STATUS"].header["STATUS10"] == "no channel is positive"
        observed = np.moveaxis(hdus["OBSERVED"].data, 0, -1)
        np.testing.assert_allclose(observed, rates, rtol=1e-4, atol=1e-3)
        total = em.sum(axis=0).ravel() / truth.sum(axis=1)
        assert 0.5 < np.median(total) < 1.5
        has_errors = np.isfinite(hdus["ERROR"].data).any()
        assert has_errors == (method == "tikhonov")
        assert header["ERRCALIB"] == (1 if method == "tikhonov" else -1)  # -1: does not apply
    for name in ("bins", "channels", "mean"):
        assert (tmp_path / "out" / f"em_{name}.png").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_a_network_s_intervals_are_in_the_file(tmp_path):
    paths, *_ = write_six(tmp_path)
    assert main([*paths, "--method", "network-fast", "--output", str(tmp_path / "em.fits")]) == 0
    with fits.open(tmp_path / "em.fits") as hdus:
        em, low, high = (hdus[name].data for name in ("PRIMARY", "LOW", "HIGH"))
        assert (low <= em).all()
        assert (em <= high).all()
        assert (high > low).all()
        assert hdus["LOW"].header["BUNIT"] == "cm-5"
        np.testing.assert_allclose(hdus["ERROR"].data, (high - low) / 2, rtol=1e-4)


@pytest.mark.parametrize("options", [["--lowest", "5.55"], ["--degradation", "response"]])
def test_a_network_refuses_what_it_does_not_know(tmp_path, options):
    paths, *_ = write_six(tmp_path)
    with pytest.raises(ValueError, match="18 bins"):
        main([*paths, "--method", "network", *options, "--output", str(tmp_path / "em.fits")])
    with pytest.raises(ValueError, match="--method network"):
        main([*paths, "--run", str(tmp_path), "--output", str(tmp_path / "em.fits")])
    assert not (tmp_path / "em.fits").exists()


def test_input_is_never_written_over(tmp_path):
    _, dn, _ = simulated_map(SIDE, 1)
    given = np.moveaxis(dn.reshape(SIDE, SIDE, 6), -1, 0)
    np.save(tmp_path / "six.npy", given)
    with pytest.raises(ValueError, match="write over"):
        main([str(tmp_path / "six.npy"), "--output", str(tmp_path / "six.fits")])
    with pytest.raises(ValueError, match="FITS file"):
        main([str(tmp_path / "six.npy"), "--output", str(tmp_path / "other.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "six.npy"), given)
    assert [path.name for path in tmp_path.iterdir()] == ["six.npy"]


def test_a_map_outlives_its_figures(tmp_path):
    _, dn, _ = simulated_map(SIDE, 1)
    dn[:SIDE] = 1e30  # no camera gives this
    np.save(tmp_path / "six.npy", np.moveaxis(dn.reshape(SIDE, SIDE, 6), -1, 0))
    output = str(tmp_path / "em.fits")
    assert main([str(tmp_path / "six.npy"), "--method", "tikhonov", "--output", output]) == 0
    with fits.open(output) as hdus:
        assert np.isfinite(hdus[0].data[:, 5:]).all()


def test_an_array_gives_an_array(tmp_path):
    _, dn, _ = simulated_map(SIDE, 1)
    np.save(tmp_path / "six.npy", np.moveaxis(dn.reshape(SIDE, SIDE, 6), -1, 0))
    output = tmp_path / "em.fits"
    assert main([str(tmp_path / "six.npy"), "--output", str(output)]) == 0
    found = np.load(tmp_path / "em.npy")
    with fits.open(output) as hdus:
        np.testing.assert_array_equal(found, hdus[0].data)


def test_at_any_kill_the_files_beside_a_fits_file_are_its_own(tmp_path, monkeypatch):
    # what is there before and after every change of a name is what a kill would leave
    em, dn, _ = simulated_map(16, 64)
    names = ("em.fits", "em.npy", "em_bins.png", "em_channels.png", "em_mean.png")

    def contents():
        found = [tmp_path / name for name in names]
        return [path.read_bytes() if path.exists() else None for path in found]

    def invert(factor):
        image = np.moveaxis(dn.reshape(16, 16, 6) * factor, -1, 0)
        np.save(tmp_path / "image.npy", image)
        main([str(tmp_path / "image.npy"), "--output", str(tmp_path / "em.fits")])
        return contents()

    first = invert(1.0)
    seen = []

    def watched(change):
        def changed(*args, **options):
            seen.append(contents())
            change(*args, **options)
            seen.append(contents())

        return changed

    monkeypatch.setattr(os, "replace", watched(os.replace))
    monkeypatch.setattr(os, "unlink", watched(os.unlink))
    second = invert(2.0)
    assert None not in first + second
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert len(seen) >= 2 * len(names)
    for state in seen:
        assert state in (first, second) or state[0] is None
    assert not list(tmp_path.glob(".*"))


def test_a_figure_that_can_not_be_drawn_leaves_no_earlier_one(tmp_path, monkeypatch):
    _, dn, _ = simulated_map(16, 64)
    np.save(tmp_path / "image.npy", np.moveaxis(dn.reshape(16, 16, 6), -1, 0))
    command = [str(tmp_path / "image.npy"), "--output", str(tmp_path / "em.fits")]
    main(command)

    def fails(*_, **__):
        raise ValueError("no picture")

    monkeypatch.setattr("tools.plotting.dem.plot_channels", fails)
    main(command)
    assert (tmp_path / "em.fits").exists()
    assert sorted(path.name for path in tmp_path.glob("em*png")) == ["em_bins.png"]
    assert not list(tmp_path.glob(".*"))


def test_a_saturated_pixel_is_left_out_and_damage_is_read(tmp_path):
    paths, *_ = write_six(tmp_path)
    with fits.open(paths[2], mode="update") as hdus:
        hdus[0].data[4, 5] = 16383.0
        hdus[0].data[6, 7] = np.nan
    six = read_six_images(paths)
    assert six.saturated[4, 5].tolist() == [False, False, True, False, False, False]
    assert six.saturated.sum() == 1
    assert np.isnan(six.dn[6, 7, 2])
    assert main([*paths, "--output", str(tmp_path / "em.fits")]) == 0
    with fits.open(tmp_path / "em.fits") as hdus:
        assert hdus["STATUS"].data[4, 5] == 0
        assert hdus[0].data[:, 4, 5].sum() > 0
        assert hdus[0].data[:, 6, 7].sum() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({171: {"DATE-OBS": "2014-01-11T08:05:01"}}, "300 s apart"),
        ({171: {"CRVAL1": -310.0}}, "points elsewhere than 94.fits, by 16.7 pixels"),
        ({171: {"WAVELNTH": 304}}, "304 is no channel of the temperature responses"),
        ({171: {"WAVELNTH": 193}}, "193 angstrom is there twice"),
        ({171: {"TELESCOP": "Hinode", "INSTRUME": "SOT/WB"}}, "expected an image of SDO/AIA"),
    ],
)
def test_what_is_not_one_view_of_the_sun_is_refused(tmp_path, changes, message):
    paths, *_ = write_six(tmp_path, changes=changes)
    with pytest.raises(DataIntegrityError, match=message):
        main([*paths, "--output", str(tmp_path / "em.fits")])
    assert not (tmp_path / "em.fits").exists()


def test_one_channel_alone_and_other_files_are_refused(tmp_path):
    paths, *_ = write_six(tmp_path)
    with pytest.raises(DataIntegrityError, match="lacking: 94, 131, 193, 211, 335"):
        main([paths[2]])
    np.save(tmp_path / "a.npy", np.zeros((18, 4, 4)))
    with pytest.raises(DataIntegrityError, match="expected numbers with the shape"):
        main([str(tmp_path / "a.npy")])
    with pytest.raises(ValueError, match="no whole number"):
        main([*paths, "--step", "0.13"])


def test_frames_of_hinode_are_refused(shared, tmp_path):
    hinode = sorted((shared / "hinode_sot").glob("*.fits.gz"))[:6]
    if not hinode:
        pytest.skip("no frames of Hinode in ../shared/data/hinode_sot")
    output = tmp_path / "em.fits"
    with pytest.raises(DataIntegrityError, match="expected an image of SDO.*HINODE"):
        main([*map(str, hinode), "--output", str(output)])
    with pytest.raises(DataIntegrityError, match="no image of 94, 131"):
        main([str(shared / "hinode_sot"), "--output", str(output)])
    assert list(tmp_path.iterdir()) == []


def coordinates(header, **options):
    """Return a header's coordinates; any remark about it but one on the observer is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return WCS(header, **options)


def test_the_cube_has_coordinates_and_a_temperature_axis(tmp_path):
    paths, *_ = write_six(tmp_path, changes={c: {"CROTA2": 20.0} for c in RESPONSE_CHANNELS})
    assert main([*paths, "--output", str(tmp_path / "em.fits")]) == 0
    with fits.open(tmp_path / "em.fits") as hdus:
        for name in ("PRIMARY", "ERROR"):
            header = hdus[name].header
            assert header["BUNIT"] == "cm-5"
            wcs = coordinates(header)
            assert wcs.world_axis_names[2] == "log10 of the temperature in K"
            world = wcs.all_pix2world([[9.5, 9.5, 3]], 0)[0]
            longitude = (world[0] + 180) % 360 - 180
            assert (longitude, world[1]) == pytest.approx((-300 / 3600, 120 / 3600), abs=1e-9)
            assert world[2] == pytest.approx(5.8)
            kelvin = coordinates(header, key="K")
            assert kelvin.world_axis_units[2] == "K"
            pixels = np.array([[2.0, 5.0, 0], [2, 5, 3], [2, 5, 17]])
            found, own = kelvin.all_pix2world(pixels, 0), wcs.all_pix2world(pixels, 0)
            np.testing.assert_allclose(found[:, 2], 10 ** np.array([5.5, 5.8, 7.2]), rtol=1e-9)
            np.testing.assert_allclose(found[:, :2], own[:, :2], atol=1e-9)
            temperature = kelvin.pixel_to_world(2.0, 5.0, 3)[-1]
            assert temperature.to_value("MK") == pytest.approx(10**5.8 / 1e6)
        for name in ("MODEL", "OBSERVED"):
            assert hdus[name].header["BUNIT"] == "DN s-1 pix-1"
            assert [hdus[name].header[f"WAVE{k}"] for k in (1, 6)] == [94, 335]
            assert coordinates(hdus[name].header).wcs.ctype[2] == "CHANNEL"
        for hdu in hdus:
            assert hdu.header["DATE-OBS"].startswith(TIME)
            assert hdu.header["INSTRUME"] == "AIA"
        # what sums the map up is that of its arrays
        em, header = hdus[0].data, hdus[0].header
        assert header["SOLVED"] == np.mean(hdus["STATUS"].data <= 1)
        assert header["MEANEM9"] == pytest.approx(em[8].mean(), rel=1e-5)
        assert header["CHI2MED"] == pytest.approx(np.median(hdus["CHI2"].data), rel=1e-5)


def test_the_cube_opens_as_an_ndcube(tmp_path):
    paths, *_ = write_six(tmp_path)
    assert main([*paths, "--output", str(tmp_path / "em.fits")]) == 0
    with fits.open(tmp_path / "em.fits") as hdus:
        cube = NDCube(hdus[0].data, wcs=coordinates(hdus[0].header, key="K"), unit="cm-5")
        assert cube.axis_world_coords(0)[0].unit.is_equivalent("K")


def test_a_time_of_the_virtual_sun_or_of_a_folder_is_inverted(tmp_path, capsys):
    output = tmp_path / "em.fits"
    sun = ["--virtual-sun", "1", "--virtual-years", "0.01", "--size", "32"]
    time = ["--time", "2101-01-02T00:00"]
    assert main([*sun, *time, "--output", str(output), "--model-error", "0.02"]) == 0
    header = fits.getheader(output)
    assert header["SYNTHET"] is True
    assert "synthetic" in header["OBJECT"]
    assert header["DATE-OBS"] == "2101-01-02T00:00:00"
    assert header["NAXIS1"] == 32
    assert header["MODELERR"] == 0.02
    for k, at in enumerate((TIME, "2014-01-11T09:00:00")):
        write_six(tmp_path, time=at, prefix=f"{k}_")
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE")
    output = tmp_path / "out/em.fits"
    assert main([str(tmp_path), "--time", "2014-01-11T09:00", "--output", str(output)]) == 0
    assert "left out: broken.fits" in capsys.readouterr().err
    assert fits.getheader(output)["DATE-OBS"] == "2014-01-11T09:00:00.000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected FILES or --virtual-sun SEED: give one"),
        (["a.fits", "--virtual-sun", "1"], "got both"),
        (["--virtual-sun", "-1"], "takes a seed of 0 or more"),
        (["a.npy", "--coregister"], "are for FITS files"),
        (["a.npy", "--time", "2014-01-11"], "--time is for a store"),
        (["a.fits", "--pixels-averaged", "4"], "are for an .npy array"),
        (["a.npy", "--pixels-averaged", "0.5"], "is 1 or more"),
        (["a.npy", "--sigma", "b.npy", "--pixels-averaged", "4"], "no meaning beside it"),
        (["a.npy", "--model-error", "2"], "share of 0 to 0.5"),
        (["a.npy", "--jobs", "0"], "1 or more threads"),
        (["a.npy", "--spread", "-1"], "positive number of seconds"),
    ],
)
def test_options_that_contradict_each_other_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        main(arguments)


def test_a_channel_without_a_value_is_said(tmp_path, capsys):
    _, dn, _ = simulated_map(SIDE, 1)
    six = np.moveaxis(dn.reshape(SIDE, SIDE, 6), -1, 0).copy()
    six[4] = np.nan
    np.save(tmp_path / "six.npy", six)
    assert main([str(tmp_path / "six.npy"), "--output", str(tmp_path / "em.fits")]) == 0
    assert "without any value: 211" in capsys.readouterr().out
    assert fits.getheader(tmp_path / "em.fits")["NLACKING"] == 1


def test_files_of_other_shapes_are_refused(tmp_path):
    paths, *_ = write_six(tmp_path)
    with fits.open(paths[3]) as hdus:
        data, header = hdus[0].data[:-2].copy(), hdus[0].header
    fits.PrimaryHDU(data, header).writeto(paths[3], overwrite=True)
    with pytest.raises(DataIntegrityError, match=r"193.fits has \(18, 20\) pixels"):
        main([*paths, "--output", str(tmp_path / "em.fits")])
