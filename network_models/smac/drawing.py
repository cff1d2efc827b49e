"""How SMAC draws configurations here: the script's own first, and those of a journal once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ConfigSpace import Configuration, ConfigurationSpace
from smac.initial_design import RandomInitialDesign
from smac.main.config_selector import ConfigSelector

from network_models.smac.search_space import plain_values

__all__ = ["DefaultFirst", "RecordedSelector"]

_REPEATS = 200  # so many draws of known configurations in a row: there is nothing else


class DefaultFirst(RandomInitialDesign):
    """SMAC's random design behind the space's default, which SMAC would put last."""

    def select_configurations(self) -> list[Configuration]:
        """Give the configurations, each once."""
        chosen = [self._configspace.get_default_configuration(), *super().select_configurations()]
        return list(dict.fromkeys(chosen))[: self._n_configs]


class RecordedSelector(ConfigSelector):
    """SMAC's selector, whose draws are noted, and given again where they were noted before.

    SMAC 2.4.1 draws other configurations in another process, since its local search goes through
    sets whose order depends on Python's hashes. All else that it does is a function of the draws
    and the results, so that a search whose draws are repeated comes to where it was.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.repeated: deque[Configuration] = deque()
        self.drawn: list[dict] = []

    def repeat(self, space: ConfigurationSpace, drawn: list[dict]) -> None:
        """Give these configurations next, before any new one."""
        self.repeated.extend(Configuration(space, values) for values in drawn)

    def __iter__(self) -> Iterator[Configuration]:
        """Give configurations without end, each once."""
        given: set[Configuration] = set()
        fresh, known = None, 0
        while known < _REPEATS:
            if self.repeated:
                configuration = self.repeated.popleft()
            else:
                fresh = super().__iter__() if fresh is None else fresh
                configuration = next(fresh, None)
                if configuration is None:
                    return
                if configuration in given:
                    known += 1
                    continue
            known = 0
            given.add(configuration)
            self.drawn.append(plain_values(configuration))
            yield configuration
