"""What the image networks' training scripts share: their options, their data, their network."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from network_models.training.problem import Problem, ProblemData
from network_models.xray_flux_forecast.forecast_problem import ForecastConfig, forecast_problem
from tools.channels import CALIBRATION, CALIBRATIONS
from tools.options import option, part_of
from tools.search_range import among, between

if TYPE_CHECKING:
    from dataset_models.GOES.flare_record import FlareRecord
    from dataset_models.GOES.side_columns import SideColumns
    from dataset_models.store import ImageSource, ImageStore
    from dataset_models.virtual_sun.limit import ForecastLimit
    from network_models.xray_flux_forecast.forecast_network import ForecastNetwork

__all__ = ["AIAConfig", "aia_problem"]

logger = logging.getLogger(__name__)

_RIVAL_EPOCHS = 15
# measured on two cores at 64 x 64 pixels, with 45 % of the images in the training set
_RENDER_S_PER_PIXEL, _TRAIN_S_PER_PIXEL, _BYTES_PER_PIXEL = 1.6e-6, 2.9e-7, 10.0
_SCORE_S_PER_IMAGE = 7.5e-3

_SMOKE = {
    "virtual_years": 6.5,
    "cadence_h": 24,
    "size": 32,
    "epochs": 3,
    "width": 16,
    "bootstrap_draws": 100,
}


@dataclass(frozen=True)
class AIAConfig(ForecastConfig):
    """Options of the training; the command line is made from these fields."""

    data: str = option(
        "", "image store, or folder of FITS or .dat files; the virtual Sun if not given"
    )
    hmi: bool = option(False, "also take HMI's field and continuum from FITS files")
    calibration: str = option(
        CALIBRATION, "version of AIA's calibration that corrects FITS files", choices=CALIBRATIONS
    )
    degradation_corrected: bool = option(
        False, "the FITS files were corrected for AIA's loss of throughput before"
    )
    flares: str = option("", "flare list or X-ray files for the labels of real images")
    virtual_years: float = option(66.0, "length of the virtual record: six cycles, years")
    virtual_seed: int = option(2, "seed of the virtual Sun; the network was chosen on seed 1")
    cadence_h: int = option(24, "hours between issue times on the virtual Sun")
    size: int = option(64, "pixels along a side of images that are made into a store", least=1)
    frames: int = option(1, "images in a sample", least=1, most=4)
    frame_step_h: int = option(12, "hours between them", least=1)
    side_channel: str = option(
        "", "a number beside the images: the newest 1-8 A flux", choices=("", "current_flux")
    )
    sanity: bool = option(
        False, "give the network the answer, to see that it can learn; makes no run and no score"
    )
    stores: str = option("image_stores", "folder in which stores of images are made")
    width: int = option(48, "feature maps", search=among(16, 24, 32, 48, 64))
    pixel_layers: int = option(
        2, "layers that see one pixel's channels at a time", search=among(1, 2, 3), least=1
    )
    neighbour_layers: int = option(
        1, "layers that see a cell's neighbours", search=among(0, 1, 2, 3), least=0
    )
    neighbour_side: int = option(
        3,
        "cells along their side",
        search=among(3, 5, when=("neighbour_layers", ">=", 1)),
        least=1,
    )
    region_size: float = option(
        0.4,
        "size of a region, whose cells share one vote, solar radii",
        search=among(0.2, 0.4, 0.8),
        above=0,
        most=2,
    )
    rates: int = option(
        16, "rates that each cell of the disc adds to the sum", search=among(4, 8, 16, 32), least=1
    )
    sums_layers: int = option(1, "layers behind the sums", search=among(0, 1, 2), least=0)
    sums_units: int = option(
        0,
        "units of each; twice the feature maps if 0",
        search=among(32, 64, 96, 192, when=("sums_layers", ">=", 1)),
        least=0,
    )
    dropout: float = option(
        0.2,
        "share of the last of these units left out in training",
        search=between(0, 0.6, when=("sums_layers", ">=", 1)),
    )
    epochs: int = option(8, "passes through the training set")
    batch_size: int = option(64, "samples per step", search=among(16, 32, 64, 128))
    learning_rate: float = option(
        3e-3, "largest learning rate", search=between(3e-4, 1e-2, is_log=True)
    )
    precision: str = option(
        "float32",
        "of the convolutions; logarithms, sums and the head always stay in float32",
        choices=("float32", "mixed_bfloat16"),
    )
    skip_leak_table: bool = option(
        False, "do not train the history network again to show what a leak is worth"
    )

    def __post_init__(self):
        super().__post_init__()
        if self.neighbour_side % 2 == 0:
            raise ValueError(f"--neighbour-side must be odd, got {self.neighbour_side}")
        if self.side and self.side_channel:
            raise ValueError("give --side or --side-channel, not both")


def aia_problem(name: str, script: str, description: str, *, with_history: bool) -> Problem:
    """Make the problem of a training script of networks on images."""
    return forecast_problem(
        name,
        script=script,
        description=description,
        config=AIAConfig,
        prepare=lambda config: _prepare(config, with_history),
        network=lambda config: _make_network(config, with_history),
        smoke=_SMOKE,
        dataset="dataset_models/SDO/AIA/fdl_1.py",
        training_share=0.12,
        architecture={"sums_units": 96},
    )


def _prepare(config: AIAConfig, with_history: bool) -> ProblemData:
    from dataset_models.GOES.flare_history import HistoryWindow
    from dataset_models.GOES.side_columns import true_value
    from dataset_models.SDO.AIA.fdl_1 import FDL1, ImageFrames
    from network_models.xray_flux_forecast.forecast_data import (
        DataOptions,
        default_split,
        open_record,
        read_record,
    )

    frames = part_of(config, ImageFrames)
    if config.data:
        if not config.flares:
            raise ValueError("real images need labels: give --flares FLARES.csv")
        store = _given_store(config)
        if store.manifest["source"].get("synthetic"):
            raise ValueError(
                f"{config.data} holds the virtual Sun, whose labels come from its own record: "
                "leave --data out"
            )
        record = read_record(
            [config.flares], class_scale=config.class_scale, gap_limit_s=config.gap_limit_s
        )
        limit = None
    else:
        record, limit = open_record(part_of(config, DataOptions))
        store = _virtual_store(config, limit.virtual)
    window = part_of(config, HistoryWindow)
    if config.sanity:
        labelled = FDL1(store, record, window, frames)
        side = true_value(labelled.times, labelled.log10_peak_flux)
    else:
        side = _side_columns(config, record, store, limit)
    dataset = FDL1(store, record, window, frames, with_history=with_history, side=side)
    split = default_split(
        dataset, test_from=config.test_from, validation_years=config.validation_years
    )
    return ProblemData(dataset, split, limit)


def _side_columns(
    config: AIAConfig, record: FlareRecord, store: ImageStore, limit: ForecastLimit | None
) -> SideColumns | None:
    """Return the side columns that the options name."""
    from dataset_models.GOES.side_columns import current_flux, read_side_columns
    from dataset_models.virtual_sun.x_rays import VirtualXRays

    if config.side:
        return read_side_columns(config.side)
    if not config.side_channel:
        return None
    if limit is None:
        return current_flux(record)
    logger.info("X-ray fluxes of the virtual plasma at %d times", len(store))
    return VirtualXRays(limit.virtual).current_flux(store.times)


def _given_store(config: AIAConfig) -> ImageStore:
    """Open the store that ``--data`` names, or make one from a folder of FITS files."""
    from dataset_models.SDO.sources import folder_source, is_store
    from dataset_models.store import ImageStore

    data = Path(config.data)
    if is_store(data):
        store = ImageStore(data)
        if config.hmi or config.degradation_corrected:
            raise ValueError(
                f"{data} is a store, made already: --hmi and --degradation-corrected are for "
                "folders of FITS files"
            )
        if config.size not in (AIAConfig.size, _SMOKE["size"], store.size):
            raise ValueError(
                f"{data} is a store of {store.size} x {store.size} pixels; leave --size out"
            )
        return store
    folder = folder_source(
        data,
        config.size,
        with_hmi=config.hmi,
        degradation_corrected=config.degradation_corrected,
        calibration=config.calibration,
    )
    store = _made_store(config, folder, f"{data.resolve().name}_{config.size}")
    summary = store.summary()
    for line in summary.lines() if summary else ():
        logger.warning("%s", line.strip())
    return store


def _virtual_store(config: AIAConfig, virtual) -> ImageStore:
    """Render the virtual Sun into a store, go on with one, or give the finished one."""
    from dataset_models.virtual_sun.images import VirtualImages
    from dataset_models.virtual_sun.record import VIRTUAL_START

    hours = np.arange(config.history_h, virtual.n_hours, config.cadence_h)
    times = VIRTUAL_START + hours * np.timedelta64(3600, "s")
    images = VirtualImages(virtual, times, config.size)
    return _made_store(config, images, f"virtual_{config.size}", announce=True)


def _announce(config: AIAConfig, n_images: int) -> None:
    """Describe what will happen and how long it takes, from what was measured on two cores."""
    pixels = n_images * config.size**2
    seconds = (
        pixels * _RENDER_S_PER_PIXEL,
        pixels * _TRAIN_S_PER_PIXEL * config.epochs,
        n_images * _SCORE_S_PER_IMAGE,
    )
    logger.info(
        "Nothing is downloaded. On 2 cores it takes about %d min to render %d images (%d MB on "
        "disk; those of an earlier run are used again), %d min to train, %d min to score.",
        np.ceil(seconds[0] / 60),
        n_images,
        np.ceil(pixels * _BYTES_PER_PIXEL / 1e6),
        *np.ceil(np.array(seconds[1:]) / 60),
    )


def _made_store(
    config: AIAConfig, source: ImageSource, name: str, *, announce: bool = False
) -> ImageStore:
    """Build a source's store under ``--stores``; other images get another folder."""
    from dataset_models.SDO.sources import is_store
    from dataset_models.store import build_store
    from tools.long_work.processes import usable_processes

    described = json.dumps([source.describe(), source.times.astype(str).tolist(), config.size])
    path = Path(config.stores) / f"{name}_{hashlib.sha256(described.encode()).hexdigest()[:10]}"
    if announce and not is_store(path):
        _announce(config, len(source))
    what, n, size = source.describe()["source"], len(source), config.size
    logger.info("Images: %s, %d of %d x %d pixels, in %s", what, n, size, size, path)
    return build_store(path, source, workers=usable_processes())


def _make_network(config: AIAConfig, with_history: bool) -> ForecastNetwork:
    from network_models.training.fitting import TrainingOptions
    from network_models.xray_flux_forecast.fdl1.aia_network import (
        NetworkShape,
        build_aia_network,
        image_features,
    )
    from network_models.xray_flux_forecast.forecast_network import ForecastNetwork, Rival
    from network_models.xray_flux_forecast.history_network import build_history_network

    return ForecastNetwork(
        name="AIA images and flare history" if with_history else "AIA images",
        build=lambda dataset, rows, bins: build_aia_network(
            dataset,
            rows,
            bins,
            shape=part_of(config, NetworkShape),
            dropout=config.dropout,
            precision=config.precision,
        ),
        features=image_features,
        rival=Rival(
            lambda dataset, rows, bins: build_history_network(
                dataset, rows, bins, width=128, depth=2, dropout=0.4
            ),
            TrainingOptions(
                epochs=min(config.epochs, _RIVAL_EPOCHS),
                batch_size=256,
                learning_rate=1e-3,
                weight_decay=1e-3,
                seed=config.seed,
            ),
        ),
    )
