"""Spectra of solar instruments as cubes: wavelengths, Stokes parameters, masks, errors."""
