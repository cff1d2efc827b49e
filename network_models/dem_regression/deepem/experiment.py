"""What DeepEM is made and judged by: network, loss, optimizer, inversion of the test image."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import keras
import numpy as np

from dataset_models.SDO.AIA.dem_pairs import DEMPairs
from dataset_models.SDO.AIA.dem_sources import ImagePair
from network_models.dem_regression.deepem.network import (
    RootError,
    build_deepem,
    build_synthesis,
    invert_map,
    with_emission_measure,
)
from network_models.dem_regression.deepem.report_sections import write_sections
from network_models.dem_regression.deepem.solved import Solved
from network_models.training.coupled_adam import CoupledAdam
from network_models.training.problem import Evaluation, ProblemData, Trained, TrainingView
from network_models.training.targets import Target, emission_targets
from tools.atomic_files import write_json
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.response import RESPONSE_CHANNELS
from tools.emission_measure.status import OK

if TYPE_CHECKING:
    from network_models.dem_regression.deepem.train import DeepEMConfig

__all__ = [
    "build",
    "evaluate_deepem",
    "loss_of",
    "notes_of",
    "optimizer_of",
    "score",
    "solutions_per_second",
    "solve",
    "targets_of",
    "training_view",
]

logger = logging.getLogger(__name__)

_TIMED_S = 2.0


def build(config: DeepEMConfig, data: ProblemData) -> keras.Model:
    """Build the network whose output is y, as the loss takes it."""
    return build_deepem()


def loss_of(config: DeepEMConfig, data: ProblemData) -> RootError:
    """Return the squared error of y."""
    return RootError()


def optimizer_of(config: DeepEMConfig, n_steps: int) -> CoupledAdam:
    """Return Adam with a constant learning rate and PyTorch's penalty."""
    return CoupledAdam(config.learning_rate, coupled_decay=config.weight_decay)


def training_view(config: DeepEMConfig, data: ProblemData, is_trial: bool) -> TrainingView:
    """Let the network be saved with its output in cm-5."""
    return TrainingView(data.dataset, as_saved=with_emission_measure)


def targets_of(config: DeepEMConfig, data: ProblemData | None) -> dict[str, Target]:
    """Return the emission measure in each bin, the mean over an image."""
    return emission_targets(LOG_T_EDGES, "cm-5")


def notes_of(config: DeepEMConfig, data: ProblemData) -> dict:
    """Return what config.json says of the network."""
    return {"network": "DeepEM"}


def evaluate_deepem(trained: Trained) -> Evaluation:
    """Invert the test image and write the report's sections."""
    dataset, split, run = trained.data.dataset, trained.data.split, trained.run
    logger.info("Inverting the test image and, for the appendix, the training image")
    network = trained.network
    test = solve(network, dataset, int(split.test[0]))
    known = solve(network, dataset, int(split.training[0]))
    n_pixels = test.dn[..., 0].size
    rate = solutions_per_second(network, test.dn)
    logger.info("%s solutions per second", f"{rate:,.0f}")
    card = {
        "teacher": dataset.teacher_text,
        "solutions_per_second": rate,
        "pixels": n_pixels,
        "best_epoch": trained.progress.best_epoch,
        "test": score(test),
        "training": score(known),
    }
    write_json(run / "performance/skill.json", card)
    write_sections(
        run,
        card,
        history=trained.progress.history,
        test=test,
        known=known,
        edges=dataset.edges,
        command=trained.command,
    )
    what = "virtual Sun (synthetic)" if run.config["data"]["synthetic"] else "real images"
    lines = [
        f"Solutions per second: {rate:,.0f}",
        f"Test image against its teacher ({card['teacher']}): loss {card['test']['loss']:.4f}",
    ]
    return Evaluation(
        lines,
        title=f"DeepEM on the {what}",
        subtitle=f"Teacher: {dataset.teacher_text}. Run {run.path.name}.",
    )


def solve(network: keras.Model, dataset: DEMPairs, index: int) -> Solved:
    """Invert one image by the network, and synthesise it from both solutions."""
    pair: ImagePair = dataset.pair(index)
    synthesis = build_synthesis(dataset.response)
    em = invert_map(network, pair.dn)
    return Solved(
        dn=pair.dn,
        teacher=pair.em,
        network=em,
        teacher_dn=invert_map(synthesis, pair.em),
        network_dn=invert_map(synthesis, em),
        is_solved=pair.status == OK,
        time=str(dataset.table.time[index])[:16],
    )


def solutions_per_second(network: keras.Model, dn: np.ndarray) -> float:
    """Time the network on an image, again and again for two seconds; give pixels per second."""
    invert_map(network, dn)  # traced before the clock runs
    start, n = time.monotonic(), 0
    while (seconds := time.monotonic() - start) < _TIMED_S or n == 0:
        invert_map(network, dn)
        n += 1
    return n * dn[..., 0].size / seconds


def score(solved: Solved) -> dict:
    """Compare the network's solution with its teacher's and with the data; JSON types only.

    ``loss`` is the training's, of ``sqrt(EM / 1e25 cm-5)`` over all pixels (y taken as positive).
    Over the pixels that the teacher solved, medians of ``L1 = sum|x - t| / sum t``, of ``W1``, the
    distance of the normalised curves in dex, and of synthesised over observed brightness (observed
    above 0). ``brightness`` is the same for sums over the image.
    """
    root = [np.sqrt(em.astype(float) / 1e25) for em in (solved.network, solved.teacher)]
    known = solved.is_solved & (solved.teacher.sum(axis=-1) > 0)
    x, t = (em[known].astype(float) for em in (solved.network, solved.teacher))
    out = {"loss": float(np.mean((root[0] - root[1]) ** 2))}
    if known.any():
        step = np.cumsum(x / np.maximum(x.sum(axis=1, keepdims=True), 1), axis=1)
        step -= np.cumsum(t / t.sum(axis=1, keepdims=True), axis=1)
        out |= {
            "L1": float(np.median(np.abs(x - t).sum(axis=1) / t.sum(axis=1))),
            "W1_dex": float(np.median(0.1 * np.abs(step).sum(axis=1))),
            "total_em": float(x.sum() / t.sum()),
        }
    out["pixels_without_solution"] = float(1 - solved.is_solved.mean())
    out["zero_bins_teacher"], out["zero_bins_network"] = (
        float((em == 0).mean()) for em in (solved.teacher, solved.network)
    )
    for name, dn in (("teacher", solved.teacher_dn), ("network", solved.network_dn)):
        ratios, sums = {}, {}
        for k, channel in enumerate(RESPONSE_CHANNELS):
            seen = solved.dn[..., k] > 0
            ratio = dn[..., k][seen] / solved.dn[..., k][seen]
            ratios[str(channel)] = float(np.median(ratio)) if seen.any() else None
            total = float(np.nansum(solved.dn[..., k], dtype=float))
            sums[str(channel)] = float(dn[..., k].sum(dtype=float) / total) if total > 0 else None
        out[f"{name}_over_observed"], out[f"{name}_brightness"] = ratios, sums
    return out
