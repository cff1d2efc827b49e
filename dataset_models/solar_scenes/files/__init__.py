"""Frames on disk: found, read, mended, placed and grouped."""
