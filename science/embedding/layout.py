"""t-SNE of features, by openTSNE, with a place for new samples and a measure of what it keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from openTSNE import TSNE, TSNEEmbedding
from sklearn.neighbors import NearestNeighbors

from tools.long_work.processes import usable_processes

__all__ = ["Layout", "lay_out", "neighbours_kept"]

_NEIGHBOURS = 10
_QUERIES = 2000


@dataclass(frozen=True)
class Layout:
    """Samples in the plane.

    Attributes
    ----------
    places : (sample, 2) float
    features : (sample, feature) float32
        Scaled as they were laid out.
    neighbours_kept : float
        Share of the 10 nearest neighbours that are still among them.
    """

    places: np.ndarray
    features: np.ndarray
    neighbours_kept: float
    _embedding: TSNEEmbedding
    _centre: np.ndarray
    _scale: float

    def place(self, features: np.ndarray) -> np.ndarray:
        """Return the places of new samples, (sample, 2)."""
        placed = np.asarray(self._embedding.transform((features - self._centre) / self._scale))
        # openTSNE moves the whole plane, its own points included, before it places new ones
        return placed - (np.asarray(self._embedding) - self.places).mean(axis=0)

    def nearest(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the samples in the order of their distance to a vector, and the distances."""
        away = np.linalg.norm(self.features - (vector - self._centre) / self._scale, axis=1)
        order = np.argsort(away, kind="stable")
        return order, away[order]


def lay_out(features: np.ndarray, *, perplexity: float, seed: int) -> Layout:
    """Lay features out in the plane.

    L. van der Maaten and G. Hinton, J. Mach. Learn. Res. 9 (2008) 2579; the interpolation of
    G. Linderman et al. (arXiv:1712.09005). It starts from the principal components.

    Parameters
    ----------
    features : (sample, feature) float
    perplexity : float
    seed : int

    Raises
    ------
    ValueError
        If there is one feature only, or they are the same for all samples.
    """
    if features.shape[1] < 2:
        raise ValueError(
            "a layer of one unit is laid out on a line, not in the plane: choose another --layer"
        )
    if np.ptp(features, axis=0).max() == 0:
        raise ValueError(
            "all samples have the same features, so nothing tells them apart: choose another "
            "--layer, or other samples"
        )
    centre = features.mean(axis=0)
    scale = float(features.std()) or 1.0
    scaled = ((features - centre) / scale).astype(np.float32)
    embedding = TSNE(
        perplexity=perplexity,
        initialization="pca",
        n_jobs=usable_processes(),
        random_state=seed,
        negative_gradient_method="fft" if len(features) > 5000 else "bh",
    ).fit(scaled)
    places = np.array(embedding)
    kept = neighbours_kept(scaled, places, seed=seed)
    return Layout(places, scaled, kept, embedding, centre, scale)


def neighbours_kept(features: np.ndarray, places: np.ndarray, *, seed: int = 0) -> float:
    """Return the share of the 10 nearest neighbours that are kept, on 2,000 samples at most."""
    k = min(_NEIGHBOURS, len(features) - 1)
    generator = np.random.default_rng(seed)
    some = generator.permutation(len(features))[:_QUERIES]
    near = [
        NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x[some], return_distance=False)[:, 1:]
        for x in (features, places)
    ]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*near, strict=True)]))
