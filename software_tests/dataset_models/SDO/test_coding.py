"""Coded brightness: rounding stays far below the photon noise, missing values stay missing."""

import numpy as np
import pytest

from dataset_models.SDO.coding import (
    MISSING,
    decode,
    decode_channels_last,
    decoding_curves,
    encode,
)
from tools.channels import AIA_CHANNELS, CAMERA, HMI_CHANNELS


def there_and_back(images, pixels_averaged):
    curves = decoding_curves(AIA_CHANNELS, pixels_averaged=pixels_averaged)
    return decode(encode(images, AIA_CHANNELS, pixels_averaged=pixels_averaged), curves)


@pytest.mark.parametrize("side", [4096, 2048, 1024, 512])
@pytest.mark.parametrize("channel", AIA_CHANNELS)
def test_added_noise_is_below_a_tenth_of_the_photon_noise(side, channel, generator):
    n, camera, k = (4096 / side) ** 2, CAMERA[channel], AIA_CHANNELS.index(channel)
    for dn in (0.1, 1, 10, 100, 1000, 10000, 16383):
        bright = dn * generator.uniform(0.8, 1.0, (64, 64)) / camera.exposure_s
        images = np.zeros((8, 64, 64))
        images[k] = bright
        error = (there_and_back(images, n)[k] - bright) * camera.exposure_s
        photons = 0.9 * dn / camera.dn_per_photon
        noise = np.sqrt(photons * camera.dn_per_photon**2 + camera.read_noise_dn**2) / np.sqrt(n)
        assert np.sqrt(np.mean(error**2)) < 0.1 * noise, dn


@pytest.mark.parametrize("channel", AIA_CHANNELS)
def test_coding_has_no_bias(channel, generator):
    camera, k = CAMERA[channel], AIA_CHANNELS.index(channel)
    dn = 10 ** generator.uniform(-1, 4, (200, 200))
    images = np.zeros((8, 200, 200))
    images[k] = dn / camera.exposure_s
    error = (there_and_back(images, 16)[k] - images[k]) * camera.exposure_s
    noise = np.sqrt(dn * camera.dn_per_photon + camera.read_noise_dn**2) / 4
    assert abs(np.mean(error / noise)) < 2e-3


def test_the_brightest_pixel_fits_at_any_size():
    for side in (4096, 1024, 256, 64, 16):
        images = np.full((8, 1, 1), 3 * 16383 / 2.9)  # corrected for age or a short exposure
        np.testing.assert_allclose(there_and_back(images, (4096 / side) ** 2), images, rtol=1e-2)


def test_missing_and_negative_values_survive():
    images = np.full((8, 2, 2), 5.0)
    images[2, 0, 0] = np.nan
    images[3, 1, 1] = -0.4
    codes = encode(images, AIA_CHANNELS, pixels_averaged=16)
    assert codes[2, 0, 0] == MISSING
    assert (codes == MISSING).sum() == 1
    back = there_and_back(images, 16)
    assert np.isnan(back[2, 0, 0])
    assert back[3, 1, 1] == pytest.approx(-0.4, abs=0.05)


def test_brighter_is_never_coded_lower():
    values = np.linspace(-2, 6000, 20000)
    codes = encode(np.broadcast_to(values, (8, 1, len(values))), AIA_CHANNELS, pixels_averaged=16)
    assert (np.diff(codes, axis=-1) >= 0).all()


def test_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="expected 8 channels"):
        encode(np.zeros((6, 4, 4)), AIA_CHANNELS, pixels_averaged=1)


def test_channels_last_are_the_same_values(generator):
    codes = generator.integers(-32767, 32768, (2, 10, 37, 21)).astype(np.int16)
    curves = decoding_curves((*AIA_CHANNELS, *HMI_CHANNELS), pixels_averaged=16.0)
    expected = np.moveaxis(decode(codes, curves), 1, -1)
    np.testing.assert_array_equal(decode_channels_last(codes, curves), expected)


@pytest.mark.parametrize("side", [4096, 1024, 64])
@pytest.mark.parametrize("channel", [*AIA_CHANNELS, *HMI_CHANNELS])
def test_every_code_comes_back_as_itself(side, channel):
    # single precision is far finer than a step, at every brightness
    codes = np.arange(-32767, 32768, dtype=np.int16).reshape(1, 1, -1)
    n = (4096 / side) ** 2
    (curve,) = decoding_curves([channel], pixels_averaged=n)
    values = decode(codes, [curve])
    np.testing.assert_array_equal(encode(values, [channel], pixels_averaged=n), codes)
    u = codes + curve.shift
    exact = curve.quadratic * u * np.abs(u) + curve.linear * u + curve.constant
    assert (np.abs(values - exact)[..., 1:] < 0.02 * np.diff(exact)).all()


def test_a_value_is_the_inverse_of_the_transform_written_out():
    # z = 2 sqrt(p + 3/8 + s^2), steps of 1/6 of the spread 1 / sqrt(n), from z of -8 DN on
    camera = CAMERA[171]
    constant = 0.375 + (camera.read_noise_dn / camera.dn_per_photon) ** 2
    lowest = -2 * np.sqrt(8 / camera.dn_per_photon - constant)
    code = 1234
    z = lowest + (code + 32767) / (6 * np.sqrt(16))
    expected = (z**2 / 4 - constant) * camera.dn_per_photon / camera.exposure_s
    curves = decoding_curves([171], pixels_averaged=16.0)
    assert decode(np.full((1, 1, 1), code, np.int16), curves).item() == pytest.approx(expected)
