"""What stands beside a trained network of emission measure: its size, and what tells a status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from network_models.dem_regression.emission_network import NetworkSize, size_from
from network_models.dem_regression.pixel_results import Limits
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import UNIT_CM5
from tools.emission_measure.status import NO_DATA, NO_SIGNAL, NOT_FITTED, OK, UNLIKE_TRAINING

__all__ = ["NETWORK_FILE", "SETTINGS_FILE", "NetworkSettings", "read_settings"]

NETWORK_FILE, SETTINGS_FILE = "network.keras", "network.json"


@dataclass(frozen=True)
class NetworkSettings:
    """What an inversion has to know of a network beside its weights.

    Attributes
    ----------
    size : NetworkSize
    limits : Limits
        What tells a pixel's status.
    """

    size: NetworkSize
    limits: Limits


def read_settings(path: Path) -> NetworkSettings:
    """Read the settings of a run of ``train.py``, or of a packaged network.

    Raises
    ------
    ValueError
        If the file is damaged, or of a network of other temperatures.
    """
    try:
        settings = json.loads(path.read_text())
        edges = np.array(settings["log_temperature_edges"], float)
        size = size_from(settings)
        calibration = settings["calibration"]
        levels = np.array(calibration["signal levels"], float)
        chi2 = np.array(calibration["chi2 limits"], float)
        most = 10.0 ** (float(calibration["largest log10 total emission measure, cm-5"]) - 26)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}): expected the settings that "
            "network_models/dem_regression/train.py writes; train or package the network again"
        ) from error
    if edges.shape != LOG_T_EDGES.shape or not np.allclose(edges, LOG_T_EDGES):
        raise ValueError(f"{path}: its temperatures are not those of this suite's networks")
    if levels.ndim != 1 or chi2.shape != (len(levels) + 1,):
        raise ValueError(
            f"{path} is damaged: expected one chi2 limit more than signal levels, got {chi2.size} "
            f"and {levels.size}; train or package the network again"
        )
    if not (np.diff(levels) > 0).all() or not (chi2 > 0).all() or not 0 < most < np.inf:
        raise ValueError(
            f"{path} is damaged: expected signal levels that increase, and positive limits of chi2 "
            "and emission measure; train or package the network again"
        )
    codes = np.array([OK, UNLIKE_TRAINING, NO_DATA, NO_SIGNAL, NOT_FITTED], np.uint8)
    return NetworkSettings(size, Limits(levels, chi2, most, codes, np.float32(UNIT_CM5)))
