"""DeepEM: a small network on every pixel that imitates a solver of the inversion."""
