"""Images of the virtual Sun as AIA would have taken them: blur, photons, camera, bad frames."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from dataset_models.virtual_sun.corona import FIELD_ARCSEC, VirtualCorona
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.record import VIRTUAL_START, hour_of_time
from tools.channels import AIA_CHANNELS, CAMERA, aia_degradation
from tools.code_dependencies import fingerprint_of_code
from tools.random_streams import random_stream

__all__ = ["VirtualImages"]

# declared choices of this model
SCATTERED_SHARE, SCATTERED_ARCSEC = 0.04, 40.0  # wings of the telescope's point spread
BAD_FRAME_SHARE, MISSING_CHANNEL_SHARE = 0.005, 0.005
_MISSION_START = np.datetime64("2010-05-13T00:00:00")  # the date at which the virtual camera is new
_CALIBRATION = "v8"  # by which the virtual camera ages; the packaged networks learned from it
_MISSION_YEARS = 7.0  # then another camera is flown: the calibration was fitted over this span
_COARSE_SIDE = 256  # scattered light has no finer detail
_MANY_PHOTONS = 400  # from here on Poisson noise is drawn as normal
_BLEEDING_ROWS = 12  # full-resolution pixels over which an overfull one spills up and down


class VirtualImages:
    """Calibrated images of a virtual record, one for each time, each a pure function of it.

    Parameters
    ----------
    record : VirtualRecord
    times : (time,) datetime64[s]
        Full hours.
    size : int
        Pixels along a side.
    """

    channels = AIA_CHANNELS

    def __init__(self, record: VirtualRecord, times: np.ndarray, size: int):
        self.times, self.size = np.asarray(times, "datetime64[s]"), size
        self.problems: list[str] = []  # nothing goes wrong here
        self.mended: list[str] = []
        self._hours = hour_of_time(self.times)
        self._record, self._corona = record, VirtualCorona(record, size)
        self.pixels_averaged = (4096 / size) ** 2

    def __len__(self) -> int:
        return len(self.times)

    def image(self, index: int) -> np.ndarray:
        """Return one image, (channel, y, x) float32, DN s-1 pix-1, corrected for degradation.

        NaN where a channel is missing; saturated pixels stand at the camera's limit.
        """
        hour = int(self._hours[index])
        generator = random_stream(self._record.seed, "virtual sun", "camera", hour)
        missing = generator.random(len(AIA_CHANNELS)) < MISSING_CHANNEL_SHARE
        bright = self._blurred(self._corona.images(hour))
        throughput = self.throughput(index)
        out = np.empty(bright.shape, np.float32)
        for k, channel in enumerate(AIA_CHANNELS):
            seen = self._exposed(bright[k] * throughput[k], channel, generator)
            out[k] = np.nan if missing[k] else seen / throughput[k]
        return out

    def region_images(self, index: int) -> dict[tuple[str, int], np.ndarray]:
        """Return what each region in view adds to an image, (channel, y, x) float32, DN s-1 pix-1.

        Without noise: an image less one of these is the same image without that region.
        """
        found = self._corona.region_images(int(self._hours[index]))
        return {name: self._blurred(seen).astype(np.float32) for name, seen in found.items()}

    def is_bad(self, index: int) -> bool:
        """Return whether the frame is marked as bad (an eclipse, an offset pointing)."""
        hour = int(self._hours[index])
        return bool(
            random_stream(self._record.seed, "virtual sun", "bad frame", hour).random()
            < BAD_FRAME_SHARE
        )

    def throughput(self, index: int) -> np.ndarray:
        """Return what is left of each channel's throughput, (channel,)."""
        since_start = (self.times[index] - VIRTUAL_START) / np.timedelta64(86400, "s")
        days = np.mod(since_start, _MISSION_YEARS * 365.25)
        date = _MISSION_START + (np.array([days]) * 86400).astype("timedelta64[s]")
        left = [aia_degradation(channel, date, _CALIBRATION)[0] for channel in AIA_CHANNELS]
        return np.array(left)

    def summary(self) -> None:
        """Return nothing: no file is read."""

    def describe(self) -> dict:
        """Describe what the images are; JSON types only."""
        return {
            "source": f"virtual Sun (synthetic), seed {self._record.seed}",
            "synthetic": True,
            "field_arcsec": FIELD_ARCSEC,
            "calibration_version": _CALIBRATION,
            "record": self._record.fingerprint(),
            # another look is another source: a store of the old one is not gone on with
            "code": fingerprint_of_code([__file__]),
            "parameters": self._record.rates.parameters.to_dict(),
        }

    def _blurred(self, images: np.ndarray) -> np.ndarray:
        """Spread a share of the light widely; the core of the point spread is in the blobs."""
        most = max(self.size // _COARSE_SIDE, 1)
        coarse = next(c for c in range(most, 0, -1) if self.size % c == 0)
        n = self.size // coarse
        blocks = images.reshape(len(images), n, coarse, n, coarse)
        width = SCATTERED_ARCSEC / FIELD_ARCSEC * self.size / coarse
        wide = gaussian_filter(blocks.mean(axis=(2, 4)), (0, width, width), mode="constant")
        wide = np.repeat(np.repeat(wide, coarse, axis=1), coarse, axis=2)
        return (1 - SCATTERED_SHARE) * images + SCATTERED_SHARE * wide

    def _exposed(self, bright: np.ndarray, channel: int, generator) -> np.ndarray:
        """Count photons, add read noise, let overfull pixels spill."""
        camera, n = CAMERA[channel], self.pixels_averaged
        photons_per_dn_s = camera.exposure_s / camera.dn_per_photon
        photons = _poisson(np.clip(bright, 0, None) * photons_per_dn_s * n, generator) / n
        dn = photons * camera.dn_per_photon
        read = generator.standard_normal(dn.shape, dtype=np.float32)
        dn += camera.read_noise_dn / np.sqrt(n) * read
        if (dn > camera.saturation_dn).any():
            dn = self._bled(dn, camera.saturation_dn)
        return dn / camera.exposure_s

    def _bled(self, dn: np.ndarray, saturation: float) -> np.ndarray:
        """Spill what is above saturation into the pixels above and below."""
        reach = max(int(round(_BLEEDING_ROWS * self.size / 4096)), 1)
        excess = np.maximum(dn - saturation, 0)
        out = np.minimum(dn, saturation)
        for step in range(1, reach + 1):
            share = excess / (2 * reach)
            out[step:] += share[:-step]
            out[:-step] += share[step:]
        return np.minimum(out, saturation)


def _poisson(mean: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw photon counts; large ones as normal, which is as good there."""
    out = mean + np.sqrt(mean) * generator.standard_normal(mean.shape, dtype=np.float32)
    few = mean < _MANY_PHOTONS
    out[few] = generator.poisson(mean[few])
    return out
