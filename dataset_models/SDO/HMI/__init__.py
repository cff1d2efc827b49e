"""Field and continuum of the Helioseismic and Magnetic Imager."""
