"""Options of Gaussian fits, their checks, and the ranges in which known broad lines are fitted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from science.inversion.parameter_options import NUMBER, fixed_parameters, tied_parameters
from science.inversion.regularised_lines import PRIORS
from tools.options import Options, option
from tools.physics.gaussian_line import gaussian_names

__all__ = ["CORES", "GaussianPlan"]

_TIE_FORMS = "width_2=width_1, centre_2=centre_1+8.995 or amplitude_2=0.5*amplitude_1"
_BOUND = re.compile(rf"(\w+)=({NUMBER}|-inf):({NUMBER}|inf)")
# wavelength in air (NIST) and the half range in which a Gaussian is near the line's core: angstrom.
# Beyond it wings of chromospheric lines and neighbours of Fe I 6301 would decide the width.
CORES = {
    "H I 6563": (6562.81, 1.2),
    "Ca II 8542": (8542.09, 0.5),
    "Fe I 6301": (6301.50, 0.35),
    "Fe I 6302": (6302.49, 0.3),
}


@dataclass(frozen=True)
class GaussianPlan(Options):
    """How lines are fitted and what is written."""

    window: str = option("", "spectral window of files with several, as 'Si IV 1394'")
    stokes: str = option(
        "", "order of the Stokes parameters of files that do not name theirs, as IQUV; I is fitted"
    )
    wavelength_unit: str = option("", "of files that do not name theirs")
    line: tuple[float, ...] = option(
        (), "wavelength near which a line is looked for, angstrom; one for each component", above=0
    )
    rest: tuple[float, ...] = option(
        (),
        "wavelength of velocity 0, angstrom, one for each component; without, the median of the "
        "field, of absorption lines of its parts brighter than 0.9 of the median",
        above=0,
    )
    range: tuple[float, ...] = option(
        (), "lowest and highest wavelength of the fit, angstrom; without, a known core or all"
    )
    components: int = option(1, "Gaussians", least=1, most=6)
    continuum_terms: int = option(1, "of the continuum: level, slope, curvature", least=0, most=3)
    profile: str = option("auto", "kind of line", choices=("auto", "emission", "absorption"))
    tie: tuple[str, ...] = option(
        (), "as width_2=width_1, centre_2=centre_1+8.995 or amplitude_2=0.5*amplitude_1"
    )
    fix: tuple[str, ...] = option((), "as width=0.06; angstrom or the data's unit")
    bound: tuple[str, ...] = option(
        (),
        "as width=0.03:0.3; amplitude_2=0:inf lets the second line be in emission in a line in "
        "absorption",
    )
    noise: str = option(
        "gaussian", "of the data; poisson for counts", choices=("gaussian", "poisson")
    )
    minimum_width: float = option(
        0.0, "smallest standard deviation of a line, as the instrument's; angstrom", least=0
    )
    starts: int = option(1, "fits of each pixel from different starts", least=1, most=20)
    prior: str = option(
        "none",
        "on the maps: gradient keeps neighbours alike, laplacian keeps maps without bends; the "
        "evidence sets their weights",
        choices=("none", *PRIORS),
    )
    size: int = option(64, "pixels along the synthetic map's sides", least=8, most=1024)
    seed: int = option(0, "of the synthetic map and of the posterior's samples", least=0)
    jobs: int = option(os.cpu_count() or 1, "threads", least=1)
    output: str = option("output/gaussian_fit", "folder to write to, or to resume in")

    def __post_init__(self):
        super().__post_init__()
        for name in ("line", "rest"):
            n = len(getattr(self, name))
            if n not in (0, self.components):
                raise ValueError(
                    f"--{name} takes one wavelength for each component: expected "
                    f"{self.components}, got {n}; add --components {n} or leave some out"
                )
        if self.range and not (len(self.range) == 2 and self.range[0] < self.range[1]):
            raise ValueError(
                f"--range takes the lowest and the highest wavelength, got {list(self.range)}"
            )
        names = gaussian_names(self.components, self.continuum_terms)
        for name in (
            *self.ties,
            *self.fixed,
            *self.bounds,
            *(other for other, _, _ in self.ties.values()),
        ):
            if name not in names:
                raise ValueError(f"no parameter {name!r}; there are {', '.join(names)}")

    @property
    def ties(self) -> dict[str, tuple[str, float, float]]:
        """What ``--tie`` says, as ``couple_parameters`` takes it."""
        return tied_parameters(self.tie, _TIE_FORMS)

    @property
    def fixed(self) -> dict[str, float]:
        """What ``--fix`` says: value by name."""
        return fixed_parameters(self.fix, "width=0.06")

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """What ``--bound`` says: lowest and highest value by name."""
        out = {}
        for text in self.bound:
            match = _BOUND.fullmatch(text.replace(" ", ""))
            if match is None:
                raise ValueError(f"--bound {text!r} is not of the form width=0.03:0.3")
            out[match[1]] = (float(match[2]), float(match[3]))
        return out
