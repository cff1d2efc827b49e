"""Differential emission measure from AIA channels."""
