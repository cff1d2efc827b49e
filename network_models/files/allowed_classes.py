"""Which classes a network's configuration may name: Keras' own and this suite's, none with code."""

from __future__ import annotations

__all__ = ["require_allowed_classes"]

_ALLOWED_MODULES = {
    "keras",
    "keras.layers",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.activations",
    "keras.src.models.functional",
    # operations on tensors, which hold numbers only; those of keras.src.ops.core take functions
    "keras.src.ops.numpy",
    "keras.src.ops.nn",
    "keras.src.ops.math",
    "keras.src.ops.linalg",
    "keras.src.ops.image",
}
_REFUSED_CLASSES = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


def require_allowed_classes(value: object, name: str) -> None:
    """Walk a network's configuration and refuse every class that is not allowed.

    Raises
    ------
    ValueError
        If a class is neither Keras' own nor registered by this suite, or carries code.
    """
    if isinstance(value, list):
        for item in value:
            require_allowed_classes(item, name)
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
        names = [registered, value["config"] if class_name == "function" else None]
        ours = any(isinstance(n, str) and n.startswith("heliolens>") for n in names)
        if not ours and module is not None and module not in _ALLOWED_MODULES:
            raise ValueError(
                f"{name}: holds the class {module}.{class_name}, which neither Keras nor this "
                "suite provides; it is not loaded"
            )
    for item in value.values():
        require_allowed_classes(item, name)
