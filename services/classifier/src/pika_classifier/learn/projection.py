"""Raw features → the space in which heads are trained: standardised, invariant, few axes.

Everything is linear, so that a head found there is one vector over the raw features.
"""

from dataclasses import dataclass

import numpy as np

_OVERSAMPLING, _POWER_STEPS = 20, 4
_FLOOR = 0.1
"""Added to a feature's standard deviation, as a share of the mean one of its block."""


@dataclass(frozen=True, eq=False)
class Projection:
    """x ↦ (x − mean) · axes; mean float32 (F,), axes float32 (F, K)."""

    mean: np.ndarray
    axes: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Map raw features (N, F) to float32 (N, K)."""
        projected: np.ndarray = (features - self.mean) @ self.axes
        return projected


def fit_projection(
    unlabelled: np.ndarray,
    variations: np.ndarray,
    widths: list[int],
    weights: list[float],
    *,
    invariance: float,
    num_axes: int,
    seed: int = 0,
) -> Projection:
    """Fit the projection to unlabelled pictures.

    Each block is standardised by the pile. Directions in which a picture's own variations differ are shrunk:
    within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006), each picture being its own
    class, with its covariance C regularised to (C + invariance · tr C / F)^−½. Then the pile's principal axes
    are kept.

    Args:
        unlabelled: raw features (N, F) of the pile.
        variations: raw features (V, M, F) of M pictures in V variations each; V may be 0.
        widths: of the blocks in order; their sum is F.
        weights: of the blocks. A block, shrunk or not, has mean square `weight²` in total.

    Raises:
        ValueError: fewer than two pictures, or widths that do not sum to F.
    """
    if len(unlabelled) < 2 or sum(widths) != unlabelled.shape[1]:
        raise ValueError(
            f"expected two pictures or more with {sum(widths)} features, received {unlabelled.shape}"
        )
    mean = unlabelled.mean(axis=0)
    matrices, start = [], 0
    for width, weight in zip(widths, weights, strict=True):
        part = slice(start, start + width)
        matrix = _block(unlabelled[:, part] - mean[part], variations[..., part], invariance)
        moved = (unlabelled[:, part] - mean[part]) @ matrix
        matrices.append(matrix * (weight / np.sqrt(max((moved**2).sum(axis=1).mean(), 1e-12))))
        start += width
    moved = _apply_blocks(unlabelled - mean, matrices)
    axes = _principal_axes(moved, min(num_axes, *moved.shape), seed)
    starts = np.cumsum([0, *widths[:-1]])
    rows = [
        matrix @ axes[start : start + len(matrix)] for start, matrix in zip(starts, matrices, strict=True)
    ]
    return Projection(mean.astype(np.float32), np.concatenate(rows).astype(np.float32))


def _block(centred: np.ndarray, variations: np.ndarray, invariance: float) -> np.ndarray:
    """Return the matrix (W, W) that standardises one block and shrinks variation within a picture."""
    deviations = centred.std(axis=0)
    # Limits the scaling of features that are nearly constant.
    scale = 1 / (deviations + _FLOOR * deviations.mean() + 1e-6)
    if variations.shape[0] < 2 or not variations.shape[1]:
        return np.diag(scale)
    within = ((variations - variations.mean(axis=0)) * scale).reshape(-1, len(scale))
    covariance = within.T @ within / (within.shape[0] * (1 - 1 / variations.shape[0]))
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    values = np.maximum(values, 0.0)
    shrunk = 1 / np.sqrt(values + invariance * max(values.mean(), 1e-12))
    matrix: np.ndarray = scale[:, None] * ((vectors * shrunk) @ vectors.T)
    return matrix


def _apply_blocks(centred: np.ndarray, matrices: list[np.ndarray]) -> np.ndarray:
    ends = np.cumsum([len(matrix) for matrix in matrices])
    parts = [centred[:, end - len(matrix) : end] @ matrix for end, matrix in zip(ends, matrices, strict=True)]
    return np.concatenate(parts, axis=1)


def _principal_axes(x: np.ndarray, num_axes: int, seed: int) -> np.ndarray:
    """Return the principal axes (F, K) of centred rows (N, F) (Halko, Martinsson and Tropp 2011)."""
    rng = np.random.default_rng(seed)
    width = min(num_axes + _OVERSAMPLING, *x.shape)
    basis = np.linalg.qr(x @ rng.standard_normal((x.shape[1], width)))[0]
    for _ in range(_POWER_STEPS):
        basis = np.linalg.qr(x @ (x.T @ basis))[0]
    _, _, axes = np.linalg.svd(basis.T @ x, full_matrices=False)
    return axes[:num_axes].T
