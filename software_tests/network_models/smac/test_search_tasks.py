"""The suite's own problems as a search tries them: what is searched is used, the test set not."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from dataset_models.audit import audit
from dataset_models.streaming import Batches
from network_models.smac.optimize import _options
from network_models.smac.search import Searched
from network_models.smac.search_config import SearchConfig
from network_models.smac.search_space import build_space, searchable_options
from network_models.smac.search_task import SearchTask
from network_models.training.fitting import compile_network
from network_models.training.problem import TooLarge, open_problem
from network_models.xray_flux_forecast.experiment import bins_of
from tools.command_line import config_from, config_parser

HISTORY = "network_models/xray_flux_forecast/history_only.py"
IMAGES = "network_models/xray_flux_forecast/fdl1/aia_only.py"
BOTH = "network_models/xray_flux_forecast/fdl1/aia_and_goes.py"
EMISSION = "network_models/dem_regression/train.py"
SCENES = "network_models/image_classification/slic/train.py"

SMALL = {
    HISTORY: {"virtual_years": 8.0, "cadence_h": 48, "history_h": 96},
    # 64 pixels a side, as in a training: the cells of a region depend on it
    IMAGES: {"virtual_years": 1.5, "cadence_h": 96, "history_h": 96},
    BOTH: {"virtual_years": 1.5, "cadence_h": 96, "history_h": 96},
    EMISSION: {"steps_per_epoch": 3, "library": 60, "block_pixels": 128},
    SCENES: {"observations": 60, "size": 32},
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Open a problem in a small size, once."""
    folder, cache = tmp_path_factory.mktemp("stores"), {}

    def give(script):
        if script not in cache:
            problem = open_problem(script)
            stores = {"stores": str(folder)} if script in (IMAGES, BOTH) else {}
            searched = problem.search
            small = {**searched.architecture, **searched.options, **SMALL[script], **stores}
            config = problem.config(**small)
            cache[script] = config, SearchTask(problem, config)
        return cache[script]

    return give


def built(task, config):
    """Return all that a configuration decides: network, optimizer, batches."""
    keras.backend.clear_session()
    problem = task.problem
    network, options = problem.build(config, task.data), problem.options(config)
    batches = task.seen.training_batches(task.split, batch_size=options.batch_size, seed=0)
    optimizer = None if problem.optimizer is None else problem.optimizer(config, len(batches))
    compile_network(network, problem.loss(config, task.data), options, len(batches), optimizer)
    optimizer = network.optimizer.get_config() | {"kind": type(network.optimizer).__name__}
    return json.dumps(
        [network.get_config(), optimizer, options.batch_size], sort_keys=True, default=str
    )


def neighbours(base, name, ranges):
    """Return two configurations with other values of an option, and one to compare them with."""
    r = ranges[name]
    if r.when is not None and not r.when.holds(getattr(base, r.when.name)):
        parent = ranges[r.when.name]
        base = replace(base, **{r.when.name: next(v for v in parent.values if r.when.holds(v))})
    own = getattr(base, name)
    values = [v for v in r.values if v != own] or [r.low + 0.25 * (r.high - r.low), r.high]
    return base, [replace(base, **{name: value}) for value in {values[0], values[-1]}]


@pytest.mark.parametrize("script", [*SMALL])
def test_every_searched_option_changes_what_is_built(opened, script):
    # the original searched strides that no network used
    base, task = opened(script)
    ranges = searchable_options(type(base))
    assert len(ranges) >= 4
    own = built(task, base)
    assert built(task, base) == own  # nothing else changes it
    for name in ranges:
        start, others = neighbours(base, name, ranges)
        before = own if start == base else built(task, start)
        for config in others:
            assert built(task, config) != before, (name, getattr(config, name))


@pytest.mark.parametrize("script", [*SMALL])
def test_what_is_trained_is_the_network_that_was_searched(opened, script):
    base, task = opened(script)
    problem = open_problem(script)
    ranges = searchable_options(type(base))
    name = next(iter(ranges))  # one option searched, all others as the search has them
    _, (searched, *_) = neighbours(base, name, ranges)
    space = build_space(base)
    found = Searched(problem, base, space, SearchConfig())
    words = _options(found, {}, {name: getattr(searched, name)}, False)
    parser = config_parser(problem.config, "")
    trained = config_from(problem.config, parser.parse_args(words))
    assert built(task, trained) == built(task, searched)


class Watched:
    """A dataset that notes which rows are read."""

    def __init__(self, dataset):
        self._dataset, self.rows = dataset, set()

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def read(self, indices):
        self.rows |= set(np.asarray(indices).tolist())
        return self._dataset.read(indices)

    def training_batches(self, split, *, batch_size, seed):
        return Batches(self, split.training, batch_size=batch_size, seed=seed)


def watch(task, monkeypatch, kind):
    watched = kind(task.dataset)
    monkeypatch.setattr(task, "data", replace(task.data, dataset=watched))
    monkeypatch.setattr(task, "seen", watched)
    return watched


