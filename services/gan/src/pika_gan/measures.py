"""Distances between sets of pictures in a feature space; numpy only.

Every function takes features float (N, D), one row per picture. A GAN's training set is closed under
mirroring: a picture and its mirror image are one observation, not two. `Reference` holds both and pairs them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_NEIGHBOURS = 5
_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of pictures (N, D) and of their mirror images (N, D), in the same order."""

    originals: np.ndarray
    mirrored: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """(2N, D): the originals, then the mirror images."""
        return np.concatenate([self.originals, self.mirrored])


def kid(generated: np.ndarray, reference: Reference) -> float:
    """KID (Bińkowski et al. 2018, arXiv:1801.01401): unbiased squared MMD, kernel (x·y / D + 1)³.

    0 means that the distributions are equal; the unbiased estimate may be slightly negative. A picture is
    never compared with itself or with its own mirror image, which is far more similar than two pictures are.

    Raises:
        ValueError: fewer than two pictures on a side.
    """
    xx, yy, xy = _kernels(generated, reference)
    return _kid(xx, yy, xy, np.ones(len(xx)), np.ones(len(yy)))


def kid_interval(
    generated: np.ndarray, reference: Reference, seed: int = 0, num_resamples: int = 500
) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the KID: both sides are resampled with replacement.

    A picture drawn twice is not compared with itself, which would bias the estimate.
    """
    xx, yy, xy = _kernels(generated, reference)
    random = np.random.Generator(np.random.Philox(seed))
    values = [
        _kid(xx, yy, xy, _drawn(random, len(xx)), _drawn(random, len(yy))) for _ in range(num_resamples)
    ]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _drawn(random: np.random.Generator, num: int) -> np.ndarray:
    """Count how often each of `num` pictures is drawn."""
    return np.bincount(random.integers(num, size=num), minlength=num).astype(float)


def _kernels(generated: np.ndarray, reference: Reference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute kernel values between pictures, (M, M), (N, N) and (M, N).

    The reference's values are averaged over a picture and its mirror image: this is the expectation for
    randomly mirrored pictures, and rows stay independent.
    """
    if min(len(generated), len(reference.originals)) < 2:
        raise ValueError(
            f"KID: expected two pictures a side, received {len(generated)} and {len(reference.originals)}"
        )
    a, b = reference.originals, reference.mirrored
    within = (_kernel(a, a) + _kernel(a, b) + _kernel(b, a) + _kernel(b, b)) / 4
    between = (_kernel(generated, a) + _kernel(generated, b)) / 2
    return _kernel(generated, generated), within, between


def _kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left @ right.T / left.shape[1] + 1.0) ** 3


def _kid(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    between = left @ xy @ right / (left.sum() * right.sum())
    return float(_within(xx, left) + _within(yy, right) - 2 * between)


def _within(kernel: np.ndarray, weights: np.ndarray) -> float:
    """Average over pairs of different pictures."""
    pairs = weights.sum() ** 2 - (weights**2).sum()
    return float((weights @ kernel @ weights - (weights**2) @ np.diag(kernel)) / max(pairs, 1e-12))


def fid(generated: np.ndarray, reference: np.ndarray) -> float:
    """Fréchet distance of the two sets' normal approximations (Heusel et al. 2017, arXiv:1706.08500).

    |μ₁ − μ₂|² + tr(C₁ + C₂ − 2 √(C₁C₂)). The trace of the root is the nuclear norm of A₁A₂ᵀ, where A are the
    centred rows over √(N − 1), which avoids the root of a D × D matrix and allows N < D. Few pictures bias it
    upwards: only compare figures of equal numbers of pictures.
    """
    sets = [np.asarray(rows, np.float64) for rows in (generated, reference)]
    centred = [(rows - rows.mean(axis=0)) / np.sqrt(max(len(rows) - 1, 1)) for rows in sets]
    traces = sum(float((rows**2).sum()) for rows in centred)
    root = float(np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum())
    return float(((sets[0].mean(axis=0) - sets[1].mean(axis=0)) ** 2).sum()) + traces - 2 * root


@dataclass(frozen=True)
class Manifolds:
    """How two sets overlap, with neighbourhoods that reach to the k-th neighbour.

    Attributes:
        precision, recall: share of the generated pictures in a real one's neighbourhood, and the other way
            round (Kynkäänniemi et al. 2019, arXiv:1904.06991).
        density: number of real neighbourhoods that contain a generated picture, over k.
        coverage: share of the real pictures whose neighbourhood contains a generated one (Naeem et al. 2020,
            arXiv:2002.09797).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(generated: np.ndarray, real: np.ndarray, k: int = NUM_NEIGHBOURS) -> Manifolds:
    """Compute the four figures; with fewer than k + 1 pictures on a side, use the neighbours there are."""
    between = distances(generated, real)
    real_radii, generated_radii = _radii(real, k), _radii(generated, k)
    in_real = between <= real_radii[None]
    return Manifolds(
        precision=float(in_real.any(axis=1).mean()),
        recall=float((between <= generated_radii[:, None]).any(axis=0).mean()),
        density=float(in_real.sum(axis=1).mean() / k),
        coverage=float(in_real.any(axis=0).mean()),
    )


def _radii(rows: np.ndarray, k: int) -> np.ndarray:
    """Return each row's distance to its k-th nearest other row."""
    between = distances(rows, rows)
    np.fill_diagonal(between, np.inf)
    return np.partition(between, min(k, len(rows) - 1) - 1, axis=1)[:, min(k, len(rows) - 1) - 1]


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return Euclidean distances (M, N)."""
    parts = []
    squares = (right**2).sum(axis=1)
    for start in range(0, len(left), _BLOCK):
        rows = left[start : start + _BLOCK]
        parts.append((rows**2).sum(axis=1)[:, None] + squares[None] - 2 * rows @ right.T)
    lengths: np.ndarray = np.sqrt(np.maximum(np.concatenate(parts), 0.0))
    return lengths


def effective_number(rows: np.ndarray, usual_distance: float) -> float:
    """Effective number of different pictures in a set: the Vendi score (Friedman and Dieng 2022, 2210.02410).

    The exponential of the entropy of the eigenvalues of K / N, with K = exp(−2 d² / u²) for pictures at
    distance d: N for pictures that are far apart, 1 for equal ones, never more than the number of different
    ones, and close to 1 for many that differ only slightly.

    Args:
        rows: features, float (N, D).
        usual_distance: u, between two different real pictures.
    """
    kernel = np.exp(-2 * (distances(rows, rows) / max(usual_distance, 1e-12)) ** 2)
    values = np.linalg.eigvalsh(kernel / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def mean_pairwise_distance(pictures: np.ndarray, maximum: int = 256) -> float:
    """Return the mean root-mean-square pixel distance of two different pictures uint8 (N, S, S, 3), 0–255."""
    flat = pictures[:maximum].reshape(len(pictures[:maximum]), -1).astype(np.float64)
    if len(flat) < 2:
        return 0.0
    return float(distances(flat, flat).sum() / np.sqrt(flat.shape[1]) / (len(flat) * (len(flat) - 1)))
