"""Train a forecast of the coming peak X-ray flux from eight AIA channels.

    python network_models/xray_flux_forecast/fdl1/aia_only.py            (virtual Sun)
    python network_models/xray_flux_forecast/fdl1/aia_only.py --data STORE --flares FLARES.csv

The same command goes on where a killed one stopped, and shows a finished run again.
"""

from __future__ import annotations

from network_models.xray_flux_forecast.fdl1.aia_training import aia_problem
from tools.command_line import run_script

PROBLEM = aia_problem(
    "flux forecast from AIA images", __file__, __doc__.splitlines()[0], with_history=False
)

main = PROBLEM.main

if __name__ == "__main__":
    run_script(main)
