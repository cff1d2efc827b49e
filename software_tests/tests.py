"""Run the test suite: ``python software_tests/tests.py``; options go on to pytest.

Files are shared out to one process per processor, four at most; ``-n 0`` runs them in this one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Run pytest over this folder; give its status."""
    here = Path(__file__).parent
    processes = ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile"]
    options = [str(here), "--rootdir", str(here.parent), *processes, *sys.argv[1:]]
    return int(pytest.main(options))


if __name__ == "__main__":
    sys.exit(main())
