"""One geometry in every spelling of a header: each reader places and reads each pixel alike."""

import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.fits_files.cards import header_cards
from dataset_models.fits_files.coordinates import (
    astropy_wcs,
    celestial_coordinates,
    plane_pixels,
    plane_places,
)
from dataset_models.own_grid import own_grids
from dataset_models.SDO.AIA.six_channels import read_six_images
from dataset_models.SDO.fits_folder import FITSImages
from dataset_models.SDO.image_file import read_header, read_image
from dataset_models.solar_data import DataIntegrityError
from dataset_models.solar_scenes.files.frames import position_arcsec, read_frame
from dataset_models.solar_scenes.files.header_scan import scan_frame
from tools.channels import aia_degradation
from tools.emission_measure.response import RESPONSE_CHANNELS

SIDE, SCALE, ANGLE, X0, Y0 = 64, 36.0, 30.0, -12.5, 31.0
C, S = np.cos(np.radians(ANGLE)), np.sin(np.radians(ANGLE))
COMMON = {"TELESCOP": "SDO/AIA", "DATE-OBS": "2014-01-11T08:00:00", "EXPTIME": 2.0, "BUNIT": "DN"}
PLACE = {"CRPIX1": 30.0, "CRPIX2": 34.5, "CRVAL1": X0, "CRVAL2": Y0}
SKY = {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}
ARCSEC = {"CUNIT1": "arcsec", "CUNIT2": "arcsec"}
STEP = {"CDELT1": SCALE, "CDELT2": SCALE}
PC = {"PC1_1": C, "PC1_2": -S, "PC2_1": S, "PC2_2": C}
CD = {f"CD{k[2:]}": SCALE * v for k, v in PC.items()}


def old(matrix):
    """Spell PC1_2 as PC001002."""
    return {f"{k[:2]}00{k[2]}00{k[4]}": v for k, v in matrix.items()}


def in_unit(factor, unit, **more):
    """Return the same geometry in another unit."""
    units = {} if unit is None else {"CUNIT1": unit, "CUNIT2": unit}
    scaled = {k: PLACE[k] / factor for k in ("CRVAL1", "CRVAL2")}
    return PLACE | scaled | SKY | units | {k: v / factor for k, v in STEP.items()} | PC | more


FORMS = {
    "PC": PLACE | SKY | ARCSEC | STEP | PC,
    "PC00i00j": PLACE | SKY | ARCSEC | STEP | old(PC),
    "PC with its scale": PLACE
    | SKY
    | ARCSEC
    | {"CDELT1": 1.0, "CDELT2": 1.0}
    | {k: SCALE * v for k, v in PC.items()},
    "CROTA2": PLACE | SKY | ARCSEC | STEP | {"CROTA2": ANGLE},
    "CROTA": PLACE | SKY | ARCSEC | STEP | {"CROTA": ANGLE},
    "CROTA1": PLACE | SKY | ARCSEC | STEP | {"CROTA1": ANGLE},
    "CROTA2 before CROTA1": PLACE | SKY | ARCSEC | STEP | {"CROTA2": ANGLE, "CROTA1": 0.0},
    "CD": PLACE | SKY | ARCSEC | CD,
    "CD00i00j": PLACE | SKY | ARCSEC | old(CD),
    "CD beside CDELT": PLACE | SKY | ARCSEC | CD | {"CDELT1": 1.0, "CDELT2": 1.0},
    "degrees": in_unit(3600.0, "deg"),
    "degrees without a word": in_unit(3600.0, None),
    "arcsec without a word": in_unit(1.0, None),
    "arcminutes": in_unit(60.0, "arcmin"),
    "longitude near 360": in_unit(3600.0, "deg", CRVAL1=360 + X0 / 3600),
    "solar_x": PLACE | {"CTYPE1": "solar_x", "CTYPE2": "solar_y"} | STEP | PC,
    "Solar-X": PLACE | {"CTYPE1": "Solar-X", "CTYPE2": "Solar-Y"} | ARCSEC | STEP | PC,
}


def expected_sky(column, row):
    """Return longitude and latitude in arcsec by unit vectors: the plane touches at CRVAL (TAN)."""
    u, v = SCALE * (column + 1 - PLACE["CRPIX1"]), SCALE * (row + 1 - PLACE["CRPIX2"])
    x, y = (np.radians(a / 3600) for a in (C * u - S * v, S * u + C * v))
    a, d = np.radians(X0 / 3600), np.radians(Y0 / 3600)
    touch = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    west = np.array([-np.sin(a), np.cos(a), 0.0])
    north = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    ray = touch + np.multiply.outer(x, west) + np.multiply.outer(y, north)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    longitude = np.arctan2(ray[..., 1], ray[..., 0])
    return np.degrees(longitude) * 3600, np.degrees(np.arcsin(ray[..., 2])) * 3600


def expected_plane(column, row):
    """Return the place in the plane that touches at the Sun's centre, arcsec."""
    longitude, latitude = (np.radians(a / 3600) for a in expected_sky(column, row))
    scale = np.degrees(1) * 3600
    return np.tan(longitude) * scale, np.tan(latitude) / np.cos(longitude) * scale


@pytest.fixture
def data(generator):
    return generator.gamma(4, 50, (SIDE, SIDE)).astype(np.float32)


