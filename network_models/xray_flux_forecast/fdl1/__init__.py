"""Forecasts from AIA images."""
