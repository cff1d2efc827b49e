"""Search spaces: made from the options, nothing in them that the network doesn't use."""

import dataclasses
import pickle
from dataclasses import dataclass, replace

import pytest

from network_models.smac.search_space import (
    build_space,
    count_configurations,
    plain_values,
    searchable_options,
    vector_of,
)
from network_models.training.problem import open_problem, searchable_scripts
from software_tests.network_models.smac.toy_problem import ToyConfig
from tools.options import option
from tools.search_range import among, between


def default_of(script):
    problem = open_problem(script)
    return problem.config(**{**problem.search.architecture, **problem.search.options})


@pytest.mark.parametrize("script", searchable_scripts())
def test_spaces_of_all_scripts_survive_pickling(script):
    # ConfigSpace 1.2.2: log integers and normal distributions differ from their pickled copies
    space = build_space(default_of(script))
    assert pickle.loads(pickle.dumps(space)) == space
    for name, parameter in space.items():
        assert pickle.loads(pickle.dumps(parameter)) == parameter, name
    for configuration in space.sample_configuration(50):
        assert pickle.loads(pickle.dumps(configuration)) == configuration


@pytest.mark.parametrize("script", searchable_scripts())
def test_sampled_values_make_valid_options(script):
    base = default_of(script)
    space = build_space(base)
    for configuration in [space.get_default_configuration(), *space.sample_configuration(100)]:
        values = plain_values(configuration)
        config = replace(base, **values)  # __post_init__ checks them
        for name, value in values.items():
            assert type(value) is type(getattr(base, name)), name
            assert getattr(config, name) == value


@pytest.mark.parametrize("script", searchable_scripts())
def test_the_default_is_the_script_s_own(script):
    base = default_of(script)
    values = plain_values(build_space(base).get_default_configuration())
    assert values == {name: getattr(base, name) for name in values}


def test_conditions_hold_in_every_sample():
    space = build_space(ToyConfig())
    for configuration in space.sample_configuration(200):
        values = plain_values(configuration)
        assert ("width" in values) == (values["depth"] >= 1)
        assert ("momentum" in values) == (values["optimizer"] == "sgd")


def test_fixed_options_are_not_searched_and_their_conditions_count():
    space = build_space(ToyConfig(optimizer="sgd"), fixed=["optimizer"])
    assert {"optimizer"}.isdisjoint(space)
    assert "momentum" in space
    assert all("momentum" in plain_values(c) for c in space.sample_configuration(20))
    assert "momentum" not in build_space(ToyConfig(optimizer="adam"), fixed=["optimizer"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"names": ["momentum"]}, "counts only where optimizer == sgd, but optimizer is fixed"),
        ({"names": ["epochs"]}, "can't search epochs: expected some of depth, width"),
        ({"names": ["rate"], "fixed": ["rate"]}, "searched and given a value"),
        ({"fixed": [*searchable_options(ToyConfig)]}, "nothing is left to search"),
    ],
)
def test_what_can_t_be_searched_is_a_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        build_space(ToyConfig(), **options)


def test_a_default_outside_its_range_is_a_sentence():
    with pytest.raises(ValueError, match="width is 33, but is searched among 8, 16, 32, 64"):
        build_space(ToyConfig(width=33))
    with pytest.raises(ValueError, match="rate is 2.0, but is searched between 0.0001 and 1"):
        build_space(ToyConfig(rate=2.0))


def test_impossible_conditions_are_refused():
    @dataclass(frozen=True)
    class Impossible:
        layers: int = option(1, "", search=among(1, 2))
        units: int = option(8, "", search=among(8, 16, when=("layers", ">", 2)))

    with pytest.raises(ValueError, match="units counts only where layers > 2, .* impossible"):
        build_space(Impossible())

    @dataclass(frozen=True)
    class Unknown:
        units: int = option(8, "", search=among(8, 16, when=("layers", ">", 2)))

    with pytest.raises(ValueError, match="there is no such option"):
        build_space(Unknown())

    @dataclass(frozen=True)
    class OfANumber:
        rate: float = option(0.1, "", search=between(0.0, 1.0))
        units: int = option(8, "", search=among(8, 16, when=("rate", ">", 0.5)))

    with pytest.raises(ValueError, match="rate is no choice"):
        build_space(OfANumber())

    @dataclass(frozen=True)
    class Nothing:
        units: int = option(8, "")

    with pytest.raises(ValueError, match="no option that can be searched"):
        build_space(Nothing())


def test_a_condition_that_always_holds_is_none():
    @dataclass(frozen=True)
    class Always:
        layers: int = option(1, "", search=among(1, 2))
        units: int = option(8, "", search=among(8, 16, when=("layers", ">=", 1)))

    assert not build_space(Always()).conditions


def test_configurations_are_counted():
    ranges = searchable_options(ToyConfig)
    few = {name: ranges[name] for name in ("depth", "width", "optimizer")}
    # depth 0 has no width: 1 + 3 x 4, and each with two optimizers
    assert count_configurations(few) == 26
    assert count_configurations(ranges) is None  # a rate is endless


def test_places_in_ranges():
    ranges = {n: r for n, r in searchable_options(ToyConfig).items() if n in ("depth", "rate")}
    base = ToyConfig()
    assert vector_of({"depth": 3, "rate": 1e-2}, ranges, base) == pytest.approx([1.0, 0.5])
    assert vector_of({"depth": 0}, ranges, base) == pytest.approx([0.0, 0.5])  # the default's place


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("network_models/xray_flux_forecast/fdl1/aia_nly.py", "there is no training script"),
        (
            "network_models/xray_flux_forecast/forecast.py",
            "is no training script: it has no PROB",
        ),
    ],
)
def test_a_script_without_a_problem_is_a_sentence(script, says):
    with pytest.raises(ValueError, match=says):
        open_problem(script)


def test_all_options_that_can_be_searched_are_options():
    for script in searchable_scripts():
        fields = {f.name for f in dataclasses.fields(open_problem(script).config)}
        assert set(searchable_options(open_problem(script).config)) <= fields
