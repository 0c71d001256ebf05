"""Choose among candidates: draw several pictures for a seed and show the one with the highest score.

A generator draws some pictures better than others, and a judge can tell them apart (see `networks.judge`).
No TensorFlow here: the front end uses it as well.
"""

from __future__ import annotations

import numpy as np

from pika_gan.latents import latent

CANDIDATES = 4
"""The number that a model card has figures for."""


def candidate_latents(seed: int, num: int, dim: int, truncation: float = 1.0) -> np.ndarray:
    """Return the latents of a seed's first `num` candidates, float32 (num, dim), scaled by `truncation`.

    The first is the seed's own latent. More candidates do not change the earlier ones.
    """
    rows = [latent(seed, dim, candidate) for candidate in range(num)]
    return np.stack(rows) * np.float32(truncation)


def preferred(scores: np.ndarray, num: int) -> np.ndarray:
    """Return the row of the highest score in each group of `num` consecutive ones.

    Args:
        scores: the judge's scores (G · num,).
        num: of candidates.

    Returns:
        Indices (G,) into `scores`; of equal scores, the first.
    """
    groups = scores.reshape(-1, num)
    return np.arange(len(groups)) * num + groups.argmax(axis=1)
