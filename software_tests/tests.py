"""Run the test suite: ``python software_tests/tests.py``; options go on to pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def main() -> int:
    """Run pytest over this folder; give its status."""
    here = Path(__file__).parent
    return int(pytest.main([str(here), "--rootdir", str(here.parent), *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
