"""How good the drawn pictures are: KID on held-out pictures, diversity, nearness to training pictures.

KID is the unbiased squared maximum mean discrepancy with the kernel (x·y/d + 1)³ (Bińkowski et al. 2018,
arXiv:1801.01401), here in the feature space of `features`, standardised by the training pictures and clipped.
0 means "as the held-out pictures"; being unbiased it may come out slightly negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pika_gan.data import Dataset
from pika_gan.features import FEATURE_VERSION, features_of
from pika_gan.generate import generator_for

NEAR_COPY_QUANTILE = 0.05
COLLAPSE_BELOW = 0.25  # mean pairwise distance, as a share of the training pictures'
NUM_BOOTSTRAP = 200
CLIP = 5.0  # standard deviations


def kid(generated: np.ndarray, reference: np.ndarray) -> float:
    """Unbiased KID between features (M, D) and (N, D); needs two rows on each side."""
    if min(len(generated), len(reference)) < 2:
        raise ValueError(f"KID: expected two pictures a side, received {len(generated)} and {len(reference)}")
    return _kid_of_kernels(
        _kernel(generated, generated), _kernel(reference, reference), _kernel(generated, reference)
    )


def kid_interval(
    generated: np.ndarray, reference: np.ndarray, seed: int = 0, num_bootstrap: int = NUM_BOOTSTRAP
) -> tuple[float, float]:
    """95 % interval of the KID: pictures on both sides are drawn anew, with replacement, `num_bootstrap`
    times.

    A picture drawn twice would count as a pair of equals; such pairs are left out, so that no bias enters.
    """
    xx, yy, xy = _kernel(generated, generated), _kernel(reference, reference), _kernel(generated, reference)
    random = generator_for(seed, 3)
    values = []
    for _ in range(num_bootstrap):
        left = np.bincount(random.integers(len(xx), size=len(xx)), minlength=len(xx)).astype(float)
        right = np.bincount(random.integers(len(yy), size=len(yy)), minlength=len(yy)).astype(float)
        values.append(_within(xx, left) + _within(yy, right) - 2 * _between(xy, left, right))
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def _kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left @ right.T / left.shape[1] + 1.0) ** 3


def _kid_of_kernels(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> float:
    ones = np.ones(len(xx)), np.ones(len(yy))
    return float(_within(xx, ones[0]) + _within(yy, ones[1]) - 2 * _between(xy, *ones))


def _within(kernel: np.ndarray, weights: np.ndarray) -> float:
    pairs = weights.sum() ** 2 - (weights**2).sum()
    return float((weights @ kernel @ weights - (weights**2) @ np.diag(kernel)) / max(pairs, 1e-12))


def _between(kernel: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ kernel @ right / (left.sum() * right.sum()))


def mean_pairwise_distance(pictures: np.ndarray, maximum: int = 256) -> float:
    """Mean root-mean-square distance between two different pictures, uint8 (N, S, S, 3), on the 0–255
    scale.
    """
    flat = pictures[:maximum].reshape(len(pictures[:maximum]), -1).astype(np.float64)
    if len(flat) < 2:
        return 0.0
    squared = (flat**2).sum(1)
    distances = np.sqrt(np.maximum(squared[:, None] + squared[None] - 2 * flat @ flat.T, 0) / flat.shape[1])
    return float(distances.sum() / (len(flat) * (len(flat) - 1)))


@dataclass(frozen=True)
class Evaluation:
    """One measurement. `diversity` is relative to the training pictures'; distances are in feature space."""

    kid: float
    kid_interval: tuple[float, float] | None
    diversity: float
    near_copy_rate: float
    num_generated: int

    @property
    def collapsed(self) -> bool:
        """Whether the pictures are copies of one another."""
        return self.diversity < COLLAPSE_BELOW

    def to_json(self) -> dict[str, object]:
        """For logs and cards, with the definitions' names."""
        return {
            "kid": self.kid,
            "kid_interval": list(self.kid_interval) if self.kid_interval else None,
            "diversity": self.diversity,
            "near_copy_rate": self.near_copy_rate,
            "near_copy_rate_of_held_out": NEAR_COPY_QUANTILE,
            "num_generated": self.num_generated,
            "feature_version": FEATURE_VERSION,
            "collapsed": self.collapsed,
        }


class Evaluator:
    """Reference statistics of one data set, computed once."""

    def __init__(self, dataset: Dataset) -> None:
        train = features_of(dataset.train)
        self.mean, self.deviation = train.mean(0), train.std(0) + 1e-6
        self.train = self._standardised(train)
        both_ways = np.concatenate(
            [dataset.held_out, dataset.held_out[:, :, ::-1]]
        )  # trained on mirrored too
        self.held_out = self._standardised(features_of(both_ways))
        held_out_nearest = nearest(self.held_out, self.train)[0]
        self.near_copy_distance = float(np.quantile(held_out_nearest, NEAR_COPY_QUANTILE))
        self.train_distance = mean_pairwise_distance(dataset.train)

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        # Clipped: one early, absurd picture would otherwise rule the cubic kernel.
        return np.clip((features - self.mean) / self.deviation, -CLIP, CLIP)

    def evaluate(self, pictures: np.ndarray, *, interval: bool = False) -> Evaluation:
        """Measures generated pictures uint8 (N, S, S, 3).

        A near copy lies closer to some training picture than all but 5 % of the held-out pictures do; so a
        rate of 0.05 is what pictures that were never trained on have.
        """
        features = self._standardised(features_of(pictures))
        return Evaluation(
            kid=kid(features, self.held_out),
            kid_interval=kid_interval(features, self.held_out) if interval else None,
            diversity=mean_pairwise_distance(pictures) / max(self.train_distance, 1e-9),
            near_copy_rate=float((nearest(features, self.train)[0] < self.near_copy_distance).mean()),
            num_generated=len(pictures),
        )

    def nearest_training(self, pictures: np.ndarray) -> np.ndarray:
        """Index of the nearest training picture for each of uint8 (N, S, S, 3)."""
        return nearest(self._standardised(features_of(pictures)), self.train)[1]


def nearest(queries: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distance to, and index of, the nearest candidate, for each query."""
    squared = (queries**2).sum(1)[:, None] + (candidates**2).sum(1)[None] - 2 * queries @ candidates.T
    index = squared.argmin(1)
    return np.sqrt(np.maximum(squared[np.arange(len(queries)), index], 0)), index
