"""The generator that the front end draws with: a loaded version, followed as the current one changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pika_gan.latents import to_uint8
from pika_kit.following import Follower
from pika_kit.models import Registry
from pika_kit.runtimes import Runtime
from pika_kit.settings import Settings
from pika_kit.storage import Store

REGISTRY_NAME = "gan"
FILES = {"sheet": "best.png", "film": "film.webp", "walk": "walk.webp", "nearest": "nearest.png"}
"""What every version has beside its networks, to be looked at."""


@dataclass(frozen=True)
class LoadedModel:
    """One loaded version."""

    version: str
    latent_dim: int
    resolution: int
    runtime: Runtime

    def pictures_of(self, latents: np.ndarray) -> np.ndarray:
        """Draw latents (N, latent_dim) float32 as one batch: float32 (N, S, S, 3) in [-1, 1]."""
        return self.runtime.run({"latents": latents})["pictures"]

    def draw(self, latents: np.ndarray) -> np.ndarray:
        """Draw latents (N, latent_dim) float32 one by one: uint8 (N, S, S, 3).

        A batch may be summed in another order than a single picture, and a seed's bytes must not depend on
        what else was requested.
        """
        pictures = [self.runtime.run({"latents": row[None]})["pictures"][0] for row in latents]
        return to_uint8(np.stack(pictures))


def follow(settings: Settings, store: Store) -> Follower[LoadedModel]:
    """The generators: the current version, and a few others on request."""
    return Follower(Registry(store, REGISTRY_NAME), settings, _warm)


def _warm(version: str, runtime: Runtime, card: dict[str, Any]) -> LoadedModel:
    model = LoadedModel(version, card["latent_dim"], card["resolution"], runtime)
    model.draw(np.zeros((1, model.latent_dim), np.float32))
    return model