def write(path, data, form, **changes):
    cards = {**COMMON, "WAVELNTH": 171, **FORMS[form], **changes}
    fits.PrimaryHDU(data, fits.Header(cards)).writeto(path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_each_reader_the_same_places_and_brightness(tmp_path, data, form):
    path = write(tmp_path / "a.fits", data, form)
    column, row = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    sky = np.stack(expected_sky(column, row), -1)
    left = aia_degradation(171, np.array(["2014-01-11T08:00"], "datetime64[s]"))[0]
    # store: the plane of its grid, and the sky
    wcs = read_header(path).wcs
    plane = expected_plane(column, row)
    np.testing.assert_allclose(plane_places((SIDE, SIDE), wcs), plane, atol=1e-6)
    pixels = plane_pixels(wcs, *(p.ravel() for p in plane))
    np.testing.assert_allclose(pixels, [column.ravel(), row.ravel()], atol=1e-8)
    reference = write(tmp_path / "reference.fits", data, "PC")
    image, wanted = (read_image(p, 32).image for p in (path, reference))
    np.testing.assert_allclose(image, wanted, rtol=1e-6)
    # six channels
    files = [path]
    for channel in RESPONSE_CHANNELS:
        if channel != 171:
            name = f"{channel}.fits"
            files.append(write(tmp_path / name, data, form, WAVELNTH=channel))
    six = read_six_images(files)
    pixels = np.stack([column.ravel(), row.ravel()], 1).astype(float)
    found = astropy_wcs(six.wcs).wcs_pix2world(pixels, 0).reshape(SIDE, SIDE, 2) * 3600
    found[..., 0] = (found[..., 0] + 648000) % 1296000 - 648000
    np.testing.assert_allclose(found, sky, atol=1e-6)
    np.testing.assert_allclose(six.dn[..., 2], data / 2.0 / left, rtol=1e-6)
    # scenes
    frame = read_frame(path)
    np.testing.assert_allclose(np.stack(position_arcsec(frame, column, row), -1), sky, atol=1e-6)
    np.testing.assert_array_equal(frame.image, data)
    middle = expected_sky((SIDE - 1) / 2, (SIDE - 1) / 2)
    np.testing.assert_allclose(scan_frame(path).centre, middle, atol=1e-6)
    # the image's own grid of a saliency map
    (grid,) = own_grids(FITSImages([path], 32, channels=(171,)), 0)
    found = astropy_wcs(grid.wcs).wcs_pix2world(pixels, 0).reshape(SIDE, SIDE, 2) * 3600
    found[..., 0] = (found[..., 0] + 648000) % 1296000 - 648000
    np.testing.assert_allclose(found, sky, atol=1e-6)
    np.testing.assert_allclose(grid.wcs["CDELT1"], SCALE, rtol=1e-6)
    np.testing.assert_allclose(grid.wcs["CRVAL1"], X0, atol=1e-6)  # also near 360 degrees


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CDELT1": None}, "CDELT1"),
        ({"CRPIX2": None}, "CRPIX2"),
        ({"A_ORDER": 3}, "distorted"),
        ({"CD1_1": 1.0, "CD2_2": 1.0}, "both a CD and a PC matrix"),
        ({"CTYPE1": "GLON-CAR"}, "not HPLN and HPLT"),
        ({"CUNIT1": "pixel"}, "not in arcsec"),
    ],
)
def test_what_can_not_be_honoured_is_refused_by_all(tmp_path, data, changes, message):
    cards = {**COMMON, "WAVELNTH": 171, **FORMS["PC"], **changes}
    cards = {k: v for k, v in cards.items() if v is not None}
    fits.PrimaryHDU(data, fits.Header(cards)).writeto(tmp_path / "a.fits")
    with pytest.raises(DataIntegrityError, match=message):
        read_header(tmp_path / "a.fits")
    assert read_frame(tmp_path / "a.fits").wcs is None


def test_a_roll_without_a_value_is_not_taken_as_none():
    header = fits.Header({k: v for k, v in FORMS["CROTA2"].items()})
    raw = header.tostring().replace(
        "CROTA2  =                 30.0", "CROTA2  =                  nan"
    )
    cards = header_cards(fits.Header.fromstring(raw))
    assert cards.left_out == ["CROTA2"]
    with pytest.raises(ValueError, match="CROTA2 has no usable value"):
        celestial_coordinates(cards, (SIDE, SIDE))


@pytest.mark.parametrize("ending", ["fits.gz", "fit.bz2", "fts.xz", "fits.zip", "fits.fz"])
def test_every_compression_reads_the_same_and_damage_is_seen(tmp_path, data, ending):
    plain = write(tmp_path / "a.fits", data, "PC")
    raw, path = plain.read_bytes(), tmp_path / f"b.{ending}"
    if ending.endswith("fz"):
        header = fits.getheader(plain)
        packed = fits.CompImageHDU(data, header, compression_type="GZIP_1", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
    elif ending.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("b.fits", raw)
    else:
        pack = {"gz": gzip, "bz2": bz2, "xz": lzma}[ending.rsplit(".", 1)[1]].compress
        path.write_bytes(pack(raw))
    np.testing.assert_array_equal(read_frame(path).image, data)
    np.testing.assert_array_equal(read_image(path, 32).image, read_image(plain, 32).image)
    if ending.endswith("fz"):
        return
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2] ^= 0x10
    path.write_bytes(packed)
    with pytest.raises(DataIntegrityError, match=path.name):
        read_frame(path)


def test_keys_of_a_map_are_never_shortened(data):
    class Map:
        meta = {k.lower(): v for k, v in {**COMMON, "WAVELNTH": 171, **FORMS["PC"]}.items()}
        mask = None

    Map.data = data
    # shortened to eight letters, the first would be CRVAL1's or the exposure's
    Map.meta |= {"exptime_of_the_flat": 99.0, "crval1__of_the_flat": 5.0}
    header = read_header(Map())
    assert (header.exposure_s, header.wcs["CRVAL1"]) == (2.0, X0)
