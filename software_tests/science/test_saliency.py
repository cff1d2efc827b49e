"""The saliency command: what it takes, what it writes, what it refuses."""

import json

import astropy.units as u
import numpy as np
import pytest
import sunpy.map
from astropy.io import fits
from astropy.wcs import WCS

from dataset_models.SDO.image_file import read_image
from dataset_models.store import ImageStore
from science.saliency.saliency import main
from tools.channels import AIA_CHANNELS


def only(folder):
    (path,) = folder.iterdir()
    return path


def store_of(run):
    return json.loads((run / "config.json").read_text())["data"]["store"]


def test_a_time_of_the_run_s_own_data(image_run, capsys):
    assert main([str(image_run), "first", "--target", "P(>=M1)", "--log-odds"]) == 0
    folder = only(image_run / "maps")
    assert {p.name for p in folder.iterdir()} == {"map.png", "map.fits", "map.json", "section.json"}
    facts = json.loads((folder / "map.json").read_text())
    assert facts["completeness_gap"] < 1e-3
    assert sum(facts["channel_shares"].values()) == pytest.approx(1, abs=1e-5)
    assert "synthetic" in facts["source"]
    text = (image_run / "report.html").read_text()
    assert "Map: log-odds of P(&gt;=M1)" in text
    assert "Scores" in text or "Brier" in text  # what was there stays


def test_the_fits_file_keeps_coordinates_units_and_method(image_run, tmp_path):
    arguments = [str(image_run), "first", "--method", "gradient", "--output", str(tmp_path)]
    assert main(arguments) == 0
    store = ImageStore(store_of(image_run))
    with fits.open(only(tmp_path) / "map.fits") as hdus:
        assert [hdu.header["WAVELNTH"] for hdu in hdus[1:]] == list(AIA_CHANNELS)
        header = hdus[1].header
        assert u.Unit(header["BUNIT"]) == u.s * u.pix / u.DN
        assert sunpy.map.Map(hdus[1].data, header).unit == u.s * u.pix / u.DN
        assert header["QUANTITY"] == "change of the target in dex / (DN s-1 pix-1)"
        assert header["SOURCE"] == "virtual Sun (synthetic), seed 2"
        assert header["RSUN_OBS"] == 960
        assert header["METHOD"] == "gradient"
        assert header["TARGET"] == "expected log10 flux"
        found, expected = (WCS(h, fix=False) for h in (header, fits.Header(store.wcs(0))))
        pixels = np.array([[0.0, 0.0], [15.0, 3.0], [7.5, 7.5]])
        world = [w.wcs_pix2world(pixels, 0) for w in (found, expected)]
        np.testing.assert_allclose(*world, rtol=0, atol=1e-9)
        np.testing.assert_allclose(world[0][2], [0, 0], atol=1e-9)  # the middle of the image


def test_the_same_sample_by_store_folder_and_array(image_run, tmp_path):
    store = ImageStore(store_of(image_run))
    whole = np.isfinite(store.read(np.arange(40))).all(axis=(1, 2, 3)) & ~store.is_bad[:40]
    row = int(np.flatnonzero(whole)[5])
    time = str(store.times[row])
    array = np.moveaxis(store.read([row])[0], 0, -1)
    np.save(tmp_path / "one.npy", array)
    ways = {
        "store": [f"{store.path}@{time}"],
        "folder": [str(store.path), time],
        "module": ["dataset_models/SDO/AIA/fdl_1.py", f"{store.path}@{time}"],
        "array": [str(tmp_path / "one.npy")],
    }
    maps = {}
    for name, where in ways.items():
        output = tmp_path / name
        arguments = [str(image_run), *where, "--method", "gradient", "--output", str(output)]
        assert main(arguments) == 0
        with fits.open(only(output) / "map.fits") as hdus:
            maps[name] = np.stack([hdu.data for hdu in hdus[1:]])
    for name in ways:
        np.testing.assert_allclose(maps[name], maps["store"], rtol=1e-5, atol=1e-12)


