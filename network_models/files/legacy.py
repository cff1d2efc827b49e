"""Networks of Keras 1 and 2 (``.h5``, ``.hdf5``), brought into the form that Keras 3 reads.

A file of the years around 2017 tells a network's input by ``batch_input_shape`` in its first layer,
and a Sequential network's layers as a plain list; Keras 3 reads neither. The configuration is
rewritten in a copy of the file, which Keras then loads in safe mode. Nothing in it is run.

What Keras 3 would read as something else is converted: Keras 2's hard sigmoid, and the kernels of
convolutions that Theano computed, which turned them by 180 degrees (Keras 2.15,
``hdf5_format.preprocess_weights_for_loading``).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np

from network_models.files.allowed_classes import require_allowed_classes

__all__ = ["LEGACY_ENDINGS", "load_legacy_network"]

LEGACY_ENDINGS = (".h5", ".hdf5")
_LARGEST_CONFIG = 16 << 20  # bytes
_OF_TIME_STEPS = ("recurrent_activation", "activation")
_HARMLESS = {"sparse", "ragged", "time_major", "renorm", "fused", "virtual_batch_size", "dynamic"}
_HARMLESS |= {"experimental_autocast", "build_input_shape", "is_placeholder"}
_HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": "keras2_hard_sigmoid",
    "registered_name": "heliolens>keras2_hard_sigmoid",
}
_TURNED = {"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose"}
_TURNED |= {"Convolution1D", "Convolution2D", "Convolution3D"}
_NOT_TURNED = ("SeparableConv", "DepthwiseConv", "ConvLSTM", "LocallyConnected")
_DISTRIBUTIONS = {"normal": "truncated_normal"}  # what Keras 2.0 called them


def load_legacy_network(path: str | Path) -> keras.Model:
    """Load a whole network from a ``.h5`` or ``.hdf5`` file of Keras 1.2 to 2.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, holds weights only, points to other files, or holds layers that are
        not allowed or that Keras 3 doesn't know.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such network: {path}")
    with tempfile.TemporaryDirectory(prefix="heliolens-") as folder:
        copy = Path(folder) / "network.h5"
        shutil.copyfile(path, copy)
        try:
            with h5py.File(copy, "r+") as file:
                _refuse_pointers(file, path.name)
                stored = _config_of(file, path.name)
                _turn_theano_kernels(file, stored, path.name)
                config = _normal(stored)
                require_allowed_classes(config, path.name)
                file.attrs["model_config"] = json.dumps(config)
                if "training_config" in file.attrs:
                    del file.attrs["training_config"]
                if "keras_version" not in file["model_weights"].attrs:
                    raise ValueError(f"{path.name}: does not say which Keras wrote it")
        except (OSError, RuntimeError, KeyError) as error:
            raise ValueError(f"{path.name}: damaged, or no HDF5 network ({error})") from error
        try:
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # old configurations fail in ways of their own
            text = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(
                f"{path.name}: Keras 3 can't build this network of Keras 2 ({text[0][:300]}); "
                "build it in code, load the weights, and save it as .keras"
            ) from error


def _config_of(file: h5py.File, name: str) -> dict:
    """Return the network's configuration."""
    text = file.attrs.get("model_config")
    if text is None:
        raise ValueError(
            f"{name}: holds no network, at most its weights: build the network in code, load the "
            "weights, and save it as .keras"
        )
    text = text.decode() if isinstance(text, bytes) else str(text)
    if len(text) > _LARGEST_CONFIG:
        raise ValueError(f"{name}: its configuration is too large to be a network's")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: its configuration is damaged ({error})") from error
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise ValueError(f"{name}: its configuration is not that of a network")
    return config


def _refuse_pointers(file: h5py.File, name: str) -> None:
    """Refuse links and data that lie in other files."""

    def visit(group: h5py.Group) -> None:
        for key in group:
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name}: {key} points elsewhere; it is not loaded")
            item = group[key]
            if isinstance(item, h5py.Group):
                visit(item)
            elif item.external or item.is_virtual:
                raise ValueError(f"{name}: {key} lies in another file; it is not loaded")

    visit(file)


