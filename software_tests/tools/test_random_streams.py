import pytest

from tools.random_streams import random_stream


def test_streams_depend_on_seed_and_name_only():
    first = random_stream(3, "births").random(4)
    random_stream(3, "lives").random(100)
    assert (random_stream(3, "births").random(4) == first).all()
    assert (random_stream(3, "lives").random(4) != first).all()
    assert (random_stream(4, "births").random(4) != first).all()


def test_names_are_kept_apart():
    assert random_stream(1, "a", "b").random() != random_stream(1, "ab").random()
    assert random_stream(1, "epoch", 1).random() != random_stream(1, "epoch", 2).random()


@pytest.mark.parametrize(("seed", "names"), [(-1, ("a",)), (1, ())])
def test_bad_arguments_are_refused(seed, names):
    with pytest.raises(ValueError, match="seed|name"):
        random_stream(seed, *names)