def test_fits_files_of_some_channels(image_run, tmp_path, capsys):
    files = []
    for channel in (94, 171, 193):
        cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": channel, "EXPTIME": 2.0, "CRPIX1": 32.5}
        cards |= {"DATE-OBS": "2014-01-11T08:00:01", "CDELT1": 38.4, "CDELT2": 38.4}
        cards |= {"CRPIX2": 32.5, "CRVAL1": 0.0, "CRVAL2": 0.0, "CRLT_OBS": -4.5}
        files.append(str(tmp_path / f"{channel}.fits"))
        data = np.full((64, 64), 50.0, np.float32)
        fits.PrimaryHDU(data, fits.Header(cards)).writeto(files[-1])
    output = tmp_path / "out"
    arguments = [str(image_run), *files, "--method", "gradient", "--output", str(output)]
    assert main(arguments) == 0
    facts = json.loads((only(output) / "map.json").read_text())
    assert facts["channel_shares"]["335"] == 0  # missing: the network doesn't see it
    assert facts["channel_shares"]["171"] > 0
    with fits.open(only(output) / "map.fits") as hdus:
        assert hdus[1].header["CRLT_OBS"] == -4.5


SUMMARY = """\
:Product: 0215SRS.txt
:Issued: 2011 Feb 15 0030 UTC
# Prepared jointly by the U.S. Dept. of Commerce, NOAA,
# Space Weather Prediction Center and the U.S. Air Force.
#
Joint USAF/NOAA Solar Region Summary
SRS Number 46 Issued at 0030Z on 15 Feb 2011
Report compiled from data received at SWO on 14 Feb
I.  Regions with Sunspots.  Locations Valid at 14/2400Z
Nmbr Location  Lo  Area  Z   LL   NN Mag Type
1158 S20W11   034  0600 Ekc  16   42 Beta-Gamma-Delta
1159 N20W73   096  0010 Bxo  04   03 Beta
IA. H-alpha Plages without Spots.  Locations Valid at 14/2400Z Feb
Nmbr  Location  Lo
1155 S18W90   113
II. Regions Due to Return 15 Feb to 17 Feb
Nmbr Lat    Lo
1149 N16   310
"""


def real_171():
    from pathlib import Path

    import sunpy

    return str(Path(sunpy.__file__).parent / "data/test/aia_171_level1.fits")


def test_a_real_image_with_seven_channels_missing(image_run, tmp_path):
    output = tmp_path / "out"
    assert main([str(image_run), real_171(), "--method", "gradient", "--output", str(output)]) == 0
    facts = json.loads((only(output) / "map.json").read_text())
    assert facts["channel_shares"]["171"] == pytest.approx(1)
    with fits.open(only(output) / "map.fits") as hdus:
        assert hdus[1].header["DATE-OBS"].startswith("2011-02-15T00:00")
        assert hdus[1].header["CRLT_OBS"] == pytest.approx(-6.8, abs=0.1)


def test_a_cutout_of_the_sun_is_explained_with_a_warning(image_run, shared, tmp_path, capsys):
    cutout = str(shared / "aia/aia_171_cutout.fits")
    assert main([str(image_run), cutout, "--method", "gradient", "--output", str(tmp_path)]) == 0
    assert "covers a part of the field only" in capsys.readouterr().out
    section = json.loads((only(tmp_path) / "section.json").read_text())
    assert any("covers a part" in text for text in section["text"])
    with fits.open(only(tmp_path) / "map_on_image.fits") as hdus, fits.open(cutout) as given:
        (image,) = [hdu for hdu in given if hdu.header.get("NAXIS") == 2]
        assert hdus["171"].data.shape == image.data.shape
        for key in ("CRPIX1", "CRVAL1", "CDELT1"):
            assert hdus["171"].header[key] == pytest.approx(image.header[key], abs=1e-9)


def test_a_map_on_the_files_own_pixels_is_the_derivative_by_them(image_run, tmp_path, generator):
    # a turned, shifted image of 100 x 100 pixels on a network of 16 x 16: change the file's pixels,
    # and the target must change by the map's
    cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": 171, "EXPTIME": 2.0, "CRPIX1": 48.0}
    cards |= {"DATE-OBS": "2014-01-11T08:00:01", "CDELT1": 26.0, "CDELT2": 26.0, "CROTA2": 20.0}
    cards |= {"CRPIX2": 51.0, "CRVAL1": 10.0, "CRVAL2": -5.0}
    data = 50 * generator.gamma(2, size=(100, 100)).astype(np.float32)
    path, output = tmp_path / "171.fits", tmp_path / "out"

    def value_and_map(values):
        fits.PrimaryHDU(values, fits.Header(cards)).writeto(path, overwrite=True)
        arguments = ["--target", "P(>=C1)", "--log-odds", "--method", "gradient"]
        arguments += ["--output", str(output)]
        assert main([str(image_run), str(path), *arguments]) == 0
        facts = json.loads((only(output) / "map.json").read_text())
        with fits.open(only(output) / "map_on_image.fits") as hdus:
            assert hdus[1].name == "171"
            assert hdus[1].header["BUNIT"] == "DN-1 s pix"
            return facts["value"], hdus[1].data, hdus[1].header

    _, found, header = value_and_map(data)
    assert found.shape == (100, 100)
    for key in ("CRPIX1", "CDELT1", "CRVAL2"):
        assert header[key] == cards[key]
    assert header["PC1_1"] == pytest.approx(np.cos(np.radians(20.0)))  # the roll, as a matrix
    assert header["PC1_2"] == pytest.approx(-np.sin(np.radians(20.0)))
    # all pixels of one cell together, or the difference drowns in rounding
    cell = found == found.flat[np.abs(found).argmax()]
    step = 0.03 * data[cell].mean()  # DN
    high, low = (value_and_map(data + sign * step * cell)[0] for sign in (1, -1))
    per_second = step / 2.0 / read_image(path, 16).throughput
    expected = found[cell].sum() * 2 * per_second
    assert high - low == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("side", [48, 23, 11])
def test_an_array_of_another_size_is_resampled_and_its_map_goes_back(side, tmp_path, generator):
    import keras

    image = keras.Input((16, 16, 2), name="image")
    flat = keras.layers.Flatten()(image)
    network = keras.Model(image, keras.layers.Dense(1, use_bias=False)(flat))
    network.save(tmp_path / "linear.keras")
    given = generator.normal(size=(side, side, 2)).astype(np.float32)
    np.save(tmp_path / "image.npy", given)
    model, array = str(tmp_path / "linear.keras"), str(tmp_path / "image.npy")
    assert main([model, array, "--method", "gradient", "--output", str(tmp_path / "out")]) == 0
    facts = json.loads((only(tmp_path / "out") / "map.json").read_text())
    with fits.open(only(tmp_path / "out") / "map_on_image.fits") as hdus:
        found = np.stack([hdu.data for hdu in hdus[1:]], axis=-1)
    # the network is linear: map times image is its output
    assert found.shape == given.shape
    assert (found * given).sum() == pytest.approx(facts["value"], rel=1e-4)


