"""A stage of a search: the journal is the search, and nothing is lost or counted twice."""

import os
from collections import Counter

import numpy as np
import pytest

from network_models.smac.outcome import counts_by_status
from network_models.smac.proposers import FinalsProposer, RandomProposer, SearchPlan, SMACProposer
from network_models.smac.search_space import build_space
from network_models.smac.stage import Stage
from network_models.smac.trials import Trial, TrialResult, finished_trials
from software_tests.network_models.smac.toy_problem import ToyConfig, formula
from tools.long_work.journal import Journal

BASE = ToyConfig()


class Killed(BaseException):
    """Ends a search as a kill does."""


class Now:
    """A promise that is kept already."""

    def __init__(self, answer):
        self.answer = answer

    def done(self):
        return True

    def result(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Formula:
    """Workers that give the toy's formula, and some failures by number."""

    def __init__(self, slots=1, failures=(), lives=10**9):
        self.slots, self.failures, self.lives, self.calls = slots, dict(failures), lives, 0

    def n_slots(self):
        return self.slots

    def submit(self, request, name):
        self.calls += 1
        if self.calls > self.lives:
            raise Killed
        trial = request["trial"]
        failure = self.failures.get(trial.number)
        if isinstance(failure, Exception):
            return Now(failure)
        if failure:
            return Now({"status": failure, "reason": f"it was {failure}"})
        cost = formula(ToyConfig(**trial.values), trial.budget, trial.fold)
        return Now(
            {"status": "success", "cost": cost, "started": 1.0, "ended": 3.0, "parameters": 7}
        )


def plan_of(mode, seed=0):
    return SearchPlan(mode, smallest=1.0, largest=9.0, folds=3, seed=seed, crash_cost=9.0)


def proposer_of(mode, kind=SMACProposer, seed=0):
    return kind(build_space(BASE, seed=seed), plan_of(mode, seed))


def run(folder, workers, *, mode="budgets", trials=20, kind=SMACProposer, seconds=1e9):
    with Journal(folder / "trials.journal") as journal, proposer_of(mode, kind) as proposer:
        stage = Stage(
            name="trials",
            proposer=proposer,
            journal=journal,
            most_trials=trials,
            most_seconds=seconds,
            crash_cost=9.0,
            request=lambda trial: {"trial": trial},
            told=lambda finished: None,
        )
        return stage.run(workers)


def content(finished):
    return [(t.number, t.values, t.budget, t.fold, r.status, r.cost) for t, r in finished]


@pytest.mark.parametrize("mode", ["budgets", "folds", "blackbox"])
def test_a_search_goes_on_after_kills(tmp_path, mode):
    failures = {2: "timeout", 7: "memory", 9: "crash"}
    (tmp_path / "whole").mkdir()
    whole = content(run(tmp_path / "whole", Formula(failures=failures), mode=mode))
    (tmp_path / "killed").mkdir()
    for lives in (1, 4, 2, 5, 3):  # at most so many trials before each of five kills
        with pytest.raises(Killed):
            run(tmp_path / "killed", Formula(failures=failures, lives=lives), mode=mode)
        with Journal(tmp_path / "killed/trials.journal") as journal:
            before = content(finished_trials(r for _, r in journal.entries()))
    again = content(run(tmp_path / "killed", Formula(failures=failures), mode=mode))
    assert again[: len(before)] == before  # what was finished stays
    assert [number for number, *_ in again] == [*range(20)]
    # as many trials of each budget and each outcome as without a kill
    assert Counter(b for _, _, b, *_ in again) == Counter(b for _, _, b, *_ in whole)
    assert Counter(row[4] for row in again) == Counter(row[4] for row in whole)


def test_a_journal_that_a_kill_cut_short_anywhere_is_gone_on_with(tmp_path, generator):
    (tmp_path / "whole").mkdir()
    whole = content(run(tmp_path / "whole", Formula(), trials=12))
    data = (tmp_path / "whole/trials.journal").read_bytes()
    for place in generator.integers(len(data), size=5):
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / "trials.journal").write_bytes(data[:place])
        again = content(run(folder, Formula(), trials=12))
        with Journal(folder / "trials.journal") as journal:
            records = [record for _, record in journal.entries()]
        asked = [r["asked"]["number"] for r in records if "asked" in r]
        told = [r["told"] for r in records if "told" in r]
        assert sorted(asked) == sorted(told) == [*range(12)]  # no orphan, nothing twice
        assert content(finished_trials(records)) == again
        kept = data[:place].count(b'"told"')
        assert again[: kept - 1] == whole[: kept - 1]


def test_several_at_once_are_all_accounted_for(tmp_path):
    workers = Formula(slots=3, failures={1: "timeout", 4: "crash", 5: OSError("gone")})
    finished = run(tmp_path, workers)
    assert sorted(t.number for t, _ in finished) == [*range(20)]
    counts = counts_by_status(finished)
    assert counts == {
        "success": 17,
        "timeout": 1,
        "memory": 0,
        "too large": 0,
        "diverged": 0,
        "crash": 2,
    }
    failed = {t.number: r for t, r in finished if not r.is_success}
    assert failed[1].reason == "it was timeout"
    assert failed[5].reason == "its worker was lost (OSError)"
    assert all(r.cost == 9.0 for r in failed.values())
    assert all(np.isfinite(r.cost) for _, r in finished)


def test_more_trials_go_on_with_a_finished_search(tmp_path):
    first = content(run(tmp_path, Formula(), trials=10))
    workers = Formula()
    more = content(run(tmp_path, workers, trials=20))
    assert more[:10] == first
    assert len(more) == 20
    assert workers.calls == 10


