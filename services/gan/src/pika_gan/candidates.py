"""Choose among candidates: draw pictures for a seed until one is good enough.

A generator draws some pictures better than others, and a judge can tell them apart (see `networks.judge`).
The first one that it accepts is taken, not the best of all: usual poses have the highest scores, and of the
best of several there would soon be nothing else.
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


def preferred(scores: np.ndarray, accepted: np.ndarray) -> int:
    """Return which of a seed's candidates is shown: the first accepted one, or else the best.

    Args:
        scores: the judge's scores (C,).
        accepted: bool (C,), whether each is good enough.

    Returns:
        An index into `scores`; of equal scores, the first.
    """
    return int(accepted.argmax() if accepted.any() else scores.argmax())