def test_networks_of_other_kinds(tmp_path, generator):
    import keras
    from keras import layers

    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    heads = {
        "classes": layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)),
        "one_number": layers.Dense(1)(layers.GlobalAveragePooling2D()(x)),
        "many_maps": layers.Conv2D(6, 1)(x),
        "no_axis": layers.Reshape(())(layers.Dense(1)(layers.GlobalAveragePooling2D()(x))),
    }
    np.save(tmp_path / "image.npy", generator.normal(size=(20, 24, 3)).astype(np.float32))
    for name, output in heads.items():
        network = keras.Model(image, output)
        network.save(tmp_path / f"{name}.keras")
        n_outputs = output.shape[-1] if len(output.shape) > 1 else 1
        last = f"output {n_outputs - 1}"
        for method in ("integrated-gradients", "occlusion", "grad-cam"):
            arguments = [str(tmp_path / f"{name}.keras"), str(tmp_path / "image.npy")]
            arguments += ["--method", method, "--target", last]
            assert main([*arguments, "--output", str(tmp_path / name / method)]) == 0
            facts = json.loads((only(tmp_path / name / method) / "map.json").read_text())
            assert facts["target"] == last
            given = np.load(tmp_path / "image.npy")[None]
            expected = np.asarray(network(given)).reshape(-1, n_outputs)[:, -1].mean()
            assert facts["value"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", ["occlusion", "gradient-x-input"])
def test_a_map_is_checked_where_channels_are_missing(image_run, tmp_path, method):
    arguments = [str(image_run), real_171(), "--method", method, "--check"]
    status = main([*arguments, "--blocks", "4", "--output", str(tmp_path)])
    facts = json.loads((only(tmp_path) / "map.json").read_text())
    warnings = ("do not read it", "read its sums with care")
    assert status == any(text in v for text in warnings for v in facts["verdicts"])
    assert len(facts["random_weights"]) == 4
    assert any("Insertion" in verdict for verdict in facts["verdicts"])


def test_a_network_of_dense_layers_alone(tmp_path, generator):
    import keras

    given = keras.Input((30,), name="spectrum")
    hidden = keras.layers.Dense(8, activation="relu")(given)
    keras.Model(given, keras.layers.Dense(2)(hidden)).save(tmp_path / "dense.keras")
    np.save(tmp_path / "one.npy", generator.normal(size=30).astype(np.float32))
    arguments = [str(tmp_path / "dense.keras"), str(tmp_path / "one.npy")]
    for method in ("gradient", "integrated-gradients"):
        output = tmp_path / method
        main([*arguments, "--method", method, "--check", "--output", str(output)])
        assert (only(output) / "map.png").exists()
    facts = json.loads((only(tmp_path / "gradient") / "map.json").read_text())
    assert {"deletion", "insertion", "cascade"} <= set(facts)
    assert "off_disc_share" not in facts


def test_boxes_of_noaa_s_list(image_run, tmp_path):
    listed = tmp_path / "0110SRS.txt"
    listed.write_text(SUMMARY)
    output = tmp_path / "out"
    arguments = [str(image_run), real_171(), "--method", "gradient", "--output", str(output)]
    assert main([*arguments, "--regions", str(listed)]) == 0
    section = json.loads((only(output) / "section.json").read_text())
    assert "boxes: active regions" in section["figures"][0]["caption"]
    listed.write_text(SUMMARY.replace("2011 Feb 15", "2011 Mar 15"))
    with pytest.raises(ValueError, match="give the list of the image's day"):
        main([*arguments, "--regions", str(listed)])
    listed.write_text("nothing")
    with pytest.raises(ValueError, match="Solar Region Summary"):
        main([*arguments, "--regions", str(listed)])


def test_a_network_on_history(finished_run, tmp_path):
    arguments = [str(finished_run), "first", "--method", "gradient", "--output", str(tmp_path)]
    assert main(arguments) == 0
    assert (only(tmp_path) / "map.png").exists()


def test_targets_are_listed(image_run, capsys):
    assert main([str(image_run), "--list-targets"]) == 0
    assert "P(>=M1) [1]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["first", "--target", "P(>=Z1)"], "no target 'P(>=Z1)'; this network has expected"),
        ([], "no IMAGE"),
        (["2014-13-01"], "is no file and no time"),
        (["2414-01-01"], "no sample within half an hour"),
        (["nowhere.fits"], "is no file and no time"),
        (["NaT"], "'NaT' is no file and no time"),
        (["dataset_models/GOES/flare_history.py", "first"], "take samples of dataset_models/SDO"),
        (["first", "--method", "smoothgrad", "--noise", "nan"], "--noise must be a finite number"),
        (["dataset_models/SDO/AIA/fdl_9.py", "first"], "no such dataset"),
        (["README.md"], "can't be read as FITS"),
        (["first", "--log-odds"], "log-odds are for probabilities"),
        (["first", "--samples", "0"], "--samples must be 1 or more"),
        (["first", "--method", "grad-cam", "--layer", "x"], "Grad-CAM needs a layer of maps"),
    ],
)
def test_what_can_not_be_explained_is_refused(image_run, arguments, message, tmp_path):
    with pytest.raises((ValueError, OSError)) as error:
        main([str(image_run), *arguments, "--output", str(tmp_path)])
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_arrays_of_another_shape_and_other_models_are_refused(image_run, tmp_path):
    network = str(image_run / "best_performing.keras")
    np.save(tmp_path / "a.npy", np.zeros((8, 16, 16)))
    with pytest.raises(ValueError, match=r"expected numbers with the shape \(1, 16, 16, 8\)"):
        main([network, str(tmp_path / "a.npy")])
    np.save(tmp_path / "b.npy", np.full((16, 16, 8), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        main([network, str(tmp_path / "b.npy")])
    (tmp_path / "c.npy").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="can't be read as .npy"):
        main([network, str(tmp_path / "c.npy")])
    with pytest.raises(FileNotFoundError):
        main([str(tmp_path / "none"), "first"])
    (tmp_path / "old.hdf5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged, or no HDF5 network"):
        main([str(tmp_path / "old.hdf5"), "first"])