def test_time_that_is_over_ends_a_search(tmp_path):
    finished = run(tmp_path, Formula(), seconds=-1.0)
    assert finished == []


def test_hyperband_spends_few_passes_on_most(tmp_path):
    finished = run(tmp_path, Formula(), trials=40)
    count = Counter(t.budget for t, _ in finished)
    assert set(count) == {1.0, 3.0, 9.0}
    assert count[1.0] > count[3.0] > count[9.0] > 0
    assert finished[0][0].values == {
        "depth": 2,
        "width": 32,
        "rate": 1e-2,
        "optimizer": "adam",
    }  # the script's own comes first


def test_folds_are_raced_over(tmp_path):
    finished = run(tmp_path, Formula(), mode="folds", trials=30)
    tried = Counter(str(sorted(t.values.items())) for t, _ in finished)
    assert {t.fold for t, _ in finished} == {0, 1, 2}
    assert {t.budget for t, _ in finished} == {9.0}
    assert min(tried.values()) == 1
    assert max(tried.values()) == 3


def test_smac_learns_from_what_it_is_told(tmp_path):
    """A quarter of what it proposes is far better than half of what it drew first."""
    costs = [r.cost for _, r in run(tmp_path, Formula(), mode="blackbox", trials=30)]
    # its proposals follow Python's hash seed: in 16 processes the difference was -0.56 to -1.23,
    # where the median, of which exploring takes a half in some, was -0.2 to -0.77
    assert np.quantile(costs[9:], 0.25) < np.median(costs[:9]) - 0.3
    assert min(costs) == min(costs[9:])


def test_random_search_tries_whole_configurations(tmp_path):
    finished = run(tmp_path, Formula(), mode="folds", trials=12, kind=RandomProposer)
    values = [t.values for t, _ in finished]
    assert values[0] == values[1] == values[2] != values[3]
    assert [t.fold for t, _ in finished] == [0, 1, 2] * 4


def test_finals_try_what_is_missing_in_full():
    finished = [
        (Trial(0, {"depth": 1}, 9.0, None, 0), None),
        (Trial(1, {"depth": 2}, 3.0, None, 0), None),
    ]
    finals = FinalsProposer(
        plan_of("budgets"), [{"depth": 2}, {"depth": 1}, {"depth": 2}], finished
    )
    assert finals.propose() == Trial(0, {"depth": 2}, 9.0, None, 0)
    assert finals.propose() is None
    finished = [(Trial(0, {"depth": 2}, 9.0, 1, 0), None)]
    again = FinalsProposer(plan_of("folds"), [{"depth": 2}], finished)
    again.repeat([{"values": {"depth": 2}, "fold": 2}])  # as its journal says
    assert [again.propose().fold, again.propose().fold, again.propose()] == [2, 0, None]


def test_a_search_in_which_nothing_works_stops(tmp_path):
    failures = dict.fromkeys(range(100), "timeout")
    workers = Formula(failures=failures)
    with pytest.raises(
        ValueError, match=r"first 5 trials all failed \(5 timeout\).*it was timeout"
    ):
        run(tmp_path, workers)
    assert workers.calls == 5
    again = Formula(failures=failures)
    with pytest.raises(ValueError, match="first 5 trials all failed"):
        run(tmp_path, again)
    assert again.calls == 0  # the journal says it already


def test_a_failure_after_a_success_ends_nothing(tmp_path):
    finished = run(tmp_path, Formula(failures=dict.fromkeys(range(1, 20), "crash")))
    assert len(finished) == 20


@pytest.mark.parametrize(("names", "count"), [(["depth"], 4), (["depth", "optimizer"], 8)])
def test_a_small_space_is_used_up_and_ends(tmp_path, names, count):
    space = build_space(BASE, names=names)
    with (
        Journal(tmp_path / "trials.journal") as journal,
        SMACProposer(space, plan_of("blackbox")) as proposer,
    ):
        stage = Stage("trials", proposer, journal, 40, 1e9, 9.0, lambda trial: {"trial": trial},
                      lambda finished: None)  # fmt: skip
        finished = stage.run(Formula())
    assert stage.is_exhausted
    assert len({str(t.values) for t, _ in finished}) == len(finished) == count


def test_a_damaged_journal_is_a_sentence(tmp_path):
    run(tmp_path, Formula(), trials=3)
    lines = (tmp_path / "trials.journal").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:20] + b"x" + lines[2][21:]  # the second trial
    (tmp_path / "trials.journal").write_bytes(b"".join(lines))
    with pytest.raises(ValueError, match="is damaged: it has the result of trial 1, but not"):
        run(tmp_path, Formula(), trials=3)


def test_a_foreign_journal_is_refused(tmp_path):
    with Journal(tmp_path / "trials.journal") as journal:
        foreign = Trial(0, {"depth": 7}, 1.0, None, 0).to_dict()
        journal.append([{"asked": foreign, "drawn": []}])
    with pytest.raises(ValueError, match="can't be gone on with: its trial 0 is not what"):
        run(tmp_path, Formula())


def test_without_workers_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("network_models.smac.stage.PATIENCE_S", 0.1)
    with pytest.raises(ValueError, match="no worker for .* start some by 'dask worker"):
        run(tmp_path, Formula(slots=0))


def test_results_travel_as_json():
    result = TrialResult(
        "success", 0.5, "", 1.0, 3.0, 2.0, {"parameters": 3, "process": os.getpid()}
    )
    assert TrialResult(**result.to_dict()) == result
    assert result.seconds == 2.0
