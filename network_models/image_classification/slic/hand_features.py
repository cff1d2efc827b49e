"""The baseline that a network must beat: 24 features made by hand and a logistic regression."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter, label, sobel
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dataset_models.solar_scenes.classes import OUTPUTS
from tools.long_work.processes import usable_processes

__all__ = ["FEATURES", "HandFeatureClassifier", "hand_features"]

# z is brightness less its mean, by its standard deviation: gain and offset do not count
FEATURES = {
    "skewness": "mean of z^3",
    "kurtosis": "log of the mean of z^4",
    "percentile 1": "of z, as all percentiles",
    "percentile 5": "",
    "percentile 25": "",
    "percentile 50": "",
    "percentile 75": "",
    "percentile 95": "",
    "percentile 99": "",
    "dark area": "share of pixels with z < -1.5",
    "bright area": "share of pixels with z > 1.5",
    "largest dark blob": "share of pixels in the largest connected one of them",
    "largest bright blob": "",
    "length of the dark blob": "log of the ratio of its axes, from second moments",
    "length of the bright blob": "",
    "gradient": "log of the mean of |grad z| per pixel",
    "gradient peaks": "log of the 99th percentile of |grad z| by its mean",
    "anisotropy": "coherence of the structure tensor of the whole image, 0 to 1",
    "local anisotropy": "mean coherence of the structure tensor over 3 pixels",
    "slope of large scales": "of log power over log wave number, 2 to 8 cycles per image",
    "slope of small scales": "from 8 cycles per image to two thirds of the Nyquist frequency",
    "share of large scales": "of the power below 3 cycles per image",
    "unevenness of brightness": "standard deviation of the means of 4 x 4 blocks of z",
    "unevenness of contrast": "standard deviation of log standard deviation of these blocks",
}
_DARK, _BRIGHT = -1.5, 1.5
_SMOOTH = 3.0  # pixels
_LARGEST = 8.0  # z is clipped here: a hot pixel is not a feature
_LEAST = 1e-3
_ITERATIONS = 3000


def hand_features(images: np.ndarray) -> np.ndarray:
    """Describe images by 24 numbers that do not depend on gain and offset.

    Parameters
    ----------
    images : (batch, y, x) float
        Brightness in any unit, without missing pixels, at least 16 x 16.

    Returns
    -------
    (batch, 24) float64
        In the order of ``FEATURES``.

    Raises
    ------
    ValueError
        If the shape is another one or a pixel is not finite.
    """
    images = np.asarray(images)
    if images.ndim != 3 or min(images.shape[1:]) < 16:
        raise ValueError(
            f"expected images (batch, y, x) of at least 16 x 16 pixels, got the shape "
            f"{images.shape}; leave out the channel axis"
        )
    if not np.isfinite(images).all():
        raise ValueError("hand features need finite pixels; fill the missing ones first")
    with ThreadPoolExecutor(usable_processes()) as threads:  # filters and sorts leave Python's lock
        rows = list(threads.map(_features, images))
    return np.array(rows).reshape(len(images), len(FEATURES))


def _features(image: np.ndarray) -> list[float]:
    image = image.astype(np.float64)
    image = image - image.mean()
    spread = image.std()
    z = np.clip(image / spread, -_LARGEST, _LARGEST) if spread > 0 else image
    dark, bright = z < _DARK, z > _BRIGHT
    blobs = [_largest_blob(dark), _largest_blob(bright)]
    return [
        (z**3).mean(),
        np.log(max((z**4).mean(), _LEAST)),
        *np.percentile(z, [1, 5, 25, 50, 75, 95, 99]),
        dark.mean(),
        bright.mean(),
        *(size for size, _ in blobs),
        *(length for _, length in blobs),
        *_gradients(z),
        *_spectrum(z),
        *_unevenness(z),
    ]


def _largest_blob(mask: np.ndarray) -> tuple[float, float]:
    """Return the share of pixels in the largest connected part, and the log ratio of its axes."""
    parts, n = label(mask)
    if n == 0:
        return 0.0, 0.0
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    y, x = np.nonzero(parts == counts.argmax())
    # a pixel's own extent, 1/12, keeps the axes of a line or a point from vanishing
    moments = np.cov(np.stack([y, x]), bias=True) + np.eye(2) / 12
    small, large = np.linalg.eigvalsh(moments)
    return len(y) / mask.size, 0.5 * np.log(large / small)


def _gradients(z: np.ndarray) -> list[float]:
    gy, gx = sobel(z, 0) / 8, sobel(z, 1) / 8
    size = np.hypot(gy, gx)
    mean = size.mean()
    products = (gy * gy, gx * gx, gx * gy)
    local = _coherence(*(gaussian_filter(p, _SMOOTH) for p in products)).mean()
    whole = _coherence(*(p.mean() for p in products))
    peaks = np.log(max(np.percentile(size, 99), _LEAST) / max(mean, _LEAST))
    return [np.log(max(mean, _LEAST)), peaks, float(whole), local]


def _coherence(yy, xx, xy):
    """Return the difference of a tensor's eigenvalues by their sum, 0 to 1."""
    return np.sqrt((yy - xx) ** 2 + 4 * xy**2) / np.maximum(yy + xx, _LEAST**2)


