"""A network's graph, run forwards once and walked backwards with a rule of one's own at each ReLU.

Every operation of the graph but the ReLU is pulled back by its own vector-Jacobian product, on the
backend's automatic differentiation, so that convolutions of any stride or dilation, pools, norms,
gates and layers written elsewhere need no rule. An ``activation="relu"`` inside a layer is split
off, since in a deconvolution the layer's linear part is pulled back alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
from keras import layers, ops

from network_models.differentiation.gradients import require_backend
from network_models.differentiation.keras_graph import (
    Use,
    functional_graph,
    takes_training,
    uses_of,
)

__all__ = [
    "MODES",
    "Step",
    "compiled",
    "pull_back",
    "require_rules",
    "run_forwards",
    "tensor_keys",
    "walk_backwards",
]

MODES = ("gradient", "guided", "deconvolution")


@dataclass(frozen=True)
class Step:
    """One operation as it was run.

    Attributes
    ----------
    name : str
        Of the layer.
    function : callable
        From the tensors before any ReLU to the value before the ReLU.
    sources, targets : tuple of int
        Keys of the tensors that went in, and of those that came out.
    inputs, outputs : tuple of tensors
        After the ReLU, if there is one.
    has_relu : bool
    """

    name: str
    function: Callable
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    inputs: tuple
    outputs: tuple
    has_relu: bool

    @property
    def target(self) -> int:
        """Key of the tensor that came out, of the first where there are several."""
        return self.targets[0]

    @property
    def output(self):
        """What came out, the first where there are several."""
        return self.outputs[0]


def pull_back(function: Callable, inputs: Sequence, signal) -> list:
    """Return the vector-Jacobian product of a function, one tensor per input.

    ``signal`` has the structure of the function's output: a tensor, or a list of them.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(list(inputs))
            output = function(*inputs)
        return tape.gradient(
            output,
            list(inputs),
            output_gradients=signal,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    import jax

    _, back = jax.vjp(function, *inputs)
    return list(back(signal))


def run_forwards(
    network: keras.Model, inputs: dict[str, object], *, split: bool = True
) -> list[Step]:
    """Run the network's operations in their order and keep what went in and came out.

    Nested models are run as parts of the whole; their layers are named ``outer/inner``.

    Parameters
    ----------
    network : keras.Model
        A functional model, or a Sequential one that is built.
    inputs : mapping
        Tensors by the inputs' names.
    split : bool
        Take ReLUs apart from their layers, for the way back.

    Raises
    ------
    ValueError
        If the network has no graph (a subclassed model).
    """
    values = {id(tensor): inputs[tensor.name] for tensor in functional_graph(network).inputs}
    steps: list[Step] = []
    _run(network, values, steps, "", split)
    return steps


def require_rules(network: keras.Model) -> None:
    """Raise a ValueError that names the first layer whose ReLU can't be taken apart."""
    for use in uses_of(network):
        if isinstance(use.operation, keras.Model):
            require_rules(use.operation)
        else:
            _split(use.operation)


def tensor_keys(network: keras.Model) -> tuple[dict[str, int], int]:
    """Return the keys of the inputs by their names, and the key of the output.

    Raises
    ------
    ValueError
        If the network has several outputs.
    """
    graph = functional_graph(network)
    if len(graph.outputs) != 1:
        raise ValueError(f"{network.name} has {len(graph.outputs)} outputs; expected one")
    return {tensor.name: id(tensor) for tensor in graph.inputs}, id(graph.outputs[0])


def walk_backwards(steps: Sequence[Step], seed_of: int, seed, wanted: int, mode: str):
    """Bring a signal at one tensor back to another.

    Parameters
    ----------
    steps : sequence of Step
    seed_of, seed
        Key of the tensor that the signal stands at, and the signal.
    wanted : int
        Key of the tensor to reach.
    mode : {"gradient", "guided", "deconvolution"}
        At a ReLU the gradient passes where the value is positive, the deconvolution where the
        signal is, guided backpropagation where both are.

    Returns
    -------
    The signal there, or None if none arrives.
    """
    signals = {seed_of: seed}
    for step in reversed(steps):
        if wanted in step.targets:
            break  # all that it goes to has been walked
        arrived = [signals.pop(target, None) for target in step.targets]
        if all(signal is None for signal in arrived):
            continue
        if len(arrived) > 1:
            whole = [
                ops.zeros_like(output) if signal is None else ops.cast(signal, output.dtype)
                for signal, output in zip(arrived, step.outputs, strict=True)
            ]
            parts = pull_back(step.function, step.inputs, whole)
            _add(signals, step.sources, parts)
            continue
        (signal,) = arrived
        if step.has_relu:
            if mode != "deconvolution":
                signal = signal * ops.cast(step.output > 0, signal.dtype)
            if mode != "gradient":
                signal = ops.relu(signal)
        signal = ops.cast(signal, step.output.dtype)
        if step.function is _same:
            parts = [signal]
        else:
            parts = pull_back(step.function, step.inputs, signal)
        _add(signals, step.sources, parts)
    return signals.get(wanted)


def _add(signals: dict, keys: Sequence[int], parts: Sequence) -> None:
    for key, part in zip(keys, parts, strict=True):
        before = signals.get(key)
        signals[key] = part if before is None else before + ops.cast(part, before.dtype)


def compiled(passes: Callable, network: keras.Model) -> Callable:
    """Compile a function of named tensors for the backend."""
    if require_backend() == "tensorflow":
        import tensorflow as tf

        graph = tf.function(passes, reduce_retracing=False)
        return lambda ordered: graph({k: tf.convert_to_tensor(v) for k, v in ordered.items()})
    import jax

    variables = network.variables

    def with_variables(values, given):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return passes(given)

    graph = jax.jit(with_variables)
    return lambda ordered: graph([v.value for v in variables], ordered)


def _run(network: keras.Model, values: dict, steps: list[Step], prefix: str, split: bool) -> None:
    """Run a graph whose inputs are among the values; adds to values and steps."""
    for use in uses_of(network):
        name = f"{prefix}{use.operation.name}"
        if isinstance(use.operation, keras.Model):
            _run_nested(use, values, steps, name, split)
        else:
            _run_use(use, values, steps, name, split)


def _run_use(use: Use, values: dict, steps: list[Step], name: str, split: bool) -> None:
    operation = use.operation
    keys = tuple(dict.fromkeys(id(tensor) for tensor in use.inputs))  # some may come twice
    linear, has_relu = _split(operation) if split else (None, False)

    def function(*given):
        arguments, options = use.arguments(dict(zip(keys, given, strict=True)))
        if linear is not None:
            return linear(*arguments)
        if takes_training(operation):
            options["training"] = False
        return operation(*arguments, **options)

    inputs = tuple(values[key] for key in keys)
    output = function(*inputs)
    output = ops.relu(output) if has_relu else output
    outputs = tuple(keras.tree.flatten(output)) if len(use.outputs) > 1 else (output,)
    targets = tuple(id(tensor) for tensor in use.outputs)
    values.update(zip(targets, outputs, strict=True))
    whole = function
    if len(outputs) > 1:  # a signal comes back for each of them

        def whole(*given):
            return keras.tree.flatten(function(*given))

    steps.append(Step(name, whole, keys, targets, inputs, outputs, has_relu))


def _run_nested(use: Use, values: dict, steps: list[Step], name: str, split: bool) -> None:
    """Run a model inside the model: joined to the outer graph by steps that change nothing."""
    inner = functional_graph(use.operation)
    for outer, own in zip(use.inputs, inner.inputs, strict=True):
        _join(values, steps, id(outer), id(own), name)
    _run(use.operation, values, steps, f"{name}/", split)
    for own, outer in zip(inner.outputs, use.outputs, strict=True):
        _join(values, steps, id(own), id(outer), name)


def _join(values: dict, steps: list[Step], source: int, target: int, name: str) -> None:
    value = values[target] = values[source]
    steps.append(Step(name, _same, (source,), (target,), (value,), (value,), False))


def _same(value):
    return value


def _split(operation) -> tuple[Callable | None, bool]:
    """Return what a layer does before its ReLU, and whether it has one.

    None stands for the operation itself.
    """
    if isinstance(operation, layers.ReLU):
        plain = not operation.negative_slope and not operation.threshold
        if plain and operation.max_value is None:
            return _same, True
    if type(operation).__name__ == "Relu":  # keras.ops.relu in a functional graph
        return _same, True
    if getattr(operation, "activation", None) is not keras.activations.relu:
        return None, False
    if isinstance(operation, layers.Activation):
        return _same, True
    if isinstance(operation, layers.Dense):
        return lambda x: _biased(operation, ops.matmul(*_in_own_type(operation, x))), True
    if hasattr(operation, "convolution_op"):
        return lambda x: _biased(
            operation, operation.convolution_op(*_in_own_type(operation, x))
        ), True
    if isinstance(operation, layers.DepthwiseConv2D):
        return lambda x: _biased(operation, _depthwise(operation, x)), True
    raise ValueError(
        f"{operation.name}: a {type(operation).__name__} with a ReLU inside has no rule; give the "
        "ReLU a layer of its own"
    )


def _in_own_type(layer, value):
    """Return the input and the kernel in the type that the layer computes in."""
    return ops.cast(value, layer.compute_dtype), ops.cast(layer.kernel, layer.compute_dtype)


def _biased(layer, value):
    return value + ops.cast(layer.bias, value.dtype) if layer.use_bias else value


def _depthwise(layer, value):
    return ops.depthwise_conv(
        *_in_own_type(layer, value),
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )
