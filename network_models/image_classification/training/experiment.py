"""From labelled scenes to a calibrated classifier, judged beside hand-made features.

Sets are made of whole observations. The network is chosen on validation observations; half of them
give the temperature, the other half the threshold of the prediction sets; the test observations are
used once in a run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import CLASSES, OUTPUTS
from dataset_models.splits import Split
from network_models.image_classification.classifier import SETTINGS_FILE, ClassifierSettings
from network_models.image_classification.slic.hand_features import HandFeatureClassifier
from network_models.image_classification.training.leak_table import leak_rows, likeness
from network_models.image_classification.training.report_sections import (
    write_answers_section,
    write_data_section,
    write_scores_section,
    write_splits_section,
    write_training_section,
)
from network_models.image_classification.training.scene_setup import builder_of, small_network
from network_models.training.checkpoint import save_network
from network_models.training.fitting import predict, training_options
from network_models.training.problem import Evaluation, Trained
from tools.abstention import (
    RiskCoverage,
    abstention_score,
    fit_abstention,
    given_one_of_the_classes,
    risk_coverage,
)
from tools.atomic_files import write_json
from tools.classification_scores import ClassScores, class_scores, paired_difference
from tools.probability_calibration import fit_prediction_sets, fit_temperature, set_scores
from tools.random_streams import random_stream
from tools.run_folder import RunFolder

if TYPE_CHECKING:
    from network_models.image_classification.slic.train import SceneConfig

__all__ = ["Judged", "evaluate_classifier"]

logger = logging.getLogger(__name__)

_FIVE = len(CLASSES)
_LEVEL = 0.9  # of the prediction sets
_ANSWERED = 0.97  # of the validation frames of the five classes
_BATCH = 64
_FEWEST_TO_HALVE = 4  # observations
_MOST_PIXELS = 200_000_000  # of the images that hand-made features learn from at once
_LEAK_FRAMES, _LEAK_SIDE, _LEAK_EPOCHS = 8, 48, 8


@dataclass(frozen=True)
class Judged:
    """A classifier on the test set's frames of the five classes.

    Attributes
    ----------
    probability : (frame, 5) float
        Given that a frame is one of the five.
    truth : (frame,) int
    groups : (frame,) str
    """

    probability: np.ndarray
    truth: np.ndarray
    groups: np.ndarray

    def scores(self, n_draws: int) -> ClassScores:
        """Return its scores with intervals over observations."""
        return class_scores(
            self.probability, self.truth, self.groups, classes=CLASSES, n_draws=n_draws
        )


def evaluate_classifier(trained: Trained) -> Evaluation:
    """Calibrate a trained classifier, judge it once, and write its report's sections."""
    config, run = trained.config, trained.run
    dataset, split = trained.data.dataset, trained.data.split
    network, settings = _calibrated(dataset, split, trained.network, config)
    settings.to_json(run / SETTINGS_FILE)
    save_network(run.best_network, network)
    output, ways = _judge(dataset, split, network)
    scores = {name: way.scores(config.bootstrap_draws) for name, way in ways.items()}
    one, other = ways.values()
    difference = paired_difference(
        one.probability,
        other.probability,
        one.truth,
        one.groups,
        classes=CLASSES,
        n_draws=config.bootstrap_draws,
    )
    truth, groups = dataset.primary[split.test], dataset.table.group[split.test]
    answers, curve = _answers(output, truth, groups, settings)
    leak, harder = _leak(config)
    figures = {
        "parameters": network.count_params(),
        "scores": {name: s.to_dict() for name, s in scores.items()},
        "network less hand features": {k: d.to_dict() for k, d in difference.items()},
        "prediction sets and abstention": answers,
        "likeness of test frames to training frames": likeness(dataset, split),
        "splits": leak,
    }
    write_json(run / "performance/scores.json", figures)
    lines = _lines(figures, scores, difference, trained.progress.best_epoch)
    _write_samples(dataset, split, run)
    write_training_section(run, trained.progress)
    write_scores_section(run, scores, difference, events="observations")
    write_answers_section(run, answers, curve)
    if leak:
        write_splits_section(run, leak, harder)
    what = dataset.provenance()["source"]
    return Evaluation(lines, f"Classes of solar scenes: {what}", "; ".join(lines))


def _write_samples(dataset: SolarData, split: Split, run: RunFolder) -> None:
    """Show three samples of every class."""
    truth = dataset.primary[split.training]
    chosen = [np.flatnonzero(truth == k)[:3] for k in range(len(OUTPUTS))]
    rows = split.training[np.concatenate(chosen)]
    labels = [OUTPUTS[k] for k in dataset.primary[rows]]
    image = dataset.read(rows)["image"][..., 0]
    source = dataset.provenance()["source"]
    write_data_section(run, image, labels, what=f"{len(dataset.table)} frames; {source}.")


