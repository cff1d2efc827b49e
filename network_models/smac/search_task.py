"""One trial of an architecture search: build, train on part of the training set, validate.

Nothing here ever reads the test set but ``test_losses``, which judges finished runs.
"""

from __future__ import annotations

import time
from dataclasses import replace

import keras
import numpy as np

from dataset_models.audit import audit
from dataset_models.solar_data import SolarData
from dataset_models.splits import Split
from network_models.files.safe_loading import load_network
from network_models.training.callbacks import EpochOrder
from network_models.training.fitting import compile_network, make_deterministic, network_losses
from network_models.training.problem import Problem, ProblemData, TooLarge, TrainingView
from tools.options import Trainable

__all__ = ["SearchTask"]


class SearchTask:
    """The data of a problem, opened once, and the networks that are tried on them.

    Parameters
    ----------
    problem : Problem
        With ``search``.
    config : Trainable
        The script's options that all trials share.
    """

    def __init__(self, problem: Problem, config: Trainable):
        self.problem, self.config = problem, config
        self.data: ProblemData = problem.open(config)
        view = TrainingView(self.data.dataset)
        if problem.training_view is not None:
            view = problem.training_view(config, self.data, True)
        self.seen = view.dataset

    @property
    def dataset(self) -> SolarData:
        """The data as they are validated and tested."""
        return self.data.dataset

    @property
    def split(self) -> Split:
        """The problem's own sets."""
        return self.data.split

    def fold(self, k: int, n: int) -> Split:
        """Return the k-th of n splits of what is not in the test set.

        Raises
        ------
        ValueError
            If there is too little for so many, or the problem has no folds.
        """
        folds = self.problem.search.folds
        if folds is None:
            raise ValueError("this problem has no folds: search it by --mode budgets or blackbox")
        return folds(self.config, self.data, k, n)

    def events(self, rows: np.ndarray) -> np.ndarray:
        """Return what test samples belong together, for the bootstrap: (sample,)."""
        events = self.problem.search.events
        if events is None:
            return self.dataset.table.group[rows]
        return events(self.config, self.data, rows)

    def audit(self, split: Split) -> None:
        """Look for leaks between the sets of a split.

        Raises
        ------
        LeakError
            If there is one.
        """
        audit(self.dataset, split).require()

    def run(
        self,
        config: Trainable,
        *,
        epochs: int,
        share: float,
        fold: tuple[int, int] | None,
        seed: int,
        max_parameters: int,
    ) -> dict:
        """Train a configuration and return its validation score.

        Parameters
        ----------
        config : Trainable
        epochs : int
            Passes through the part of the training set.
        share : float
            How large that part is, above 0 to 1: samples at equal distances.
        fold : (int, int), optional
            Which of how many splits; the problem's own if None.
        seed : int
            Of weights and batch order.
        max_parameters : int

        Returns
        -------
        dict
            ``cost`` (mean loss of the validation set after the last epoch), ``training_loss``,
            ``parameters``, ``samples``, ``training_s``.

        Raises
        ------
        TooLarge
            If the network has more parameters.
        FloatingPointError
            If the loss is not finite.
        """
        split = self.split if fold is None else self.fold(*fold)
        n = max(round(share * len(split.training)), 1)
        picked = np.unique(np.linspace(0, len(split.training) - 1, n).round().astype(int))
        split = replace(split, training=split.training[picked])
        data = replace(self.data, split=split)
        options = replace(self.problem.options(config), epochs=epochs, seed=seed)
        keras.backend.clear_session()
        make_deterministic(seed)
        start = time.monotonic()
        network = self.problem.build(config, data)
        if network.count_params() > max_parameters:
            raise TooLarge(
                f"the network has {network.count_params():,} parameters, more than the limit of "
                f"{max_parameters:,}"
            )
        loss = self.problem.loss(config, data)
        batches = self.seen.training_batches(
            split, batch_size=options.batch_size, seed=options.seed
        )
        make_optimizer = self.problem.optimizer
        optimizer = (
            None if make_optimizer is None else make_optimizer(config, len(batches) * epochs)
        )
        compile_network(network, loss, options, len(batches), optimizer)
        order = EpochOrder(batches)
        history = network.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[order])
        cost = float(network_losses(network, loss, self.dataset, split.validation).mean())
        known = float(history.history["loss"][-1])
        if not np.isfinite([cost, known]).all():
            raise FloatingPointError(f"the loss became {known}, that of the validation set {cost}")
        return {
            "cost": cost,
            "training_loss": known,
            "parameters": int(network.count_params()),
            "samples": len(split.training),
            "training_s": round(time.monotonic() - start, 2),
        }

    def test_losses(self, network_file: str, config: Trainable) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss of a finished network for each test sample, and the sample's event."""
        network, rows = load_network(network_file), self.split.test
        loss = self.problem.loss(config, self.data)
        return network_losses(network, loss, self.dataset, rows), self.events(rows)
