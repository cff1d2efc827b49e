"""Samples of networks that start Milne-Eddington fits: Stokes profiles along the wavelength."""

from __future__ import annotations

from dataset_models.solar_data import SolarData
from network_models.training.samples import SampleSource

__all__ = ["ProfileSamples"]


class ProfileSamples(SampleSource):
    """Profiles of a run's own data by number, and of .npy arrays (wavelength, 4)."""

    along_series = "place along the wavelength, 6300.892 to 6303.267 angstrom"

    def label_of(self, dataset: SolarData, row: int) -> str:
        """Return the pixel's number."""
        return f"pixel {row}"
