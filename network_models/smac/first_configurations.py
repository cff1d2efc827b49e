"""The first configurations of a search: the script's own, then some at random."""

from __future__ import annotations

from ConfigSpace import Configuration
from smac.initial_design import RandomInitialDesign

__all__ = ["DefaultFirst"]


class DefaultFirst(RandomInitialDesign):
    """SMAC's random design behind the space's default, which SMAC would put last."""

    def select_configurations(self) -> list[Configuration]:
        """Give the configurations, each once."""
        chosen = [self._configspace.get_default_configuration(), *super().select_configurations()]
        return list(dict.fromkeys(chosen))[: self._n_configs]
