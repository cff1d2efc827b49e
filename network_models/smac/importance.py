"""Which options a search's scores depend on, by a forest that has to prove itself first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from network_models.smac.search_space import vector_of
from network_models.smac.trials import Trial, TrialResult
from tools.options import Trainable
from tools.search_range import SearchRange

__all__ = ["Importance", "option_importance"]

_FEWEST = 15  # successful trials
_TREES, _SHUFFLES, _PARTS = 100, 10, 5


@dataclass(frozen=True)
class Importance:
    """What a forest lost when options were shuffled.

    Attributes
    ----------
    names : list of str
        Options, and ``budget`` where there are several.
    loss, spread : (option,) float
        Of the explained variance of trials that the forest had not seen, and its standard deviation
        over parts and shuffles.
    explained : float
        Share of the variance of such trials that the forest explains: where it is not above 0, the
        losses mean nothing.
    n_trials : int
    """

    names: list[str]
    loss: np.ndarray
    spread: np.ndarray
    explained: float
    n_trials: int


def option_importance(
    finished: Sequence[tuple[Trial, TrialResult]],
    ranges: Mapping[str, SearchRange],
    base: Trainable,
    *,
    seed: int,
) -> Importance | None:
    """Give each option's importance by shuffling (Breiman 2001), on trials left out in turn.

    Returns
    -------
    Importance or None
        None below 15 successful trials.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import GroupKFold

    good = [(trial, result) for trial, result in finished if result.is_success]
    if len(good) < _FEWEST:
        return None
    names = [*ranges]
    x = np.array([vector_of(trial.values, ranges, base) for trial, _ in good])
    budgets = np.array([trial.budget for trial, _ in good])
    if len(np.unique(budgets)) > 1:
        names.append("budget")
        x = np.column_stack([x, np.log(budgets)])
    y = np.array([result.cost for _, result in good])
    groups = np.unique([str(sorted(t.values.items())) for t, _ in good], return_inverse=True)[1]
    if len(np.unique(groups)) < _PARTS or y.std() == 0:
        return None
    generator = np.random.default_rng(seed)
    losses, residual, total = [], 0.0, 0.0
    for known, new in GroupKFold(_PARTS).split(x, y, groups):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed)
        forest.fit(x[known], y[known])
        squared = np.square(y[new] - forest.predict(x[new])).mean()
        residual += squared * len(new)
        total += np.square(y[new] - y[known].mean()).sum()
        for _ in range(_SHUFFLES):
            row = []
            for k in range(len(names)):
                shuffled = x[new].copy()
                shuffled[:, k] = generator.permutation(shuffled[:, k])
                row.append(np.square(y[new] - forest.predict(shuffled)).mean() - squared)
            losses.append(row)
    losses = np.array(losses) / y.var()
    explained = 1 - residual / total
    return Importance(names, losses.mean(axis=0), losses.std(axis=0), float(explained), len(good))
