"""What solar scenes are called: the one list of classes that data, networks and catalogues use."""

from __future__ import annotations

__all__ = ["CLASSES", "CLASS_TITLES", "NONE", "OUTPUTS"]

# Slic's folders in sorted order (Armstrong & Fletcher 2019, doi 10.1007/s11207-019-1473-z)
CLASSES = ("filaments", "flares", "prominences", "quiet", "sunspots")
CLASS_TITLES = ("filament", "flare ribbon", "prominence", "quiet Sun", "sunspot")
NONE = "none of these"  # coronal loops, blank or corrupted frames, whatever is none of the five
OUTPUTS = (*CLASSES, NONE)  # what a network gives a probability for
