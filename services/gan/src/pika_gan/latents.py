"""Seeds → latents → pictures without TensorFlow, as the front end needs it.

A latent is a function of its seed alone. The raw 64-bit stream of Philox (a counter-based generator, Salmon
et al. 2011), which numpy guarantees never to change, is converted to normal numbers here by the Box–Muller
transform, because numpy makes no such guarantee for `standard_normal`.
"""

from __future__ import annotations

import numpy as np

MAX_SEED = 2**32 - 1


def generator_for(*key: int) -> np.random.Generator:
    """Create a numpy generator that depends only on these integers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def latent(seed: int, dim: int, candidate: int = 0) -> np.ndarray:
    """Return standard normal float32 (dim,) for one seed in 0 … MAX_SEED.

    Further candidates of a seed (see `candidates`) have the second word of Philox's key for themselves.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed: expected 0 to {MAX_SEED}, received {seed}")
    pairs = (dim + 1) // 2
    raw = np.random.Philox(key=seed + (candidate << 64)).random_raw(2 * pairs).reshape(2, pairs)
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53  # in (0, 1)
    radius, angle = np.sqrt(-2 * np.log(uniform[0])), 2 * np.pi * uniform[1]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:dim].astype(np.float32)


def latents_of(seeds: list[int], dim: int, truncation: float = 1.0) -> np.ndarray:
    """Return latents (N, dim) float32 for several seeds, scaled by `truncation`.

    Smaller values of `truncation` (0 … 1) give plainer pictures that are more alike.
    """
    if not seeds:
        return np.zeros((0, dim), np.float32)
    return np.stack([latent(seed, dim) for seed in seeds]) * np.float32(truncation)


def to_uint8(pictures: np.ndarray) -> np.ndarray:
    """Convert float [-1, 1] to uint8, rounded."""
    return np.clip(np.rint((pictures + 1.0) * 127.5), 0, 255).astype(np.uint8)


def from_uint8(pictures: np.ndarray) -> np.ndarray:
    """Convert uint8 to float32 in [-1, 1], the range in which networks draw and look."""
    return pictures.astype(np.float32) / 127.5 - 1.0
