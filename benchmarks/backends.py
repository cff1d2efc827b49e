"""The same small training on TensorFlow and JAX from the same weights, dropout off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_SCRIPT = Path(__file__).parents[1] / "software_tests/network_models/training/small_training.py"


def main() -> None:
    """Print the largest relative difference of losses, weights and forecasts as one JSON line."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        for backend in ("tensorflow", "jax"):
            run = Path(folder) / backend
            environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, str(_SCRIPT), str(run), str(weights)]
            subprocess.run(command, env=environment, check=True, capture_output=True)
            with np.load(run / "outcome.npz") as saved:
                results[backend] = {name: saved[name] for name in saved.files}
    differences = {
        name: float(np.linalg.norm(a - results["jax"][name]) / np.linalg.norm(a))
        for name, a in results["tensorflow"].items()
    }
    figures = {
        "losses": differences["losses"],
        "forecasts": differences["output"],
        "largest of all weights": max(v for n, v in differences.items() if n.startswith("arr")),
    }
    rounded = {name: float(f"{value:.1e}") for name, value in figures.items()}
    print(json.dumps({"relative difference, TensorFlow and JAX": rounded}))


if __name__ == "__main__":
    main()
