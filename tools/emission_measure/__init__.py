"""Emission measure solvers and temperature responses, which datasets and science both need."""
