"""How many drawn pictures have the structure of a real one: eyes, cheeks and ears where they belong.

Pooled features count what a picture contains, not where: they hardly change when a face's quarters are
shuffled. So pictures are compared place by place in the feature map of an inner stage of a frozen network, by
the cosine, which blur does not shorten. A drawn picture counts as whole if it is about as close to some real
ones as nine in ten real ones are to others, and closer than torn ones, which keep the colours of real
pictures but none of their structure. Real pictures on busy backgrounds may be no closer to each other than
torn ones are to them; then there is no answer.
"""

from __future__ import annotations

import numpy as np

from pika_gan.latents import generator_for

NUM_NEAREST = 3
QUANTILE = 0.1
"""One real picture in ten is odd itself: that near to the others counts as whole."""
SHARE_OF_MEDIAN = 0.7
"""Pictures that are very much alike need not be matched more closely than to this share of what is usual."""
TORN_QUANTILE = 0.95
LEAST_REAL_SHARE = 0.5
"""Where fewer real pictures pass, the measure says nothing of drawn ones."""
NUM_TORN = 64
"""Pictures torn in each way."""
_TILES = 4  # per side


class Likeness:
    """Compare pictures with real ones.

    Args:
        originals, mirrored: float (N, P, C), features at P places of real pictures and of their mirror
            images, in the same order; N ≥ 2.
        torn: float (M, P, C), features of pictures without structure (`torn`).

    Attributes:
        least: the cosine from which a picture counts as whole.
        real_share: the share of real pictures that do, 0–1.
    """

    def __init__(self, originals: np.ndarray, mirrored: np.ndarray, torn: np.ndarray) -> None:
        self._mean = originals.mean(axis=(0, 1))
        self._deviation = originals.std(axis=(0, 1)) + 1e-3
        self._real = np.concatenate([self._unit(originals), self._unit(mirrored)])
        num = len(originals)
        own = self._real[:num] @ self._real.T
        rows = np.arange(num)
        own[rows, rows] = own[rows, num + rows] = -1.0  # neither with itself nor with its mirror image
        nearness = _mean_of_largest(own)
        as_real = min(np.quantile(nearness, QUANTILE), SHARE_OF_MEDIAN * np.median(nearness))
        self.least = float(max(as_real, np.quantile(self.cosines(torn), TORN_QUANTILE)))
        self.real_share = float((nearness >= self.least).mean())

    def cosines(self, places: np.ndarray) -> np.ndarray:
        """Map float (M, P, C) to (M,): the mean cosine to the three nearest real pictures."""
        return _mean_of_largest(self._unit(places) @ self._real.T)

    def share(self, places: np.ndarray) -> float | None:
        """Return the share of M pictures with the structure of real ones, 0–1; about 0.9 for real ones.

        None if real pictures do not stand out from torn ones.
        """
        if self.real_share < LEAST_REAL_SHARE:
            return None
        return float((self.cosines(places) >= self.least).mean())

    def _unit(self, places: np.ndarray) -> np.ndarray:
        return unit_vectors(places, self._mean, self._deviation)


def unit_vectors(places: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Standardise features at places, float (N, P, C), by (C,), and return unit vectors (N, P · C)."""
    rows = ((places - mean) / deviation).reshape(len(places), -1)
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _mean_of_largest(cosines: np.ndarray) -> np.ndarray:
    num = min(NUM_NEAREST, cosines.shape[1])
    means: np.ndarray = -np.sort(-cosines, axis=1)[:, :num].mean(axis=1)
    return means


def torn(pictures: np.ndarray) -> np.ndarray:
    """Destroy the structure of pictures uint8 (N, S, S, 3): shuffled tiles, shuffled pixels, mean colour.

    Returns at most NUM_TORN pictures of each kind. S must be a multiple of 4.
    """
    few = pictures[:: -(-len(pictures) // NUM_TORN)]
    random = generator_for(0, 5)
    num, side = few.shape[:2]
    kinds = []
    for tiles in (_TILES, side):
        size = side // tiles
        parts = few.reshape(num, tiles, size, tiles, size, 3).swapaxes(2, 3)
        parts = parts.reshape(num, tiles * tiles, size, size, 3)
        parts = np.stack([one[random.permutation(tiles * tiles)] for one in parts])
        parts = parts.reshape(num, tiles, tiles, size, size, 3).swapaxes(2, 3)
        kinds.append(parts.reshape(few.shape))
    colour = few.mean(axis=(1, 2), keepdims=True).astype(np.uint8)
    return np.concatenate([*kinds, np.broadcast_to(colour, few.shape)])
