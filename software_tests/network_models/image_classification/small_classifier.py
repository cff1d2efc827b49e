"""A small classifier and frames for it; as a script, a catalogue whose making kills itself.

``python -m software_tests.network_models.image_classification.small_classifier MODEL DATA OUT N``
classifies, and kills itself in disk operation N of its journal and tables.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

CARDS = {
    "CTYPE1": "HPLN-TAN",
    "CTYPE2": "HPLT-TAN",
    "CUNIT1": "arcsec",
    "CUNIT2": "arcsec",
    "CRPIX1": 65.5,
    "CRPIX2": 60.5,
    "CRVAL1": 300.0,
    "CRVAL2": -200.0,
    "CDELT1": 0.5,
    "CDELT2": 0.5,
    "DATE-OBS": "2014-01-11T08:00:00.000",
}


def write_model(folder):
    """Write a run that calls bright tiles sunspots and dark ones quiet; give its folder."""
    import keras

    from network_models.image_classification.classifier import ClassifierSettings
    from network_models.layers.scenes import ClassProbabilities
    from tools.abstention import Abstention
    from tools.probability_calibration import PredictionSets

    image = keras.Input((None, None, 1), name="image")
    mean = keras.layers.GlobalAveragePooling2D()(image)
    logits = keras.layers.Dense(6, name="logits")(mean)
    network = keras.Model({"image": image}, ClassProbabilities(2.0)(logits))
    slope = np.array([[0, 0, 0, 0, 0.2, 0]], np.float32)
    bias = np.array([-10, -10, -10, 10, -11, -10], np.float32)
    network.get_layer("logits").set_weights([slope, bias])
    folder.mkdir()
    network.save(folder / "best_performing.keras")
    settings = ClassifierSettings(
        temperature=2.0, sets=PredictionSets(0.9, 0.3), abstention=Abstention("error", 0.4, 0.95)
    )
    settings.to_json(folder / "classes.json")
    return folder


def write_frames(folder, n=5, shape=(120, 130)):
    """Write frames of granules, the odd ones with brightness for sunspots in the west."""
    folder.mkdir()
    generator = np.random.default_rng(4)
    for k in range(n):
        image = 20 + generator.normal(size=shape)
        image[:, shape[1] // 2 :] += 280.0 * (k % 2)
        fits.writeto(folder / f"frame{k}.fits", image.astype(np.float32), fits.Header(CARDS))
    return folder


if __name__ == "__main__":
    import tools.atomic_files
    import tools.long_work.journal
    from network_models.image_classification.classify import main
    from software_tests.network_models.training.faulty_disk import FaultyDisk

    disk = FaultyDisk(int(sys.argv[4]), really=True)
    tools.atomic_files.os = tools.long_work.journal.os = disk
    main([*map(str, map(Path, sys.argv[1:3])), "--output", sys.argv[3], "--workers", "1"])
