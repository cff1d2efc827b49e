"""Train a forecast of the coming peak X-ray flux from eight AIA channels.

    python network_models/xray_flux_forecast/fdl1/aia_only.py            (virtual Sun)
    python network_models/xray_flux_forecast/fdl1/aia_only.py --data STORE --flares FLARES.csv

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

from collections.abc import Sequence

from network_models.xray_flux_forecast.fdl1.aia_training import aia_script
from network_models.xray_flux_forecast.training_script import (
    forecast_search,
    run_training_script,
)
from tools.command_line import run_script

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, score and report; give the exit status."""
    return run_training_script(SCRIPT, argv)


SCRIPT = aia_script("aia_only", __doc__.splitlines()[0], with_history=False)
SEARCH = forecast_search(SCRIPT, training_share=0.12, sums_units=96)

if __name__ == "__main__":
    run_script(main)
