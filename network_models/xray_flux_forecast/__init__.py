"""Forecasts of the coming peak GOES X-ray flux."""
