"""What the front end draws with: a loaded version, followed as the current one changes."""

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
    """One version, ready to draw."""

    version: str
    latent_dim: int
    resolution: int
    runtime: Runtime

    def pictures_of(self, latents: np.ndarray) -> np.ndarray:
        """Latents (N, latent_dim) float32 → float32 (N, S, S, 3) in [-1, 1], drawn together."""
        return self.runtime.run({"latents": latents})["pictures"]

    def draw(self, latents: np.ndarray) -> np.ndarray:
        """Latents (N, latent_dim) float32 → uint8 (N, S, S, 3).

        One picture at a time: sums over a batch may be ordered otherwise than over one picture, and a seed's
        bytes shall not depend on what else was asked for.
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
