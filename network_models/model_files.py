"""Load networks safely: only what this suite and Keras itself can build, never foreign code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras

# registers the suite's own classes
from network_models import image_layers, layers, losses  # noqa: F401

__all__ = ["clone_network", "load_network"]

_LARGEST_CONFIG = 16 << 20  # bytes; ours are a few kB
_ALLOWED_MODULES = ("keras", "keras.layers", "keras.initializers", "keras.regularizers")
_ALLOWED_MODULES += ("keras.constraints", "keras.activations", "keras.src.models.functional")
_REFUSED_CLASSES = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


def load_network(path: str | Path) -> keras.Model:
    """Load a ``.keras`` file without running anything that it brings along.

    Its configuration is read first: every class must be one of Keras' own layers or registered by
    this suite, and none may carry code. Then Keras loads it in safe mode.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no ``.keras`` file, is damaged, or holds classes that are not allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such network: {path}")
    if path.suffix != ".keras":
        raise ValueError(
            f"{path.name}: expected a network in the .keras format, got {path.suffix or 'no'} "
            "ending; pickles and .pth files can carry code and are not read"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise ValueError(f"{path.name}: its configuration is too large to be a network's")
            config = json.loads(archive.read("config.json"))
        if not isinstance(config, dict):
            raise ValueError(f"{path.name}: its configuration is no dictionary")
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: damaged, or no .keras file ({error})") from error
    config.pop("compile_config", None)  # not used: networks are loaded without optimizer and loss
    _check_classes(config, path.name)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}: Keras can't load it ({_first_line(error)})") from error


def clone_network(network: keras.Model) -> keras.Model:
    """Give a copy with weights of its own."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def _check_classes(value: object, name: str) -> None:
    """Walk a configuration and refuse every class that is not allowed."""
    if isinstance(value, list):
        for item in value:
            _check_classes(item, name)
    if not isinstance(value, dict):
        return
    class_name = value.get("class_name")
    if isinstance(class_name, str) and "config" in value:
        module, registered = value.get("module"), value.get("registered_name")
        if class_name in _REFUSED_CLASSES or class_name == "__lambda__":
            raise ValueError(
                f"{name}: holds a {class_name} layer, which carries code of its author and is not "
                "loaded; rebuild the network from layers without code"
            )
        ours = isinstance(registered, str) and registered.startswith("heliolens>")
        if not ours and module is not None and module not in _ALLOWED_MODULES:
            raise ValueError(
                f"{name}: holds the class {module}.{class_name}, which neither Keras nor this "
                "suite provides; it is not loaded"
            )
    for item in value.values():
        _check_classes(item, name)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
