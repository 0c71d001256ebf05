"""Confidence intervals of figures from few labels: by resampling, and Wilson's for a proportion."""

import math
from collections.abc import Callable

import numpy as np

NUM_RESAMPLES = 1000
_LEVEL = (0.025, 0.975)
Figure = Callable[[np.ndarray, np.ndarray], float]


def wilson(share: float, num: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a proportion observed `num` times (Wilson 1927)."""
    middle = (share + z * z / (2 * num)) / (1 + z * z / num)
    half = z / (1 + z * z / num) * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return max(0.0, middle - half), min(1.0, middle + half)


def interval(
    figure: Figure, is_pikachu: np.ndarray, scores: np.ndarray, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of a figure, resampling each kind separately (Efron 1979).

    Args:
        figure: `metrics.roc_auc` or another function of (is_pikachu, scores).

    Returns:
        (low, high), or None if one of the two kinds is missing.
    """
    resampled = _resampled(is_pikachu, seed, lambda rows: figure(is_pikachu[rows], scores[rows]))
    return None if resampled is None else _quantiles(resampled)


def paired_difference(
    figure: Figure, is_pikachu: np.ndarray, base: np.ndarray, other: np.ndarray, seed: int = 0
) -> tuple[float, tuple[float, float]] | None:
    """Return how much larger a figure is for `other` than for `base`, with its 95 % interval.

    Pairs are resampled together, so pictures that are hard for both do not widen the interval.
    """

    def difference(rows: np.ndarray) -> float:
        return figure(is_pikachu[rows], other[rows]) - figure(is_pikachu[rows], base[rows])

    resampled = _resampled(is_pikachu, seed, difference)
    return None if resampled is None else (difference(np.arange(is_pikachu.size)), _quantiles(resampled))


def _resampled(is_pikachu: np.ndarray, seed: int, figure: Callable[[np.ndarray], float]) -> np.ndarray | None:
    kinds = [np.flatnonzero(is_pikachu), np.flatnonzero(~np.asarray(is_pikachu, bool))]
    if not all(rows.size for rows in kinds):
        return None
    rng = np.random.default_rng(seed)
    draws = (np.concatenate([rng.choice(rows, rows.size) for rows in kinds]) for _ in range(NUM_RESAMPLES))
    return np.array([figure(rows) for rows in draws])


def _quantiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, _LEVEL)
    return float(low), float(high)