def _turn_theano_kernels(file: h5py.File, config: dict, name: str) -> None:
    """Turn convolutions' kernels by 180 degrees where Theano, which turns them itself, wrote them.

    Raises
    ------
    ValueError
        If a layer is of a kind whose kernels are not known to be stored like that.
    """
    weights = file.get("model_weights")
    backends = [_text(owner.attrs.get("backend", "")) for owner in (file, weights) if owner]
    if "theano" not in backends:
        return
    version = _text(weights.attrs.get("keras_version", file.attrs.get("keras_version", "")))
    kinds = _kinds(config)
    odd = sorted({kind for kind in kinds.values() if kind.startswith(_NOT_TURNED)})
    if odd or version.startswith("1"):
        what = ", ".join(odd) if odd else f"Keras {version}"
        raise ValueError(
            f"{name}: written by {what} with Theano, whose kernels are not converted; load it in "
            "Keras 2 with TensorFlow, and save it again"
        )

    def turn(path: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset) or item.ndim < 3:
            return
        owners = [kinds[part] for part in path.split("/") if part in kinds]
        if not owners or owners[-1] not in _TURNED:
            raise ValueError(f"{name}: {path} belongs to no convolution that is known from Theano")
        item[...] = np.flip(item[...], tuple(range(item.ndim - 2)))

    if weights is not None:
        weights.visititems(turn)


def _kinds(config: dict) -> dict[str, str]:
    """Return the class of every layer by its name, also of networks within the network."""
    inner = config["config"]
    layers = inner if isinstance(inner, list) else inner.get("layers", [])
    found: dict[str, str] = {}
    for layer in layers:
        own = layer["config"]
        if isinstance(own, list) or "layers" in own:
            found |= _kinds(layer)
        elif isinstance(own, dict) and isinstance(own.get("layer"), dict):  # TimeDistributed, ...
            found[own.get("name", "")] = own["layer"]["class_name"]
        else:
            found[own.get("name", layer.get("name", ""))] = layer["class_name"]
    return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _normal(config: dict) -> dict:
    """Return a configuration in the words of Keras 3."""
    name, inner = config["class_name"], config["config"]
    if name == "Sequential":
        layers = inner if isinstance(inner, list) else inner["layers"]
        own_name = "sequential" if isinstance(inner, list) else inner.get("name", "sequential")
        return {"class_name": name, "config": {"name": own_name, "layers": _with_input(layers)}}
    if isinstance(inner, dict) and "layers" in inner:
        rest = {k: inner[k] for k in ("name", "input_layers", "output_layers") if k in inner}
        for key in ("input_layers", "output_layers"):  # a single one stands by itself
            if isinstance(rest.get(key), list) and len(rest[key]) == 1:  # a dict names its inputs
                (rest[key],) = rest[key]
        layers = [{**layer, **_normal(layer)} for layer in inner["layers"]]
        return {"class_name": "Functional", "config": {**rest, "layers": layers}}
    if name == "GRU" and isinstance(inner, dict):
        inner = {"reset_after": False, **inner}  # the default of Keras 2, which early files omit
    return {**config, "config": _values(inner)}


def _with_input(layers: list[dict]) -> list[dict]:
    """Return a Sequential network's layers with its input as a layer of its own."""
    out: list[dict] = []
    for layer in layers:
        layer = _normal(layer)
        shape = None
        if layer["class_name"] not in ("InputLayer", "Functional", "Sequential"):
            shape = layer["config"].pop("batch_input_shape", None)
        if shape is not None and not out:
            dtype = layer["config"].get("dtype") or "float32"
            config = {"batch_shape": shape, "dtype": dtype, "name": "input"}
            out.append({"class_name": "InputLayer", "config": config})
        out.append(layer)
    return out


def _values(value: object) -> object:
    """Rename what Keras 2.0 called otherwise, wherever it stands in a configuration."""
    if isinstance(value, list):
        return [_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {k: _values(v) for k, v in value.items() if k not in _HARMLESS}
    for key in _OF_TIME_STEPS:
        if out.get(key) == "hard_sigmoid":
            out[key] = dict(_HARD_SIGMOID)
    dtype, axis = out.get("dtype"), out.get("axis")
    if isinstance(dtype, dict) and dtype.get("class_name") == "Policy":
        out["dtype"] = str(dtype.get("config", {}).get("name", "float32"))
    if isinstance(axis, list) and len(axis) == 1:
        (out["axis"],) = axis
    if "distribution" in out:
        out["distribution"] = _DISTRIBUTIONS.get(str(out["distribution"]), out["distribution"])
    return out
