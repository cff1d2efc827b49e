"""Fits of many pixels at once: least squares, linear systems with priors, weights, flags."""
