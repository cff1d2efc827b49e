"""Simulated flare atmospheres and their spectra."""
