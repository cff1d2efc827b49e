"""Pairs of an AIA image and its emission measure, for networks that learn the inversion.

One sample is one image. The emission measure is what came with the images (files, the virtual Sun's
truth), what a solver makes of them, or anybody's solutions from a file: the network's teacher.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from dataset_models.SDO.AIA.dem_sources import (
    N_BINS,
    DEMSource,
    ImagePair,
    read_array,
)
from dataset_models.solar_data import (
    INPUT,
    TARGET,
    ArrayInfo,
    DataIntegrityError,
    SampleTable,
    SolarData,
    hash_rows,
)
from dataset_models.splits import Split
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.inversion import METHODS, invert
from tools.emission_measure.response import RESPONSE_CHANNELS, bin_response
from tools.emission_measure.status import OK

__all__ = ["OWN_SOLUTIONS", "DEMPairs", "split_by_rotation"]

logger = logging.getLogger(__name__)

OWN_SOLUTIONS = "own"
_THUMBNAIL_SIDE = 16
_LEAST_PEAK_CM5 = 1e20  # solutions in units of 1e25 or 1e26 cm-5, or per K, stay below it
_DAY = np.timedelta64(86400, "s")
_SOLUTION_ENDING = ".emcube.npy"


class DEMPairs(SolarData):
    """Images with the emission measure that a teacher gives for them.

    ``read`` gives ``aia`` (batch, y, x, 6) float32, DN s-1 pix-1 and ``emission_measure`` (batch,
    y, x, 18) float32, cm-5 per bin. What becomes of values that are none: a missing (NaN) channel
    is 0 in ``aia``, negative data stay as they are; a teacher's bin that is negative or not finite
    is 0, as in a pixel without a solution, and is counted in ``repairs``. Every pixel is kept,
    whatever its status.

    Parameters
    ----------
    source : DEMSource
    teacher : str
        ``"own"``: what comes with the images; one of ``METHODS``: that solver; else a file (image,
        18, y, x) or (18, y, x), or a folder with NAME.emcube.npy for each image.
    response_version : str
        For solvers.
    n_jobs : int
        Threads of solvers.

    Raises
    ------
    FileNotFoundError
        If the teacher's files are not there.
    ValueError
        If the teacher is none, or has other shapes (``DataIntegrityError``).
    """

    rows_at_once = 1  # an image and its solution are 25 MB

    def __init__(
        self,
        source: DEMSource,
        *,
        teacher: str = OWN_SOLUTIONS,
        response_version: str = "v10_evenorm_chiantifix",
        n_jobs: int = 1,
    ):
        self.source, self.teacher = source, teacher
        self.edges, self._n_jobs = LOG_T_EDGES, n_jobs
        self.response_version = response_version
        self.response = bin_response(LOG_T_EDGES, version=response_version)
        self._solutions = self._open_teacher()
        self.repairs = {"missing channel values set to 0": 0, "teacher's bins set to 0": 0}
        self._pairs = [self._taught(k) for k in range(len(source.times))]
        hashes = np.concatenate([hash_rows(p.dn[None], p.em[None]) for p in self._pairs])
        inputs = np.concatenate([hash_rows(p.dn[None]) for p in self._pairs])
        times = np.asarray(source.times, "datetime64[s]")
        self._solution_hash = f"{int(np.bitwise_xor.reduce(hashes)):016x}"
        self._table = SampleTable(
            time=times,
            input_start=times,
            input_end=times,
            label_start=times,
            label_end=times,
            group=np.full(len(times), ""),
            quality=np.zeros(len(times), int),
            content_hash=inputs,
        )

    @property
    def table(self) -> SampleTable:
        """One row for each image; the emission measure is of the image's own time."""
        return self._table

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Image and emission measure."""
        size = self.source.size
        return {
            "aia": ArrayInfo(
                ("y", "x", "channel"), (*size, len(RESPONSE_CHANNELS)), "DN s-1 pix-1", INPUT
            ),
            "emission_measure": ArrayInfo(("y", "x", "bin"), (*size, N_BINS), "cm-5", TARGET),
        }

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Give images and emission measure."""
        chosen = [self._pairs[k] for k in np.asarray(indices)]
        return {
            "aia": np.stack([np.nan_to_num(p.dn, nan=0.0) for p in chosen]),
            "emission_measure": np.stack([p.em for p in chosen]),
        }

    def pair(self, index: int) -> ImagePair:
        """Give one image with its noise, its teacher's solution and the status of each pixel."""
        return self._pairs[index]

    def thumbnails(self, indices: np.ndarray) -> np.ndarray:
        """Give the square root of the brightness on a coarse grid."""
        out = []
        for k in np.asarray(indices):
            root = np.sqrt(np.maximum(np.nan_to_num(self._pairs[k].dn, nan=0.0), 0))
            for axis in (0, 1):
                side = min(_THUMBNAIL_SIDE, root.shape[axis])
                cuts = np.arange(side) * root.shape[axis] // side
                root = np.add.reduceat(root, cuts, axis=axis) / (root.shape[axis] / side)
            out.append(root.ravel())
        return np.asarray(out, np.float32)

    def provenance(self) -> dict:
        """Say where images and emission measure are from."""
        return self.source.describe() | {
            "teacher": self.teacher_text,
            "solutions": self._solution_hash,
            "response": self.response_version,
            "log_temperature_edges": [float(e) for e in self.edges],
            "repairs": self.repairs,
        }

    @property
    def teacher_text(self) -> str:
        """What the emission measure is, in words."""
        if self.teacher == OWN_SOLUTIONS:
            return self.source.solutions
        if self.teacher in METHODS:
            return f"{self.teacher} with the response {self.response_version}"
        return f"solutions in {Path(self.teacher).name}"

    def fingerprint(self) -> str:
        """Give a hash of images and solutions."""
        return super().fingerprint()[:8] + self._solution_hash[:8]

    def _open_teacher(self) -> list[np.ndarray] | None:
        """Give the solutions of a file or folder, one (18, y, x) for each image, or None."""
        source, size = self.source, self.source.size
        if self.teacher in METHODS:
            return None
        if self.teacher == OWN_SOLUTIONS:
            if not source.solutions:
                raise ValueError(
                    "no solutions come with these images; give a teacher: "
                    f"{', '.join(METHODS)}, a file or a folder"
                )
            return None
        path = Path(self.teacher)
        if path.is_dir():
            return [
                read_array(path / (name + _SOLUTION_ENDING), N_BINS, size) for name in source.names
            ]
        if not path.is_file():
            raise FileNotFoundError(
                f"no teacher {self.teacher!r}: expected {OWN_SOLUTIONS}, {', '.join(METHODS)}, an "
                f".npy file (image, {N_BINS}, y, x) or a folder with NAME{_SOLUTION_ENDING} for "
                "each image"
            )
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise DataIntegrityError(f"{path.name} can't be read as .npy: {error}") from error
        if array.ndim == 3 and len(source.times) == 1:
            array = array[None]
        wanted = (len(source.times), N_BINS, *size)
        if array.shape != wanted or array.dtype.kind not in "fiu":
            raise DataIntegrityError(
                f"{path.name}: expected emission measure in cm-5 of the shape {wanted}, one cube "
                f"for each image in order of time; got {array.shape} of {array.dtype}"
            )
        return list(array)

    def _taught(self, index: int) -> ImagePair:
        """Give one image with the teacher's solution, cleaned."""
        given = self.source.pair(index)
        em, status = given.em, given.status
        if self.teacher in METHODS:
            logger.info("%s of %s", self.teacher, self.source.names[index])
            found = invert(
                given.dn,
                given.sigma,
                self.response,
                self.edges,
                method=self.teacher,
                n_jobs=self._n_jobs,
                saturated=given.saturated,
            )
            em, status = found.em, found.status
        elif self._solutions is not None:
            em = np.moveaxis(self._solutions[index], 0, -1)
            status = np.full(given.status.shape, OK, np.uint8)
        em = np.ascontiguousarray(em, np.float32)
        bad = ~(np.isfinite(em) & (em >= 0))
        self.repairs["missing channel values set to 0"] += int(np.isnan(given.dn).sum())
        self.repairs["teacher's bins set to 0"] += int(bad.sum())
        if bad.all():
            raise DataIntegrityError(
                f"the solution of {self.source.names[index]} holds no value that is finite and not "
                "negative; expected emission measure in cm-5"
            )
        em = np.where(bad, np.float32(0), em)
        if 0 < em.max() < _LEAST_PEAK_CM5:
            raise DataIntegrityError(
                f"the largest value in the solution of {self.source.names[index]} is "
                f"{em.max():.2g}; expected emission measure per bin in cm-5, about 1e26"
            )
        return ImagePair(given.dn, given.sigma, given.saturated, em, np.asarray(status, np.uint8))


