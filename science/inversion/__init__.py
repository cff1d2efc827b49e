"""Differentiable inversions of spectra."""
