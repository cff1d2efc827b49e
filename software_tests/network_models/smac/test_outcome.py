"""What a search found: the best configuration, the curve, the tables."""

import csv
import json

import numpy as np
import pytest

from network_models.smac.importance import option_importance
from network_models.smac.outcome import (
    anytime_curve,
    best_configuration,
    best_of_budgets,
    best_rival,
    counts_by_status,
    mean_costs,
    total_budget,
    without,
    write_tables,
)
from network_models.smac.search_space import searchable_options
from network_models.smac.trials import Trial, TrialResult
from software_tests.network_models.smac.toy_problem import ToyConfig


def trial(number, depth, budget, cost, *, fold=None, status="success"):
    values = {"depth": depth, "rate": 0.01}
    result = TrialResult(status, cost, "" if status == "success" else "why", 0.0, 2.0,
                         10.0 * (number + 1), {"parameters": 100 * depth})  # fmt: skip
    return Trial(number, values, budget, fold, 0), result


def test_the_best_is_chosen_at_the_largest_budget():
    finished = [
        trial(0, 1, 1.0, 0.1),  # better, but of a smaller budget
        trial(1, 2, 9.0, 0.5),
        trial(2, 3, 9.0, 0.4),
        trial(3, 0, 9.0, 0.0, status="crash"),
    ]
    best = best_configuration(finished)
    assert best.values["depth"] == 3
    assert (best.cost, best.budget, best.n_trials) == (0.4, 9.0, 1)
    assert best_configuration(finished[3:]) is None


def test_every_budget_has_its_best():
    finished = [
        trial(0, 1, 1.0, 0.1),
        trial(1, 2, 1.0, 0.2),
        trial(2, 2, 9.0, 0.5),
        trial(3, 0, 3.0, 0.0, status="crash"),
    ]
    best = best_of_budgets(finished)
    assert [(b.values["depth"], b.budget) for b in best] == [(2, 9.0), (1, 1.0)]
    assert best_of_budgets([]) == []
    others = best_of_budgets(without(finished, finished[1][0].values))
    assert [(b.values["depth"], b.budget) for b in others] == [(1, 1.0)]


def test_a_rival_is_compared_on_the_folds_that_both_have():
    finished = [
        trial(0, 1, 9.0, 0.5, fold=0),
        trial(1, 1, 9.0, 0.9, fold=1),
        trial(2, 2, 9.0, 0.6, fold=1),  # .3 better than depth 1 on fold 1
        trial(3, 3, 9.0, 0.4, fold=0),  # .1 better
        trial(4, 0, 9.0, 0.0, fold=0, status="crash"),
    ]
    own = {"depth": 1, "rate": 0.01}
    assert best_rival(finished, own)["depth"] == 2
    assert best_rival(finished[:2], own) is None
    assert best_rival(finished, {"depth": 9}) is None


def test_folds_are_averaged_and_a_lucky_single_fold_does_not_win():
    finished = [
        trial(0, 1, 9.0, 0.5, fold=0),
        trial(1, 1, 9.0, 0.7, fold=1),
        trial(2, 2, 9.0, 0.1, fold=0),  # tried on one fold only
        trial(3, 3, 9.0, 0.4, fold=0),
        trial(4, 3, 9.0, 0.6, fold=1),
    ]
    best = best_configuration(finished, folds=2)
    assert best.values["depth"] == 3
    assert best.cost == pytest.approx(0.5)
    assert best.n_trials == 2


def test_the_curve_falls_and_counts_all_passes():
    finished = [
        trial(0, 1, 1.0, 0.9),
        trial(1, 1, 9.0, 0.5),
        trial(2, 2, 3.0, 0.1),
        trial(3, 2, 9.0, 0.6),
        trial(4, 3, 9.0, 0.3),
    ]
    spent, cost = anytime_curve(finished)
    assert spent.tolist() == [10.0, 31.0]
    assert cost.tolist() == [0.5, 0.3]
    assert total_budget(finished) == 31.0
    assert len(anytime_curve([])[0]) == 0


def test_the_curve_of_folds_counts_whole_configurations_and_never_rises():
    finished = [
        trial(0, 1, 9.0, 0.1, fold=0),
        trial(1, 1, 9.0, 0.9, fold=1),  # 0.5 on both
        trial(2, 2, 9.0, 0.2, fold=0),
        trial(3, 3, 9.0, 0.5, fold=1),
        trial(4, 3, 9.0, 0.3, fold=0),  # 0.4
        trial(5, 2, 9.0, 0.8, fold=1),  # 0.5 again
    ]
    spent, cost = anytime_curve(finished, folds=2)
    assert spent.tolist() == [18.0, 45.0]
    assert cost == pytest.approx([0.5, 0.4])
    assert sorted(n for _, _, n in mean_costs(finished, 9.0)) == [2, 2, 2]


def test_tables_hold_every_trial(tmp_path):
    finished = [trial(0, 1, 1.0, 0.25), trial(1, 2, 3.0, 9.0, status="timeout")]
    write_tables(tmp_path, "trials", finished, ["depth", "rate", "momentum"])
    with open(tmp_path / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["success", "timeout"]
    assert float(rows[0]["cost"]) == 0.25
    assert rows[0]["parameters"] == "100"
    assert rows[1]["reason"] == "why"
    assert rows[1]["momentum"] == ""
    table = json.loads((tmp_path / "trials.json").read_text())
    assert table["counts"] == counts_by_status(finished)
    assert table["trials"][1]["budget"] == 3.0


def test_importance_finds_the_option_that_counts():
    generator = np.random.default_rng(3)
    ranges = {n: r for n, r in searchable_options(ToyConfig).items() if n in ("depth", "rate")}
    finished = []
    for k in range(60):
        depth, rate = int(generator.integers(4)), float(10 ** generator.uniform(-4, 0))
        result = TrialResult("success", float(depth), "", 0.0, 1.0, float(k), {})
        finished.append((Trial(k, {"depth": depth, "rate": rate}, 9.0, None, 0), result))
    found = option_importance(finished, ranges, ToyConfig(), seed=0)
    assert found.names == ["depth", "rate"]
    # shuffling what alone decides doubles the variance that is missed; the other changes nothing
    assert found.loss[0] == pytest.approx(2.0, abs=0.4)
    assert abs(found.loss[1]) < 0.05
    assert found.explained > 0.95


def test_importance_of_noise_explains_nothing():
    generator = np.random.default_rng(3)
    ranges = {n: r for n, r in searchable_options(ToyConfig).items() if n in ("depth", "rate")}
    finished = [
        (
            Trial(k, {"depth": int(generator.integers(4)), "rate": 0.5}, 9.0, None, 0),
            TrialResult("success", float(generator.normal()), "", 0.0, 1.0, float(k), {}),
        )
        for k in range(60)
    ]
    assert option_importance(finished, ranges, ToyConfig(), seed=0) is None  # 4 configurations
    assert option_importance(finished[:14], ranges, ToyConfig(), seed=0) is None
