"""The one form in which spectra of any instrument reach fits and networks: a cube with its axes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dataset_models.reading_summary import ReadingSummary

__all__ = ["SpectralCube"]


@dataclass(frozen=True)
class SpectralCube:
    """Spectra of every pixel of a map.

    Attributes
    ----------
    values : (y, x, stokes, wavelength) float64
        In ``unit``; NaN where there is no value.
    wavelength : (wavelength,) float64
        Angstrom, increasing.
    stokes : tuple of str
        Names along the third axis: ``("I",)`` or ``("I", "Q", "U", "V")``.
    sigma : (y, x, stokes, wavelength) or broadcastable float64, optional
        Error of one sigma in ``unit``; None where the file says nothing of its noise.
    saturated : (y, x) bool, optional
        Pixels in which a value was left out because the detector was full.
    unit : str
        As ``"DN"``, ``"photons"``, ``"erg cm-2 s-1 sr-1"``, or ``"continuum"`` where values are
        divided by the quiet Sun's continuum.
    instrument : str
        ``"Hinode/SOT-SP"``.
    line : str
        What is observed, as ``"Fe I 6301/6302"``; may be empty.
    time : str
        Start of the observation in UTC, ISO; may be empty.
    wcs : dict
        FITS keywords of the map's two axes in the form of ``celestial_coordinates``; may be empty.
    header : dict
        Further FITS keywords worth keeping with a result.
    is_synthetic : bool
    truth : dict of (y, x) float64
        Of synthetic cubes: each parameter by its name.
    summary : ReadingSummary
    wavelength_shift : (y, x) float64, optional
        Angstrom. What is added to ``wavelength`` to get a pixel's own wavelengths, where the
        instrument's zero drifts along the slit or in time (EIS); None where one axis fits all.
    times : (x,) datetime64[ms], optional
        Start of the exposure of each slit position, UTC; NaT where unknown.
    pointing : (x, 2) float64, optional
        Solar x and y of the slit's centre at each slit position, arcsec.
    """

    values: np.ndarray
    wavelength: np.ndarray
    stokes: tuple[str, ...] = ("I",)
    sigma: np.ndarray | None = None
    saturated: np.ndarray | None = None
    unit: str = ""
    instrument: str = ""
    line: str = ""
    time: str = ""
    wcs: dict = field(default_factory=dict)
    header: dict = field(default_factory=dict)
    is_synthetic: bool = False
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    summary: ReadingSummary = field(default_factory=lambda: ReadingSummary(1))
    wavelength_shift: np.ndarray | None = None
    times: np.ndarray | None = None
    pointing: np.ndarray | None = None

    def __post_init__(self):
        n = len(self.stokes), len(self.wavelength)
        if self.values.ndim != 4 or self.values.shape[2:] != n:
            raise ValueError(
                f"expected values (y, x, {n[0]} stokes, {n[1]} wavelengths), got "
                f"{self.values.shape}"
            )
        if not (np.diff(self.wavelength) > 0).all() or not np.isfinite(self.wavelength).all():
            raise ValueError("wavelengths must be finite and increase")
        if self.sigma is not None:
            np.broadcast_shapes(self.sigma.shape, self.values.shape)
        if self.wavelength_shift is not None and self.wavelength_shift.shape != self.shape:
            raise ValueError(
                f"expected wavelength_shift (y, x) {self.shape}, one number for each pixel, got "
                f"{self.wavelength_shift.shape}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[:2]

    def in_range(self, lowest: float, highest: float) -> SpectralCube:
        """Return the cube between two wavelengths, angstrom.

        Raises
        ------
        ValueError
            If fewer than three wavelengths lie there.
        """
        kept = (self.wavelength >= lowest) & (self.wavelength <= highest)
        if kept.sum() < 3:
            raise ValueError(
                f"{kept.sum()} wavelengths lie between {lowest:g} and {highest:g} angstrom; the "
                f"cube has {self.wavelength[0]:.3f} to {self.wavelength[-1]:.3f}"
            )
        sigma = self.sigma
        if sigma is not None and sigma.shape[-1:] == (len(kept),):
            sigma = sigma[..., kept]
        return replace(
            self, values=self.values[..., kept], wavelength=self.wavelength[kept], sigma=sigma
        )

    def rows(self, part: slice) -> SpectralCube:
        """Return some rows of the cube; coordinates stay those of the whole map."""

        def cut(array: np.ndarray | None) -> np.ndarray | None:
            has_rows = array is not None and len(array) == self.shape[0]
            return array[part] if array is not None and has_rows else array

        sigma = self.sigma
        if sigma is not None and sigma.ndim == 4:
            sigma = cut(sigma)
        return replace(
            self,
            values=self.values[part],
            sigma=sigma,
            saturated=cut(self.saturated),
            wavelength_shift=cut(self.wavelength_shift),
            truth={name: array[part] for name, array in self.truth.items()},
        )
