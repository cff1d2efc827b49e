"""What the reader finds in real X-ray files: satellite, scale, flags, gaps, flares on both scales.

python benchmarks/goes_days.py FILES...
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import astropy.units as u

from dataset_models.GOES.flare_finder import record_of_series
from dataset_models.GOES.xrs import read_xrs
from tools.physics.flare_class import OPERATIONAL, TRUE, flux_to_class


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    figures = {}
    for name in parser.parse_args().files:
        series = read_xrs(name)
        record = record_of_series(series)
        flares = []
        for time, flux in zip(record.peak_time, record.peak_flux, strict=True):
            classes = {
                scale: flux_to_class(
                    flux * u.W / u.m**2, flux_scale=series.scaling, class_scale=scale
                )
                for scale in (OPERATIONAL, TRUE)
            }
            flares.append({"peak": str(time)[:16], "flux (W m-2)": float(f"{flux:.5g}"), **classes})
        figures[Path(name).name] = {
            "satellite": series.satellite,
            "scale of the file": series.scaling,
            "samples": len(series.time),
            "1-8 A flagged or missing": int((~series.long_is_good).sum()),
            "0.5-4 A flagged or missing": int((~series.short_is_good).sum()),
            "gaps over 300 s": len(series.gaps(300)),
            "flares": flares,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
