"""What random and every-nth splits would have claimed: the same classifiers, three splits.

A declared demonstration on scenes of few observations with many frames, whose difficulty is stated
(``difficulty_harder.json``). The audit refuses two of the splits; nothing of this enters a score.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from dataset_models.audit import audit
from dataset_models.solar_data import SolarData
from dataset_models.solar_scenes.classes import CLASSES
from dataset_models.solar_scenes.files.near_copies import largest_aligned_correlation
from dataset_models.splits import Split, grouped, leaky_random_split, slic_every_nth
from network_models.image_classification.slic.hand_features import HandFeatureClassifier
from network_models.training.fitting import TrainingOptions, fit_plainly, predict
from tools.abstention import given_one_of_the_classes
from tools.classification_scores import Score, class_scores, difference_of_sets
from tools.random_streams import random_stream
from tools.report.report import Section, Table, write_section

__all__ = ["leak_rows", "leak_splits", "likeness", "write_leak_section"]

_VALIDATION_SHARE, _TEST_SHARE = 0.1, 0.2
_NTH = 10  # Slic's: every tenth frame
_FRAMES_AT_ONCE = 64
_ABOVE = "network above the first split"
_COMPARED = 1000  # test frames at least, where there are so many


def leak_splits(dataset: SolarData, seed: int) -> dict[str, Split]:
    """Return the three splits; Slic's has a tenth of the frames in its test set, as published."""
    shares = {"validation_share": _VALIDATION_SHARE, "test_share": _TEST_SHARE}
    return {
        "grouped by observation": grouped(
            dataset.table, **shares, generator=random_stream(seed, "leak table, grouped")
        ),
        "random": leaky_random_split(
            dataset.table, **shares, generator=random_stream(seed, "leak table, random")
        ),
        f"every {_NTH}th frame (Slic)": slic_every_nth(dataset.table, _NTH, kinds=dataset.primary),
    }


def likeness(dataset: SolarData, split: Split) -> dict:
    """Return how alike test frames are to the most similar training frame, at the best shift.

    Returns
    -------
    dict
        ``frames`` of the test set, every n-th of large ones; the median of their largest aligned
        correlations with any training frame, and how many exceed 0.8 and 0.95.
    """
    test = split.test[:: max(len(split.test) // _COMPARED, 1)]
    ours, others = (_of_unit_spread(dataset.thumbnails(rows)) for rows in (test, split.training))
    found = largest_aligned_correlation(ours, others)
    found = found[np.isfinite(found)]
    return {
        "frames": len(found),
        "median of the largest correlation": float(np.median(found)) if len(found) else None,
        **{f"above {limit}": int((found > limit).sum()) for limit in (0.8, 0.95)},
    }


def _of_unit_spread(thumbnails: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return thumbnails / thumbnails.std(axis=1, keepdims=True)


def leak_rows(
    dataset: SolarData,
    *,
    build_network: Callable[[], keras.Model],
    options: TrainingOptions,
    n_draws: int,
) -> list[dict]:
    """Train and test a network and hand-made features on each split.

    Returns
    -------
    list of dict
        ``split``, ``audit`` (what it says against the split), ``frames``, ``observations`` of the
        test set that training has too, ``network`` and ``hand features``: balanced accuracy with
        its interval over observations; ``network above the first split``, with a paired interval.
    """
    arrays = dataset.read(np.arange(len(dataset.table)))
    images, truth = arrays["image"][..., 0], arrays["label"].argmax(axis=1)
    rows, first = [], None
    for name, split in leak_splits(dataset, options.seed).items():
        checks = audit(dataset, split, seed=options.seed).checks
        refusal = [check.detail for check in checks if not check.passed]
        network = build_network()
        fit_plainly(
            network,
            keras.losses.CategoricalCrossentropy(),
            dataset=dataset,
            split=split,
            options=options,
        )
        batches = dataset.test_batches(split, batch_size=_FRAMES_AT_ONCE)
        by_hand = HandFeatureClassifier()
        by_hand.fit(images[split.training], truth[split.training])
        given = {
            "network": predict(network, batches),
            "hand features": by_hand.predict_proba(images[split.test]),
        }
        groups = dataset.table.group
        shared = np.isin(groups[split.test], groups[split.training])
        row = {
            "split": name,
            "audit": "; ".join(refusal) or "passed",
            "frames": len(split.test),
            "frames whose observation is in training": int(shared.sum()),
            "likeness": likeness(dataset, split),
        }
        options_of_scores = {"classes": CLASSES, "n_draws": n_draws}
        for way, probability in given.items():
            of = _of_the_five(probability, truth[split.test], groups[split.test])
            row[way] = class_scores(*of, **options_of_scores)["balanced accuracy"].to_dict()
            if way == "network":
                first = first or of
                above = difference_of_sets(of, first, **options_of_scores)["balanced accuracy"]
                row[_ABOVE] = above.to_dict() if rows else None
        rows.append(row)
    return rows


def _of_the_five(
    probability: np.ndarray, truth: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probability, truth and groups of the frames of the five classes."""
    five = truth < len(CLASSES)
    return given_one_of_the_classes(probability[five]), truth[five], groups[five]


def write_leak_section(folder: Path, rows: list[dict], provenance: dict) -> None:
    """Show the table."""
    folder.mkdir(parents=True, exist_ok=True)
    header = ["split", "test frames", "of observations in training"]
    header += ["like a training frame (> 0.95)", "network", "hand features"]
    header += ["network above the first line"]
    cells = [
        [
            row["split"],
            str(row["frames"]),
            str(row["frames whose observation is in training"]),
            f"{row['likeness']['above 0.95']} of {row['likeness']['frames']}",
            *(str(_score(row[way])) for way in ("network", "hand features")),
            str(_score(row[_ABOVE])) if row[_ABOVE] else "",
        ]
        for row in rows
    ]
    refused = [f"{row['split']}: {row['audit']}." for row in rows if row["audit"] != "passed"]
    section = Section(
        title="What a random split would have claimed",
        order=70,
        text=[
            "Declared demonstration on other scenes (synthetic): "
            f"{provenance['observations']} observations of "
            f"{provenance['frames_per_observation']} frames each at the harder difficulty, where "
            "remembering an observation pays. Balanced accuracy of the five classes, 95 % interval "
            "over observations, drawn together for the difference. Only the first line is a score.",
            "The audit refuses the others. " + " ".join(refused),
        ],
        tables=[Table("The same scenes, the same classifiers, three splits.", header, cells)],
    )
    write_section(folder, section)


def _score(values: dict[str, float | None]) -> Score:
    """Return a score back from its JSON types."""
    return Score(*(np.nan if values[k] is None else values[k] for k in ("value", "low", "high")))
