"""Reads FITS files of any solar instrument: opening, header cards, times, coordinates, values."""
