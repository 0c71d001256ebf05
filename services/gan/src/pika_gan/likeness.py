"""How many drawn pictures are put together as a real one is: eyes, cheeks and ears where they belong.

Pooled features count what is in a picture, not where: a face whose quarters are shuffled hardly moves in
them. So pictures are compared place by place in a map of an inner stage of a frozen network, by the cosine,
which a blurred picture cannot shorten. A drawn picture counts as whole where it is as near to some real ones
as nine in ten real ones are to others.
"""

from __future__ import annotations

import numpy as np

NUM_NEAREST = 3
QUANTILE = 0.1
"""One real picture in ten is odd itself: that near to the others counts as whole."""


class Likeness:
    """Compares with real pictures.

    Args:
        originals, mirrored: float (N, P, C), what is seen at P places of real pictures and of their mirror
            images, in the same order; N ≥ 2.
    """

    def __init__(self, originals: np.ndarray, mirrored: np.ndarray) -> None:
        self._mean = originals.mean(axis=(0, 1))
        self._deviation = originals.std(axis=(0, 1)) + 1e-3
        self._real = np.concatenate([self._unit(originals), self._unit(mirrored)])
        num = len(originals)
        own = self._real[:num] @ self._real.T
        rows = np.arange(num)
        own[rows, rows] = own[rows, num + rows] = -1.0  # neither with itself nor with its mirror image
        self.least = float(np.quantile(_mean_of_largest(own), QUANTILE))

    def cosines(self, places: np.ndarray) -> np.ndarray:
        """Float (M, P, C) → (M,): the mean cosine to the three nearest real pictures."""
        return _mean_of_largest(self._unit(places) @ self._real.T)

    def share(self, places: np.ndarray) -> float:
        """Of M pictures, how many are put together as real ones are, 0–1; 0.9 for real ones."""
        return float((self.cosines(places) >= self.least).mean())

    def _unit(self, places: np.ndarray) -> np.ndarray:
        rows = ((places - self._mean) / self._deviation).reshape(len(places), -1)
        unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return unit


def _mean_of_largest(cosines: np.ndarray) -> np.ndarray:
    num = min(NUM_NEAREST, cosines.shape[1])
    found: np.ndarray = -np.sort(-cosines, axis=1)[:, :num].mean(axis=1)
    return found
