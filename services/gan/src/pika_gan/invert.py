"""Find the latent whose picture is closest to a given one: projection, or GAN inversion.

Uses the Levenberg–Marquardt method: a latent has about a hundred numbers, and drawing a hundred pictures with
one number changed slightly in each gives the Jacobian by finite differences. This needs only the exported
generator, no gradients and no TensorFlow, and converges in about half a dozen rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pika_gan.latents import latents_of

Draw = Callable[[np.ndarray], np.ndarray]
"""Latents (N, latent_dim) float32 → pictures (N, S, S, 3) float32 in [-1, 1]."""

COMPARED_SIDE = 32
"""Pictures are compared in means of so many by so many squares: where things are, not each hair."""
NUM_STARTS = 192
"""Seeds that are tried as beginnings."""
NUM_ROUNDS = 6
STEP = 0.05
"""How far each number of a latent is moved to see what it does."""
PRIOR = 1e-3
"""Weight of the latent's own square: far from 0 a generator draws what it was never trained on."""
DAMPINGS = (0.01, 0.1, 1.0, 10.0)
"""Tried in each round, as shares of the mean curvature; the best one is taken."""
ENOUGH = 1e-3
"""A round that gains a smaller share than this is the last one."""
_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Projection:
    """The result.

    Attributes:
        latent: (latent_dim,) float32.
        picture: (S, S, 3) float32 in [-1, 1], what the generator draws from it.
        distance: root mean square difference of the compared block means, 0–1, where 1 is black to white.
    """

    latent: np.ndarray
    picture: np.ndarray
    distance: float


def project(draw: Draw, target: np.ndarray, latent_dim: int) -> Projection:
    """Find the latent whose picture is closest to `target` (S, S, 3) float32 in [-1, 1]."""
    wanted = _compared(target[None])[0]

    def seen(latents: np.ndarray) -> np.ndarray:
        parts = [draw(latents[i : i + _AT_ONCE]) for i in range(0, len(latents), _AT_ONCE)]
        return _compared(np.concatenate(parts)) - wanted

    def costs(latents: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.square(residuals).mean(axis=1) + PRIOR * np.square(latents).mean(axis=1)
        return total

    starts = latents_of(list(range(NUM_STARTS)), latent_dim)
    residuals = seen(starts)
    best = int(costs(starts, residuals).argmin())
    latent, residual = starts[best], residuals[best]
    cost = float(costs(latent[None], residual[None])[0])
    for _ in range(NUM_ROUNDS):
        moved = latent + STEP * np.eye(latent_dim, dtype=np.float32)
        jacobian = (seen(moved) - residual) / STEP  # (latent_dim, compared)
        tried = latent + _steps(jacobian, residual, latent)
        residuals = seen(tried)
        tried_costs = costs(tried, residuals)
        best = int(tried_costs.argmin())
        if not tried_costs[best] < cost:
            break
        gain = (cost - tried_costs[best]) / cost
        latent, residual, cost = tried[best], residuals[best], float(tried_costs[best])
        if gain < ENOUGH:
            break
    distance = float(np.sqrt(np.square(residual).mean())) / 2
    return Projection(latent, draw(latent[None])[0], distance)


def _steps(jacobian: np.ndarray, residual: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """Return the step for each damping, (len(DAMPINGS), latent_dim) float32."""
    rows = jacobian.astype(np.float64)
    curvature = rows @ rows.T / residual.size
    dim = len(latent)
    curvature[np.diag_indices(dim)] += PRIOR / dim
    downhill = -(rows @ residual / residual.size + PRIOR / dim * latent)
    usual = np.trace(curvature) / dim
    steps = [np.linalg.solve(curvature + damping * usual * np.eye(dim), downhill) for damping in DAMPINGS]
    return np.stack(steps).astype(np.float32)


def _compared(pictures: np.ndarray) -> np.ndarray:
    """Average (N, S, S, 3) over squares of pixels: (N, side · side · 3)."""
    num, size = pictures.shape[:2]
    side = min(size, COMPARED_SIDE)
    squares = pictures.reshape(num, side, size // side, side, size // side, 3)
    means: np.ndarray = squares.mean(axis=(2, 4)).reshape(num, -1)
    return means
