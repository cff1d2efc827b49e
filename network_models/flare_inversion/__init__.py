"""Flare atmospheres from spectra."""