def _calibrated(
    dataset: SolarData, split: Split, trained: keras.Model, config: SceneConfig
) -> tuple[keras.Model, ClassifierSettings]:
    """Return the network with a temperature, and its settings, of halves of validation."""
    rows = split.validation
    groups = dataset.table.group[rows]
    half = random_stream(config.seed, "halves of validation").permutation(np.unique(groups))
    first = np.isin(groups, half[: len(half) // 2])
    other = ~first
    if len(half) < _FEWEST_TO_HALVE:
        logger.warning("%d validation observations are too few to be halved", len(half))
        first = other = np.ones(len(groups), bool)
    weights = trained.get_weights()
    plain, network = builder_of(config)(), builder_of(config)()
    plain.set_weights(weights)  # a run that was stopped while it was calibrated has a temperature
    network.set_weights(weights)
    probability = predict(plain, dataset.validation_batches(split, batch_size=_BATCH))
    truth = dataset.primary[rows]
    scaled = fit_temperature(probability[first], truth[first])
    later, truth, groups = scaled(probability[other]), truth[other], groups[other]
    five = truth < _FIVE
    given = given_one_of_the_classes(later)
    sets = fit_prediction_sets(given[five], truth[five], groups[five], level=_LEVEL)
    network.layers[-1].temperature = scaled.temperature
    settings = ClassifierSettings(
        temperature=scaled.temperature,
        sets=sets,
        abstention=fit_abstention(later, truth, coverage=_ANSWERED),
        tile=dataset.arrays["image"].shape[0],
    )
    return network, settings


def _judge(
    dataset: SolarData, split: Split, network: keras.Model
) -> tuple[np.ndarray, dict[str, Judged]]:
    """Return the network's output on the test set, and it and hand-made features judged."""
    rows = split.test
    groups, truth = dataset.table.group[rows], dataset.primary[rows]
    output = predict(network, dataset.test_batches(split, batch_size=_BATCH))
    known = np.concatenate([split.training, split.validation])
    by_hand = HandFeatureClassifier()
    shape = dataset.arrays["image"].shape
    known = known[:: max(len(known) * shape[0] * shape[1] // _MOST_PIXELS, 1)]
    by_hand.fit(dataset.read(known)["image"][..., 0], dataset.primary[known])
    parts = np.array_split(rows, -(-len(rows) // 256))
    hand = np.concatenate(
        [by_hand.predict_proba(dataset.read(part)["image"][..., 0]) for part in parts]
    )
    five = truth < _FIVE
    return output, {
        name: Judged(given_one_of_the_classes(p)[five], truth[five], groups[five])
        for name, p in {"network": output, "hand features": hand}.items()
    }


def _answers(
    output: np.ndarray, truth: np.ndarray, groups: np.ndarray, settings: ClassifierSettings
) -> tuple[dict, RiskCoverage]:
    """Return what prediction sets hold, and what is left when doubtful frames get no answer."""
    five = truth < _FIVE
    given = given_one_of_the_classes(output)
    found = set_scores(settings.sets(given[five]), truth[five], groups[five])
    answered = ~settings.abstention(output)
    wrong = given.argmax(axis=1) != truth
    curve = risk_coverage(abstention_score(output), wrong)
    figures = {
        "coverage": found.coverage.to_dict(),
        "mean size": found.mean_size.to_dict(),
        "coverage by class": {
            name: float(share) if np.isfinite(share) else None
            for name, share in zip(CLASSES, found.class_coverage, strict=True)
        },
        "answered, of the five classes": float(answered[five].mean()),
        "answered, of none of these": float(answered[~five].mean()) if (~five).any() else None,
        "wrong among the answered": float(wrong[answered].mean()) if answered.any() else None,
        "wrong if all were answered": float(wrong.mean()),
        "area under risk and coverage": curve.area,
    }
    return figures, curve


def _leak(config: SceneConfig) -> tuple[list[dict], dict]:
    """Return the table of splits at the harder difficulty, and what its scenes are."""
    if config.data or not config.leak_observations:
        return [], {}
    from dataset_models.solar_scenes.generated import GeneratedScenes

    harder = GeneratedScenes(
        config.scene_seed + 1,
        n_observations=config.leak_observations,
        frames_per_observation=_LEAK_FRAMES,
        size=min(config.size, _LEAK_SIDE),
        difficulty="harder",
    )
    logger.info("Drawing %d harder scenes: what would other splits claim?", len(harder.table))
    harder.draw()
    rows = leak_rows(
        harder,
        build_network=lambda: small_network(config),
        options=replace(training_options(config), epochs=min(config.epochs, _LEAK_EPOCHS)),
        n_draws=config.bootstrap_draws,
    )
    return rows, harder.provenance()


def _lines(figures: dict, scores: dict, difference: dict, best: int) -> list[str]:
    """Return the run's figures as sentences."""
    network, hand = scores["network"], scores["hand features"]
    sets = figures["prediction sets and abstention"]
    alike = figures["likeness of test frames to training frames"]
    return [
        f"{figures['parameters']:,} parameters, best epoch {best}",
        f"balanced accuracy {network['balanced accuracy']} of {network.n_frames} unseen frames of "
        f"{network.n_events} observations; hand features {hand['balanced accuracy']}; difference "
        f"{difference['balanced accuracy']}",
        f"of {alike['frames']} test frames {alike['above 0.8']} correlate by more than 0.8, "
        f"{alike['above 0.95']} by more than 0.95 with a training frame, at the best shift",
        f"ECE-15 {network['ECE-15']}, Brier {network['Brier']}",
        f"prediction sets ({100 * _LEVEL:.0f} %) cover {100 * sets['coverage']['value']:.1f} % "
        f"with {sets['mean size']['value']:.2f} classes",
    ]
