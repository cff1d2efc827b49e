"""Adam as PyTorch computes it: weight decay added to the gradient, epsilon beside the spread."""

from __future__ import annotations

import keras
from keras import ops

__all__ = ["CoupledAdam"]


@keras.saving.register_keras_serializable(package="heliolens")
class CoupledAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015, algorithm 1) with weight decay as an L2 penalty.

    ``g = gradient + decay w;  m, v = running means of g, g^2;
    w -= rate m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)``

    Keras' own Adam decays the weights apart from the gradient (AdamW) and adds epsilon to
    ``sqrt(v)`` before the correction for its start.

    Parameters
    ----------
    learning_rate : float
    coupled_decay : float
        Of every weight, biases too; it passes through Adam's scaling.
    epsilon : float
        1e-8 is PyTorch's default.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        coupled_decay: float = 0.0,
        epsilon: float = 1e-8,
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, epsilon=epsilon, **kwargs)
        self.coupled_decay = float(coupled_decay)

    def update_step(self, gradient, variable, learning_rate):
        """Move one weight."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype) + self.coupled_decay * variable
        step = ops.cast(self.iterations + 1, variable.dtype)
        left_1 = 1 - ops.power(ops.cast(self.beta_1, variable.dtype), step)
        left_2 = 1 - ops.power(ops.cast(self.beta_2, variable.dtype), step)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        spread = ops.sqrt(v / left_2) + self.epsilon
        self.assign_sub(variable, rate * (m / left_1) / spread)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "coupled_decay": self.coupled_decay}
