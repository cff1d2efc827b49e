"""Every layer that is registered for saving; importing this package registers all of them."""

from network_models.layers import deepem, emission, flux, fourier, images, keras2, scenes

__all__ = ["deepem", "emission", "flux", "fourier", "images", "keras2", "scenes"]