def test_a_trial_minimises_the_validation_score_and_never_reads_the_test_set(opened, monkeypatch):
    # the original minimised the training loss
    config, task = opened(HISTORY)
    watched = watch(task, monkeypatch, Watched)
    result = task.run(config, epochs=2, share=1.0, fold=None, seed=4, max_parameters=10**6)
    read = np.array(sorted(watched.rows))
    assert set(task.split.validation) <= set(read.tolist())
    assert not np.isin(task.split.test, read).any()
    # the log score by hand: the network of the same seed, trained and applied again
    keras.backend.clear_session()
    keras.utils.set_random_seed(4)
    network = task.problem.build(config, task.data)
    options = replace(task.problem.options(config), epochs=2, seed=4)
    batches = Batches(task.dataset, task.split.training, batch_size=options.batch_size, seed=4)
    compile_network(network, task.problem.loss(config, task.data), options, len(batches))
    for epoch in range(2):
        batches.set_epoch(epoch)
        for k in range(len(batches)):
            network.train_on_batch(*batches[k])
    rows = task.split.validation
    output = network.predict(Batches(task.dataset, rows, batch_size=512), verbose=0)
    came = bins_of(task.data).index(task.dataset.log10_peak_flux[rows])
    chance = output[np.arange(len(rows)), came]
    # two ways of batching the same float32 arithmetic
    assert result["cost"] == pytest.approx(-np.log(chance).mean(), rel=1e-4)
    assert result["cost"] != pytest.approx(result["training_loss"], rel=1e-3)


def test_trials_repeat_to_the_last_digit(opened):
    config, task = opened(EMISSION)
    runs = [
        task.run(config, epochs=1, share=1.0, fold=None, seed=1, max_parameters=10**6)["cost"]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_a_share_of_the_training_set_is_spread_over_it(opened, monkeypatch):
    config, task = opened(HISTORY)
    watched = watch(task, monkeypatch, Watched)
    result = task.run(config, epochs=1, share=0.1, fold=None, seed=0, max_parameters=10**6)
    seen = np.intersect1d(sorted(watched.rows), task.split.training)
    n = len(task.split.training)
    assert result["samples"] == len(seen) == round(0.1 * n)
    assert seen[0] == task.split.training[0]
    assert seen[-1] == task.split.training[-1]


def test_networks_that_are_too_large_are_not_trained(opened):
    config, task = opened(HISTORY)
    with pytest.raises(TooLarge, match="parameters, more than the limit of 100"):
        task.run(config, epochs=10**6, share=1.0, fold=None, seed=0, max_parameters=100)


class Broken(Watched):
    """A dataset without a single number."""

    def read(self, indices):
        arrays = self._dataset.read(indices)
        return {name: values * np.float32("nan") for name, values in arrays.items()}


def test_a_loss_that_is_not_finite_is_no_score(opened, monkeypatch):
    config, task = opened(EMISSION)
    watch(task, monkeypatch, Broken)
    with pytest.raises(FloatingPointError, match="the loss became"):
        task.run(config, epochs=1, share=1.0, fold=None, seed=0, max_parameters=10**7)


@pytest.mark.parametrize("script", [HISTORY, EMISSION, SCENES])
def test_folds_cover_what_is_known_and_pass_the_audit(opened, script):
    _, task = opened(script)
    n = 3 if script != HISTORY else 2
    folds = [task.fold(k, n) for k in range(n)]
    validated = np.concatenate([fold.validation for fold in folds])
    assert len(np.unique(validated)) == len(validated)
    known = np.concatenate([task.split.training, task.split.validation])
    assert len(np.intersect1d(validated, known)) > 0.9 * len(known)  # some are purged
    for fold in folds:
        assert not np.isin(fold.training, task.split.test).any()
        assert not np.isin(fold.validation, task.split.test).any()
        audit(task.dataset, fold).require()


def test_too_many_folds_are_a_sentence(opened):
    for script, says in ((HISTORY, "years before the test set"), (SCENES, "observations outside")):
        _, task = opened(script)
        with pytest.raises(ValueError, match=f"folds need at least .* {says}"):
            task.fold(0, 40)


@pytest.mark.parametrize("script", [EMISSION, SCENES])
def test_a_search_has_other_data_than_a_training(script):
    problem = open_problem(script)
    seed = "seed" if script == EMISSION else "scene_seed"
    assert problem.search.options[seed] != getattr(problem.config(), seed)


@pytest.mark.parametrize("script", [*SMALL])
def test_failures_cost_more_than_the_first_guess(opened, script):
    config, task = opened(script)
    problem = open_problem(script)
    result = task.run(config, epochs=1, share=0.1, fold=None, seed=0, max_parameters=10**9)
    assert np.isfinite(problem.search.crash_cost)
    assert result["cost"] < problem.search.crash_cost
