"""Samples of networks of emission measure: images in six channels, of files or of a run's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from dataset_models.SDO.AIA.six_channels import SixChannels, read_six_arrays, read_six_images
from dataset_models.solar_data import ArrayInfo, SampleTable, SolarData
from network_models.dem_regression.simulated_pixels import MISSING_SIGMA, N_CHANNELS, N_INPUTS
from network_models.training.data import ProblemData
from network_models.training.lots import PixelRows
from network_models.training.sample import Explained, Sample
from network_models.training.samples import SampleSource
from tools.emission_measure.families import LOG_T_EDGES
from tools.emission_measure.response import RESPONSE_CHANNELS, RESPONSE_VERSIONS

__all__ = ["PairSamples", "PixelBlocks", "PixelSamples", "image_network"]

_BINS = len(LOG_T_EDGES) - 1
_BINS_OF_A_KIND = 3
_UNIT = "DN s-1 pix-1"
_VERSION = "v10_evenorm_chiantifix"  # of the responses, where files are explained


class _EmissionSamples(SampleSource):
    """What both kinds of networks share: six channels, pixels, names by temperature."""

    kinds = "log T of the largest emission measure"

    def __init__(self):
        super().__init__(pixelwise=True)

    def channels_of(self, dataset: SolarData | PixelRows, n: int) -> tuple:
        """Return the channels in angstrom."""
        return RESPONSE_CHANNELS if n == N_CHANNELS else super().channels_of(dataset, n)

    def kinds_of(self, output: np.ndarray) -> list[str]:
        """Name each output by the temperatures of its largest bin, three bins together."""
        em = output[..., :_BINS].reshape(len(output), -1, _BINS).mean(axis=1)
        first = em.argmax(axis=1) // _BINS_OF_A_KIND * _BINS_OF_A_KIND
        ends = LOG_T_EDGES[first], LOG_T_EDGES[np.minimum(first + _BINS_OF_A_KIND, _BINS)]
        return [f"{low:.2f}-{high:.2f}" for low, high in zip(*ends, strict=True)]

    def of_files(
        self,
        opened: Explained,
        files: Sequence[str],
        stack: ExitStack,
        *,
        time: str = "",
        flares: str = "",
    ) -> Sample:
        """Return six FITS files of one time, or an .npy array (6, y, x) or (y, x, 6)."""
        if time or flares:
            raise ValueError(
                f"{opened.described} takes six FITS files of one time, or one .npy array; a time "
                "or a flare list says nothing here"
            )
        if len(files) == 1 and files[0].endswith(".npy"):
            given = _six_of_array(Path(files[0]))
        else:
            given = read_six_images([Path(name) for name in files])
        dn, sigma, saturated = given.tile(slice(None))
        unseen = ~np.isfinite(dn) | saturated
        label = given.time or Path(files[0]).name
        warning = ""
        if unseen.any():
            share = 100 * float(unseen.mean())
            warning = (
                f"{share:.2g} % of the values are missing or saturated; they count as missing."
            )
            print(warning)
        sigma = np.where(unseen, np.float32(MISSING_SIGMA), sigma)
        inputs = {"aia": np.where(unseen, np.float32(0), dn), **self.beside(sigma)}
        return Sample(
            {t.name: inputs[t.name][None] for t in opened.network.inputs},
            label,
            RESPONSE_CHANNELS,
            _UNIT,
            given.wcs | ({"DATE-OBS": given.time} if given.wcs else {}),
            ", ".join(given.names[:2]) + (", ..." if len(given.names) > 2 else ""),
            warning=warning,
        )

    def beside(self, sigma: np.ndarray) -> dict[str, np.ndarray]:
        """Return the inputs beside the image: none."""
        return {}


def _six_of_array(path: Path) -> SixChannels:
    """Read an array of six channels: the channel last, as networks take it, or else first."""
    if path.is_file():
        try:
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        except (ValueError, OSError, EOFError):
            shape = ()  # the reader below says what is wrong
        if len(shape) == 3 and shape[-1] == N_CHANNELS:
            dn = np.load(path, mmap_mode="r", allow_pickle=False)
            return SixChannels(dn, {}, "", (path.name,), saturation_dn=np.inf)
    return read_six_arrays(path)


class PairSamples(_EmissionSamples):
    """Samples of DeepEM: the images of its pairs, each pixel inverted alone."""

    def label_of(self, dataset: SolarData, row: int) -> str:
        """Return the image's time."""
        return str(dataset.table.time[row])[:16]


