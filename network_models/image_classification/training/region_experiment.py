"""From tiles of the virtual Sun to a classifier of its regions and its report (synthetic)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dataset_models.SDO.AIA.region_tiles import REGION_CLASSES, RegionTiles
from dataset_models.splits import grouped
from network_models.image_classification.slic.slic_lite import build_slic_lite
from network_models.image_classification.training.report_sections import (
    write_data_section,
    write_scores_section,
    write_training_section,
)
from network_models.layers.images import BrightnessScaling
from network_models.training.fitting import predict
from network_models.training.problem import Evaluation, ProblemData, Trained
from network_models.training.targets import Target, class_targets
from tools.atomic_files import write_json
from tools.channels import AIA_CHANNELS
from tools.classification_scores import class_scores, paired_difference
from tools.random_streams import random_stream
from tools.run_folder import RunFolder

if TYPE_CHECKING:
    from network_models.image_classification.aia_regions import RegionConfig

__all__ = ["build", "evaluate_tiles", "open_data", "targets_of"]

logger = logging.getLogger(__name__)

_SETS = {"validation_share": 0.15, "test_share": 0.25}
_BATCH = 64
_OFFSET = 0.5  # DN s-1 pix-1: what is darker is noise


def open_data(config: RegionConfig) -> ProblemData:
    """Draw the images that a configuration names and cut tiles; whole images make the sets."""
    logger.info("Drawing %d images of the virtual Sun (synthetic)", config.images)
    dataset = RegionTiles(
        config.virtual_seed,
        n_images=config.images,
        image_size=config.image_size,
        tile=config.tile,
        per_class=config.per_class,
    )
    generator = random_stream(config.seed, "split of virtual images")
    return ProblemData(dataset, grouped(dataset.table, **_SETS, generator=generator))


def targets_of(config: RegionConfig, data: ProblemData | None) -> dict[str, Target]:
    """Return the probability of each class."""
    return class_targets(REGION_CLASSES)


def build(config: RegionConfig, data: ProblemData) -> keras.Model:
    """Build the network, scaled by the training tiles' brightness."""
    training = data.dataset.read(data.split.training)["image"]
    logs = np.log10(np.maximum(training, 0) + _OFFSET)
    means, spreads = logs.mean(axis=(0, 1, 2)), logs.std(axis=(0, 1, 2))
    return build_slic_lite(
        n_channels=len(AIA_CHANNELS),
        n_outputs=len(REGION_CLASSES),
        dropout=config.dropout,
        scaling=BrightnessScaling(
            [_OFFSET] * len(AIA_CHANNELS), means.tolist(), spreads.tolist(), name="scaling"
        ),
        name="aia_regions",
    )


def evaluate_tiles(trained: Trained) -> Evaluation:
    """Judge a trained network beside mean brightness, and write its report's sections."""
    config, run = trained.config, trained.run
    dataset, split = trained.data.dataset, trained.data.split
    rows = split.test
    truth, groups = dataset.classes[rows], dataset.table.group[rows]
    known = np.concatenate([split.training, split.validation])
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    plain.fit(_mean_logs(dataset, known), dataset.classes[known])
    ways = {
        "network": predict(trained.network, dataset.test_batches(split, batch_size=_BATCH)),
        "mean brightness": _all_columns(plain, _mean_logs(dataset, rows)),
    }
    options = {"classes": REGION_CLASSES, "n_draws": config.bootstrap_draws}
    scores = {name: class_scores(p, truth, groups, **options) for name, p in ways.items()}
    difference = paired_difference(*ways.values(), truth, groups, **options)
    figures = {
        "scores": {name: s.to_dict() for name, s in scores.items()},
        "network less mean brightness": {k: d.to_dict() for k, d in difference.items()},
    }
    write_json(run / "performance/scores.json", figures)
    network = scores["network"]
    lines = [
        f"{trained.network.count_params():,} parameters, best epoch {trained.progress.best_epoch}",
        f"balanced accuracy {network['balanced accuracy']} of {network.n_frames} unseen tiles of "
        f"{network.n_events} images (synthetic); mean brightness alone "
        f"{scores['mean brightness']['balanced accuracy']}; difference "
        f"{difference['balanced accuracy']}",
        f"ECE-15 {network['ECE-15']}",
    ]
    _write_samples(dataset, split.training, run)
    write_training_section(run, trained.progress)
    write_scores_section(run, scores, difference, events="images")
    title = f"Regions of the Sun: {dataset.provenance()['source']}"
    return Evaluation(lines, title, "; ".join(lines))


def _write_samples(dataset: RegionTiles, training: np.ndarray, run: RunFolder) -> None:
    """Show three tiles of every class in 193 A."""
    classes = dataset.classes[training]
    chosen = [np.flatnonzero(classes == k)[:3] for k in range(len(REGION_CLASSES))]
    rows = training[np.concatenate(chosen)]
    image = dataset.read(rows)["image"][..., AIA_CHANNELS.index(193)]
    labels = [REGION_CLASSES[k] for k in dataset.classes[rows]]
    what = (
        f"{len(dataset.table)} tiles in 8 channels; {dataset.provenance()['source']}. Shown: 193 A."
    )
    write_data_section(run, image, labels, what=what)


def _mean_logs(dataset: RegionTiles, rows: np.ndarray) -> np.ndarray:
    """Return the mean logarithm of each channel, (tile, channel)."""
    image = dataset.read(rows)["image"]
    return np.log10(np.maximum(image, 0) + _OFFSET).mean(axis=(1, 2))


def _all_columns(model, features: np.ndarray) -> np.ndarray:
    """Return probabilities of all classes, also of those that training did not have."""
    out = np.full((len(features), len(REGION_CLASSES)), 1e-9)
    out[:, model.classes_] = model.predict_proba(features)
    return out / out.sum(axis=1, keepdims=True)
