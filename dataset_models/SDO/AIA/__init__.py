"""Eight-channel images of the Atmospheric Imaging Assembly."""
