"""Emission measure maps from images."""
