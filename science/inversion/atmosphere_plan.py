"""Options of Milne-Eddington inversions and their checks."""

from __future__ import annotations

import os
from dataclasses import dataclass

from science.inversion.parameter_options import fixed_parameters, tied_parameters
from tools.options import LARGEST_SEED, Options, option
from tools.physics.milne_eddington import PARAMETERS
from tools.physics.milne_eddington_fit import LOWER, UPPER
from tools.physics.zeeman import LINES, SpectralLine

__all__ = ["AtmospherePlan"]


@dataclass(frozen=True)
class AtmospherePlan(Options):
    """How Stokes profiles are inverted and what is written."""

    window: str = option("", "spectral window of files with several")
    stokes: str = option("", "what the Stokes axis holds, as IQUV, where the files do not say")
    wavelength_unit: str = option("", "of files that do not name theirs: angstrom or nm")
    line: tuple[str, ...] = option(
        ("6301", "6302"), f"lines that share the atmosphere, of {', '.join(LINES)}"
    )
    range: tuple[float, ...] = option(
        (), "lowest and highest wavelength of the fit, angstrom; without, all"
    )
    starts: int = option(
        4, "fits of each pixel at most; one that reaches its noise is not tried again", least=1
    )
    start: str = option(
        "moments",
        "first start: moments of the profiles, or what a trained network reads from them",
        choices=("moments", "network"),
    )
    fix: tuple[str, ...] = option(
        (),
        "as damping=0.3: parameters that keep a value; the source function in units of the "
        "pixel's continuum",
    )
    tie: tuple[str, ...] = option(
        (), "as source_gradient=-1*source_constant+1: parameters that follow another"
    )
    psf: str = option(
        "", "file of the telescope's point-spread function (FITS or .npy): all pixels together"
    )
    psf_scale: float = option(0.0, "arcsec of its pixels, where the file does not say", least=0)
    prior_weight: float = option(
        0.0, "with --psf: of differences of neighbours; 0 chooses it by discrepancy", least=0
    )
    noise: float = option(
        0.0,
        "of one sigma in the unit of the data; 0: what the file says, or estimated from the "
        "continuum of Q, U and V",
        least=0,
    )
    size: int = option(64, "pixels along the synthetic map's sides", least=8, most=2048)
    seed: int = option(0, "of the synthetic map and of further starts", least=0, most=LARGEST_SEED)
    jobs: int = option(os.cpu_count() or 1, "threads", least=1)
    output: str = option("output/milne_eddington", "folder to write to, or to resume in")

    def __post_init__(self):
        super().__post_init__()
        if not self.line or set(self.line) - set(LINES):
            raise ValueError(
                f"--line takes one or more of {', '.join(LINES)}, got "
                f"{' '.join(self.line) or 'none'}; files stand before options"
            )
        if len(set(self.line)) < len(self.line):
            raise ValueError(f"--line names a line twice: {' '.join(self.line)}; give it once")
        if self.range and not (len(self.range) == 2 and self.range[0] < self.range[1]):
            raise ValueError(
                "--range takes the lowest and the highest wavelength in angstrom, got "
                f"{list(self.range)}"
            )
        for name in (*self.fixed, *self.ties, *(other for other, _, _ in self.ties.values())):
            if name not in PARAMETERS:
                raise ValueError(
                    f"expected a parameter of the atmosphere in --fix and --tie, got {name!r}; "
                    f"there are {', '.join(PARAMETERS)}"
                )
        for name, value in self.fixed.items():
            k = PARAMETERS.index(name)
            if not LOWER[k] <= value <= UPPER[k]:
                raise ValueError(
                    f"--fix {name}={value:g} is outside {LOWER[k]:g} to {UPPER[k]:g}, where fits "
                    "are made; give a value within"
                )
        if not self.psf and (self.psf_scale or self.prior_weight):
            raise ValueError("--psf-scale and --prior-weight go with --psf FILE, which is missing")
        both = set(self.fixed) & set(self.ties)
        if both:
            raise ValueError(f"{', '.join(sorted(both))}: both --fix and --tie; give one of them")

    @property
    def lines(self) -> tuple[SpectralLine, ...]:
        """The lines that ``--line`` names."""
        return tuple(LINES[name] for name in self.line)

    @property
    def ties(self) -> dict[str, tuple[str, float, float]]:
        """What ``--tie`` says, as ``couple_parameters`` takes it."""
        return tied_parameters(self.tie, "source_gradient=-1*source_constant+1")

    @property
    def fixed(self) -> dict[str, float]:
        """What ``--fix`` says: value by name."""
        return fixed_parameters(self.fix, "damping=0.3")
