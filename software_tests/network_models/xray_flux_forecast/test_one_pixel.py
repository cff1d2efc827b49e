"""From FITS files to the network no axis is scrambled: one pixel of one channel, and no other."""

import keras
import numpy as np
import pytest
from astropy.io import fits

from dataset_models.GOES.flare_history import HistoryWindow
from dataset_models.SDO.AIA.fdl_1 import FDL1
from dataset_models.SDO.fits_folder import FITSFolder
from dataset_models.SDO.fits_image import FIELD_ARCSEC
from dataset_models.store import build_store
from dataset_models.streaming import Batches
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import virtual_flare_record
from network_models.training.fitting import predict
from tools.channels import AIA_CHANNELS

SIZE = 16
DATE = np.datetime64("2101-03-01T00:00:00")


def write_files(folder, images):
    """Write one FITS file per channel, calibrated, as if taken within the virtual record."""
    folder.mkdir()
    for channel, image in zip(AIA_CHANNELS, images, strict=True):
        cards = {"TELESCOP": "SDO/AIA", "WAVELNTH": channel, "EXPTIME": 2.0, "BUNIT": "DN/s"}
        cards |= {"DATE-OBS": "2101-03-01T00:00:00"}
        for axis in "12":
            cards |= {f"CRPIX{axis}": (SIZE + 1) / 2, f"CRVAL{axis}": 0.0}
            cards |= {f"CDELT{axis}": FIELD_ARCSEC / SIZE}
        fits.PrimaryHDU(image, fits.Header(cards)).writeto(folder / f"{channel}.fits")


@pytest.fixture
def forecast(tmp_path):
    """Return a function from images to the forecast of a network that reads one pixel."""
    record = virtual_flare_record(simulate_record(FlareProcessParameters(), years=0.5, seed=2))
    count = iter(range(100))

    def forecast_with(network, images):
        place = tmp_path / str(next(count))
        write_files(place, images)
        store = build_store(place / "store", FITSFolder(place, SIZE, degradation_corrected=True))
        dataset = FDL1(store, record, HistoryWindow(history_h=24), need_label=False)
        return float(predict(network, Batches(dataset, np.array([0]), batch_size=1))[0, 0])

    return forecast_with


def network_of_one_pixel(y, x, k):
    aia = keras.Input((1, SIZE, SIZE, 8), name="aia")
    present = keras.Input((1, 8), name="aia_present")
    dense = keras.layers.Dense(1, use_bias=False)
    network = keras.Model([aia, present], dense(keras.layers.Flatten()(aia)))
    kernel = np.zeros((SIZE, SIZE, 8), np.float32)
    kernel[y, x, k] = 1
    dense.set_weights([kernel.reshape(-1, 1)])
    return keras.Model({"aia": aia, "aia_present": present}, network.output)


def test_the_forecast_moves_with_that_pixel_only(forecast, generator):
    images = generator.gamma(2, 50, (8, SIZE, SIZE)).astype(np.float32)
    y, x, k = 3, 11, 5
    network = network_of_one_pixel(y, x, k)
    before = forecast(network, images)
    assert before == pytest.approx(images[k, y, x], rel=0.01)
    others = [(k, x, y), (k, SIZE - 1 - y, x), (k, y, SIZE - 1 - x), (k, y, x + 1), (k - 1, y, x)]
    for place in others:
        changed = images.copy()
        changed[place] += 100
        assert forecast(network, changed) == before
    changed = images.copy()
    changed[k, y, x] += 100
    assert forecast(network, changed) == pytest.approx(before + 100, rel=0.01)
