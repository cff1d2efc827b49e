"""Comparisons of speed, each in one run beside its peers."""
