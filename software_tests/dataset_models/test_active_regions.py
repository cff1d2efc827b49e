"""Boxes lie where the regions are: by algebra, and where the virtual Sun's light comes from."""

import numpy as np
import pytest

from dataset_models.active_regions import listed_boxes, virtual_boxes
from dataset_models.virtual_sun.images import VirtualImages
from dataset_models.virtual_sun.parameters import FlareProcessParameters
from dataset_models.virtual_sun.process import simulate_record
from dataset_models.virtual_sun.record import VIRTUAL_START
from software_tests.science.test_saliency import SUMMARY


def test_listed_regions_turn_with_the_sun(tmp_path):
    path = tmp_path / "srs.txt"
    path.write_text(SUMMARY)
    boxes = {b.name: b for b in listed_boxes(path, np.datetime64("2011-02-15T00:00:00"), 0.0)}
    assert "11149" not in boxes  # due to return, not there yet
    large = boxes["11158"]
    south, west = np.radians([20, 11])
    assert large.y == pytest.approx(-np.sin(south), abs=1e-6)
    assert large.x == pytest.approx(np.cos(south) * np.sin(west), abs=0.01)
    half = np.cos(south) * (np.sin(np.radians(19)) - np.sin(np.radians(3))) / 2
    assert large.half_width == pytest.approx(half, abs=0.02)
    tilted = {b.name: b for b in listed_boxes(path, np.datetime64("2011-02-15T00:00:00"), -7.0)}
    tilt = np.radians(7)
    expected = -np.sin(south) * np.cos(tilt) + np.cos(south) * np.cos(west) * np.sin(tilt)
    assert tilted["11158"].y == pytest.approx(expected, abs=3e-3)  # middle of its ends
    later = {b.name: b for b in listed_boxes(path, np.datetime64("2011-02-16T00:00:00"), 0.0)}
    turned = np.degrees(np.arcsin(later["11158"].x / np.cos(south))) - 11
    assert turned == pytest.approx(13.1, abs=0.4)  # synodic degrees a day at this latitude
    assert "11155" not in later  # behind the limb by now


def test_virtual_regions_lie_where_their_light_is():
    record = simulate_record(FlareProcessParameters(), years=1, seed=2)
    times = VIRTUAL_START + np.array([3000, 5000, 6000, 7000, 8000]) * np.timedelta64(3600, "s")
    images = VirtualImages(record, times, 128)
    n = 0
    for k, time in enumerate(times):
        boxes = {b.name: b for b in virtual_boxes(record, time)}
        for (kind, number), light in images.region_images(k).items():
            box = boxes.get(f"{number}") if kind == "active" else None
            if box is None or np.hypot(box.x, box.y) > 0.8:
                continue
            y, x = np.unravel_index(light[3].argmax(), light[3].shape)
            places = (np.array([x, y]) + 0.5) / 128 * 2.56 - 1.28
            assert abs(places[0] - box.x) < box.half_width + 0.03
            assert abs(places[1] - box.y) < box.half_height + 0.03
            n += 1
    assert n > 3
