"""Classes of solar scenes."""
