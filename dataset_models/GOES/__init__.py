"""X-ray flux and flare lists of the GOES satellites."""