def _spectrum(z: np.ndarray) -> list[float]:
    """Return two slopes of the spectrum and the share of large scales."""
    ny, nx = z.shape
    window = np.outer(np.hanning(ny), np.hanning(nx))
    power = np.abs(rfft2((z - z.mean()) * window)) ** 2
    power[:, 1:] *= 2
    size = min(ny, nx)
    k = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)) * size
    ring = np.rint(k).astype(int)
    total = np.bincount(ring.ravel(), power.ravel())
    mean = total / np.maximum(np.bincount(ring.ravel()), 1)
    share = total[:3].sum() / max(total.sum(), _LEAST)
    return [_slope(mean, 2, 8), _slope(mean, 8, size // 3), share]


def _slope(mean: np.ndarray, first: int, last: int) -> float:
    rings = np.arange(first, max(last, first + 1) + 1)
    x, y = np.log(rings), np.log(mean[rings] + 1e-9)
    return float(np.cov(x, y, bias=True)[0, 1] / x.var())


def _unevenness(z: np.ndarray) -> list[float]:
    rows, columns = (np.array_split(np.arange(n), 4) for n in z.shape)
    blocks = [z[r[0] : r[-1] + 1, c[0] : c[-1] + 1] for r in rows for c in columns]
    spread = np.log(np.maximum([block.std() for block in blocks], 1e-2))
    return [float(np.std([block.mean() for block in blocks])), float(spread.std())]


class HandFeatureClassifier:
    """Logistic regression on standardised hand features; plain arrays once it is fitted.

    Parameters
    ----------
    n_outputs : int
        Length of a row of probabilities; 6 for ``OUTPUTS``, 5 for ``CLASSES``.
    regularisation : float
        ``C`` of the regression: larger is weaker.
    """

    def __init__(self, *, n_outputs: int = len(OUTPUTS), regularisation: float = 1.0):
        self.n_outputs, self.regularisation = n_outputs, regularisation
        self.mean = self.scale = self.weights = self.offset = self.classes = None

    def fit(self, images: np.ndarray, kinds: np.ndarray) -> HandFeatureClassifier:
        """Learn from images (sample, y, x) and the index of each one's class, (sample,) int.

        Raises
        ------
        ValueError
            If a class is out of range or there are fewer than two.
        """
        kinds = np.asarray(kinds, int)
        if len(np.unique(kinds)) < 2 or kinds.min() < 0 or kinds.max() >= self.n_outputs:
            raise ValueError(
                f"expected at least two classes, numbered 0 to {self.n_outputs - 1}, got "
                f"{np.unique(kinds).tolist()}"
            )
        features = hand_features(images)
        scaler = StandardScaler().fit(features)
        model = LogisticRegression(C=self.regularisation, max_iter=_ITERATIONS)
        model.fit(scaler.transform(features), kinds)
        self.mean, self.scale = scaler.mean_, scaler.scale_
        self.weights, self.offset, self.classes = model.coef_, model.intercept_, model.classes_
        if len(self.classes) == 2:  # scikit-learn gives one row for two classes
            self.weights = np.concatenate([0 * self.weights, self.weights])
            self.offset = np.concatenate([0 * self.offset, self.offset])
        return self

    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities (sample, n_outputs) float64 of images (sample, y, x); rows sum to 1.

        Classes that were not learnt have none.

        Raises
        ------
        ValueError
            If nothing was learnt.
        """
        if self.weights is None:
            raise ValueError("this classifier has learnt nothing; call fit first")
        features = (hand_features(images) - self.mean) / self.scale
        logits = features @ self.weights.T + self.offset
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        out = np.zeros((len(features), self.n_outputs))
        out[:, self.classes] = share / share.sum(axis=1, keepdims=True)
        return out
