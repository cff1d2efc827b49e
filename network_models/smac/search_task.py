"""One trial of an architecture search: build, train on part of the training set, validate.

Nothing here ever reads the test set but ``test_losses``, which judges finished runs.
"""

from __future__ import annotations

import abc
import time
from dataclasses import replace

import keras
import numpy as np

from dataset_models.audit import audit
from dataset_models.solar_data import SolarData
from dataset_models.splits import Split
from dataset_models.streaming import Batches
from network_models.files.safe_loading import load_network
from network_models.training.callbacks import EpochOrder
from network_models.training.fitting import TrainingOptions, compile_network, make_deterministic
from network_models.training.search import SearchProblem, TooLarge

__all__ = ["SearchTask"]


class SearchTask(abc.ABC):
    """The data of a problem, opened once, and the networks that are tried on them.

    Parameters
    ----------
    problem : SearchProblem
    config : dataclass
        The script's options that all trials share.
    """

    dataset: SolarData
    split: Split

    @abc.abstractmethod
    def __init__(self, problem: SearchProblem, config: object): ...

    @abc.abstractmethod
    def build(self, config: object, split: Split) -> keras.Model:
        """Build the network of a configuration; its scaling comes from the training rows."""

    @abc.abstractmethod
    def loss(self, config: object) -> keras.losses.Loss:
        """Give the loss that is also the score on the validation set."""

    @abc.abstractmethod
    def options(self, config: object) -> TrainingOptions:
        """Give the training options of a configuration."""

    def optimizer(self, config: object, n_steps: int) -> keras.optimizers.Optimizer | None:
        """Give the optimizer for a number of steps; the suite's own if None."""
        return None

    def fold(self, k: int, n: int) -> Split:
        """Give the k-th of n splits of what is not in the test set.

        Raises
        ------
        ValueError
            If there is too little for so many.
        """
        raise ValueError("this problem has no folds: search it by --mode budgets or blackbox")

    def events(self, rows: np.ndarray) -> np.ndarray:
        """Give what test samples belong together, for the bootstrap: (sample,)."""
        return self.dataset.table.group[rows]

    def audit(self, split: Split) -> None:
        """Look for leaks between the sets of a split.

        Raises
        ------
        LeakError
            If there is one.
        """
        audit(self.dataset, split).require()

    def training_data(self) -> SolarData:
        """Give the dataset that training batches come from."""
        return self.dataset

    def run(
        self,
        config: object,
        *,
        epochs: int,
        share: float,
        fold: tuple[int, int] | None,
        seed: int,
        max_parameters: int,
    ) -> dict:
        """Train a configuration and give its validation score.

        Parameters
        ----------
        config : dataclass
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
        options = replace(self.options(config), epochs=epochs, seed=seed)
        keras.backend.clear_session()
        make_deterministic(seed)
        start = time.monotonic()
        network = self.build(config, split)
        if network.count_params() > max_parameters:
            raise TooLarge(
                f"the network has {network.count_params():,} parameters, more than the limit of "
                f"{max_parameters:,}"
            )
        loss = self.loss(config)
        batches = self.training_data().training_batches(
            split, batch_size=options.batch_size, seed=options.seed
        )
        optimizer = self.optimizer(config, len(batches) * epochs)
        compile_network(network, loss, options, len(batches), optimizer)
        order = EpochOrder(batches)
        history = network.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[order])
        cost = float(_losses(network, loss, self.dataset, split.validation).mean())
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

    def test_losses(self, network_file: str, config: object) -> tuple[np.ndarray, np.ndarray]:
        """Give the loss of a finished network for each test sample, and the sample's event."""
        network, loss, rows = load_network(network_file), self.loss(config), self.split.test
        return _losses(network, loss, self.dataset, rows), self.events(rows)


def _losses(
    network: keras.Model, loss: keras.losses.Loss, dataset: SolarData, rows: np.ndarray
) -> np.ndarray:
    """Give each sample's loss, (sample,) float64."""
    batches = Batches(dataset, rows, batch_size=dataset.rows_at_once)
    found = []
    for k in range(len(batches)):
        inputs, truth = batches[k]
        output = keras.ops.convert_to_tensor(network.predict_on_batch(inputs))
        each = keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(truth), output))
        found.append(each.reshape(len(truth), -1).mean(axis=1).astype(float))
    return np.concatenate(found)