def split_by_rotation(times: np.ndarray, *, apart_days: float = 26.0) -> Split:
    """Test on the last image, validate on one a rotation before, train on those yet earlier.

    Parameters
    ----------
    times : (image,) datetime64[s]
    apart_days : float
        Least distance of two sets: regions live on, and the same ones face the Earth for two weeks.

    Raises
    ------
    ValueError
        If there are no three images so far apart.
    """
    time = np.asarray(times, "datetime64[s]")
    rows, apart = np.argsort(time, kind="stable"), apart_days * _DAY
    test = rows[-1:]
    earlier = rows[time[rows] <= time[test[0]] - apart] if len(rows) else rows
    validation = earlier[-1:]
    training = earlier[time[earlier] <= time[validation[0]] - apart] if len(earlier) else earlier
    if not len(training):
        listed = ", ".join(str(t)[:10] for t in time[rows][:6])
        raise ValueError(
            f"training, validation and test need three images at least {apart_days:g} days apart, "
            f"so that no region is in two of them; got {len(rows)}: {listed}. Give images of other "
            "rotations, or a smaller --apart-days"
        )
    left = len(rows) - len(training) - 2
    return Split(
        training,
        validation,
        test,
        f"rotations: the last image tests, sets {apart_days:g} days apart or more",
        left,
    )
