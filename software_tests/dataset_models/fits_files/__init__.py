"""Tests of what reads FITS files of any instrument."""
