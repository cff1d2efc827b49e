"""A training script that ends when the search that started it ends, however it ends.

    python -m network_models.smac.watched_script SCRIPT.py|MODULE [options]

Its finished epochs are saved, and the same command goes on.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from tools.long_work.processes import end_with_parent

_ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run the script as if it had been started itself."""
    end_with_parent()
    script = sys.argv[1]
    del sys.argv[0]
    if script.endswith(".py"):
        sys.argv[0] = str(_ROOT / script)
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(script, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
