"""Load networks safely: only what this suite and Keras itself can build, never foreign code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras

from network_models import layers as registered_layers  # noqa: F401
from network_models.files.allowed_classes import require_allowed_classes
from network_models.files.legacy import LEGACY_ENDINGS, load_legacy_network

__all__ = ["clone_network", "load_network"]

_LARGEST_CONFIG = 16 << 20  # bytes; ours are a few kB


def load_network(path: str | Path) -> keras.Model:
    """Load a ``.keras`` or an old ``.hdf5`` file without running anything that it brings along.

    Its configuration is read first: every class must be one of Keras' own layers or registered by
    this suite, and none may carry code. Then Keras loads it in safe mode.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, is damaged, or holds classes that are not allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such network: {path}")
    if path.suffix in LEGACY_ENDINGS:
        return load_legacy_network(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"{path.name}: expected a network as .keras (or .hdf5 of Keras 2), got "
            f"{path.suffix or 'no'} ending; pickles and .pth files can carry code and are not read"
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
    require_allowed_classes(config, path.name)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name}: Keras can't load it ({_first_line(error)})") from error


def clone_network(network: keras.Model) -> keras.Model:
    """Return a copy with weights of its own."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