class PixelSamples(_EmissionSamples):
    """Samples of our networks of pixels, which also take errors and the version of the responses.

    The explained network takes images ``aia`` (y, x, 6) and, beside them, ``errors`` (y, x, 11):
    the error of each channel and the columns that choose the version. Maps are of the image, with
    the errors as they are.
    """

    network_file = "network.keras"  # the calibrated one

    def explained(self, network: keras.Model) -> keras.Model:
        """Return a network of images on the weights of a network of pixels."""
        return image_network(network)

    def as_explained(self, data: ProblemData) -> ProblemData:
        """Return blocks of simulated pixels as images, their pixels side by side."""
        return replace(data, dataset=PixelBlocks(data.dataset))

    def label_of(self, dataset: SolarData, row: int) -> str:
        """Return the block's number."""
        return f"block {row}"

    def beside(self, sigma: np.ndarray) -> dict[str, np.ndarray]:
        """Return errors and version of the responses."""
        chosen = np.eye(len(RESPONSE_VERSIONS), dtype=np.float32)[RESPONSE_VERSIONS.index(_VERSION)]
        version = np.broadcast_to(chosen, (*sigma.shape[:-1], len(chosen)))
        return {"errors": np.concatenate([sigma, version], axis=-1).astype(np.float32)}


def image_network(pixels: keras.Model) -> keras.Model:
    """Return a network of images that inverts each pixel by a network of pixels.

    Parameters
    ----------
    pixels : keras.Model
        (batch, pixel, 17) to (batch, pixel, 60), as ``build_emission_network`` makes it.

    Returns
    -------
    keras.Model
        ``aia`` (batch, y, x, 6), DN s-1 pix-1, and ``errors`` (batch, y, x, 11) to (batch, pixel,
        60): the emission measure in the first 18 outputs, 1e26 cm-5. A network of images is given
        back as it is.
    """
    if [t.name for t in pixels.inputs] != ["brightness"]:
        return pixels
    image = keras.Input((None, None, N_CHANNELS), name="aia")
    errors = keras.Input((None, None, N_INPUTS - N_CHANNELS), name="errors")
    columns = keras.layers.Concatenate(name="columns")([image, errors])
    rows = keras.layers.Reshape((-1, N_INPUTS), name="pixels")(columns)
    found = pixels({"brightness": rows})
    return keras.Model({"aia": image, "errors": errors}, found, name="emission_measure_of_images")


class PixelBlocks(SolarData):
    """Blocks of simulated pixels as images: pixels without places, drawn side by side (synthetic).

    Parameters
    ----------
    dataset : SimulatedPixels
    """

    def __init__(self, dataset: SolarData):
        self._dataset, self.rows_at_once = dataset, dataset.rows_at_once
        n = dataset.arrays["brightness"].shape[0]
        height = max(k for k in range(1, int(np.sqrt(n)) + 1) if n % k == 0)
        self._places = (height, n // height)

    @property
    def table(self) -> SampleTable:
        """One row per block."""
        return self._dataset.table

    @property
    def arrays(self) -> Mapping[str, ArrayInfo]:
        """Brightness, errors with the version of the responses, emission measure."""
        axes = ("y", "x", "channel")
        n_errors = N_INPUTS - N_CHANNELS
        inputs = {
            "aia": ArrayInfo(axes, (*self._places, N_CHANNELS), _UNIT, "input"),
            "errors": ArrayInfo(axes, (*self._places, n_errors), _UNIT, "input"),
        }
        em = ArrayInfo(("y", "x", "bin"), (*self._places, _BINS), "1e26 cm-5", "target")
        return {**inputs, "emission_measure": em}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Read blocks as images."""
        arrays = self._dataset.read(indices)
        given = arrays["brightness"].reshape(len(indices), *self._places, -1)
        em = arrays["emission"].reshape(len(indices), *self._places, -1)[..., :_BINS]
        return {
            "aia": given[..., :N_CHANNELS],
            "errors": given[..., N_CHANNELS:],
            "emission_measure": em,
        }

    def provenance(self) -> dict:
        """Return how the pixels are made."""
        return self._dataset.provenance()

    def fingerprint(self) -> str:
        """Return the hash of the blocks."""
        return self._dataset.fingerprint()
