"""From simulated pixels to a calibrated network of emission measure and its report."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from dataset_models.splits import Split
from network_models.dem_regression.calibration import Calibration, calibrate, covered, outputs_of
from network_models.dem_regression.emission_loss import EmissionLoss
from network_models.dem_regression.emission_network import (
    SIZES,
    NetworkSize,
    build_emission_network,
)
from network_models.dem_regression.report_sections import (
    write_coverage_section,
    write_scores_section,
    write_training_section,
)
from network_models.dem_regression.simulated_pixels import N_BINS, N_CHANNELS, SimulatedPixels
from network_models.training.checkpoint import save_network
from network_models.training.fitting import TrainingOptions
from network_models.training.problem import Evaluation, ProblemData, Trained
from network_models.training.targets import Target, emission_targets
from tools.atomic_files import write_json
from tools.emission_measure.families import FROZEN_HASH, LOG_T_EDGES
from tools.run_folder import RunFolder

if TYPE_CHECKING:
    from network_models.dem_regression.train import EmissionConfig

__all__ = [
    "CALIBRATED",
    "block_folds",
    "build",
    "evaluate_network",
    "loss_of",
    "open_data",
    "open_pixels",
    "optimizer_of",
    "options_of",
    "size_of",
    "targets_of",
]

CALIBRATED = "network.keras"
_VALIDATION_BLOCKS = 32


def open_data(config: EmissionConfig) -> ProblemData:
    """Open the simulated pixels that a configuration names, and their sets."""
    dataset = open_pixels(config)
    return ProblemData(dataset, dataset.split())


def build(config: EmissionConfig, data: ProblemData) -> keras.Model:
    """Build the network of a configuration."""
    return build_emission_network(size_of(config))


def targets_of(config: EmissionConfig, data: ProblemData | None) -> dict[str, Target]:
    """Return the emission measure in each bin of temperature."""
    return emission_targets(LOG_T_EDGES, "1e26 cm-5", n_outputs=3 * N_BINS + N_CHANNELS)


def block_folds(config: EmissionConfig, data: ProblemData, k: int, n: int) -> Split:
    """Validate on every n-th block that is not in the test set."""
    known = np.sort(np.concatenate([data.split.training, data.split.validation]))
    chosen = np.arange(len(known)) % n == k
    return replace(data.split, training=known[~chosen], validation=known[chosen])


def open_pixels(config: EmissionConfig) -> SimulatedPixels:
    """Return the pixels that a configuration names."""
    return SimulatedPixels(
        config.seed,
        block_pixels=config.block_pixels,
        n_training=config.steps_per_epoch * config.blocks,
        n_validation=_VALIDATION_BLOCKS,
        n_test=2 * -(-config.calibration_pixels // config.block_pixels),
        n_parts=config.library,
        rough_share=config.rough_share,
    )


def size_of(config: EmissionConfig) -> NetworkSize:
    """Return the network's size: one of ``SIZES``, with what the options change of it."""
    size = SIZES[config.size]
    return NetworkSize(
        width=config.width or size.width,
        first_layers=config.first_layers or size.first_layers,
        steps=size.steps if config.steps < 0 else config.steps,
        step_layers=config.step_layers or size.step_layers,
        activation=config.activation or size.activation,
    )


def loss_of(config: EmissionConfig, data: ProblemData) -> EmissionLoss:
    """Return the loss with a configuration's weights."""
    return EmissionLoss(
        config.shape_weight, config.misfit_weight, config.brightness_weight, config.interval_weight
    )


def options_of(config: EmissionConfig) -> TrainingOptions:
    """Return the training options of a configuration."""
    return TrainingOptions(
        config.epochs,
        config.blocks,
        config.learning_rate,
        config.weight_decay,
        config.seed,
        config.keep_epochs,
    )


def optimizer_of(config: EmissionConfig, n_steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer for a number of batches: the learning rate rises, then falls to 0.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; as long as AdamW's steps,
    Liu et al. 2025, arXiv 2502.16982) turns updates of dense layers into matrices whose singular
    values are nearly alike; biases and the layers that give bins are updated as AdamW does.
    """
    warmup = min(config.warmup_steps, n_steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, n_steps - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )
    return keras.optimizers.Muon(
        schedule,
        weight_decay=config.weight_decay,
        adam_weight_decay=config.weight_decay,
        clipnorm=1.0,
        exclude_layers=["proposal", "change", "spread"],
    )


def evaluate_network(trained: Trained) -> Evaluation:
    """Calibrate a trained network, count what its intervals hold, and write its sections."""
    config, dataset, run = trained.config, trained.data.dataset, trained.run
    lines, found, shares = _calibrated(config, dataset, run, trained.network)
    lines[0] += f", best epoch {trained.progress.best_epoch}"
    write_training_section(run, trained.progress)
    write_coverage_section(run, found, shares)
    write_scores_section(run, trained.network)
    return Evaluation(lines, "Emission measure from six channels", "; ".join(lines))


def _calibrated(
    config: EmissionConfig, dataset: SimulatedPixels, run: RunFolder, network: keras.Model
) -> tuple[list[str], Calibration, np.ndarray]:
    """Calibrate a trained network on one half of the test pixels, count on the other; write it."""
    rows = dataset.split().test
    half = len(rows) // 2
    found = calibrate(network, *_pixels(dataset, rows[:half]))
    inputs, targets = _pixels(dataset, rows[half:])
    shares = _coverage(network, found, inputs, targets)
    network.get_layer("intervals").table = found.factors.tolist()
    save_network(run / CALIBRATED, network)
    settings = {
        "size": config.size,
        "shape": asdict(size_of(config)),
        "log_temperature_edges": LOG_T_EDGES.tolist(),
        "calibration": found.to_dict(),
        "out of prior, SHA-256": FROZEN_HASH,
    }
    write_json(run / "network.json", settings)
    lines = [
        f"{config.size}: {network.count_params():,} parameters",
        f"68 % intervals cover {100 * shares.mean():.1f} % of the true bins of {len(inputs):,} "
        "further simulated pixels",
    ]
    return lines, found, shares


def _pixels(dataset: SimulatedPixels, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of some blocks in one row."""
    arrays = dataset.read(rows)
    return tuple(arrays[k].reshape(-1, arrays[k].shape[-1]) for k in ("brightness", "emission"))


def _coverage(
    network: keras.Model, found: Calibration, inputs: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Return the share of the truths inside the calibrated intervals, by bin."""
    output = outputs_of(network, inputs)
    em, below, above = (output[:, k * N_BINS : (k + 1) * N_BINS] for k in range(3))
    return covered(targets[:, :N_BINS], em, below, above, found.factors).mean(axis=0)
