"""The generator that the front end draws with: a loaded version, followed as the current one changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pika_gan.candidates import preferred
from pika_gan.latents import to_uint8
from pika_kit.following import Follower
from pika_kit.models import Registry
from pika_kit.runtimes import OnnxRuntime, Runtime
from pika_kit.settings import Settings
from pika_kit.storage import Store

REGISTRY_NAME = "gan"
FILES = {"sheet": "best.png", "film": "film.webp", "walk": "walk.webp", "nearest": "nearest.png"}
"""What every version has beside its networks, to be looked at."""
CRITIC_FILE = "critic.onnx"
"""The judge, or the projected critic of a version that was trained before there were judges."""


class NoCritic(LookupError):
    """Candidates are requested of a version that has nothing to choose among them."""


@dataclass(frozen=True)
class LoadedModel:
    """One loaded version."""

    version: str
    latent_dim: int
    resolution: int
    runtime: Runtime
    load_critic: Callable[[], Runtime] | None = None
    """None for a version without a critic."""

    @cached_property
    def _critic(self) -> Runtime:
        """Loaded by the first request for candidates: most requests do without."""
        if self.load_critic is None:
            raise NoCritic(f"{self.version} has no critic")
        return self.load_critic()

    def pictures_of(self, latents: np.ndarray) -> np.ndarray:
        """Draw latents (N, latent_dim) float32 as one batch: float32 (N, S, S, 3) in [-1, 1]."""
        return self.runtime.run({"latents": latents})["pictures"]

    def draw(self, latents: np.ndarray) -> np.ndarray:
        """Draw latents (N, latent_dim) float32 one by one: uint8 (N, S, S, 3).

        A batch may be summed in another order than a single picture, and a seed's bytes must not depend on
        what else was requested.
        """
        return to_uint8(np.stack([self.pictures_of(row[None])[0] for row in latents]))

    def draw_preferred(self, candidates: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Draw the candidates (C, latent_dim) of each of N seeds until the critic accepts one.

        If it accepts none, the one with the highest score is kept; a critic of an earlier release accepts
        none.

        Returns:
            The pictures uint8 (N, S, S, 3), and their latents (N, latent_dim).

        Raises:
            NoCritic: this version has none.
        """
        critic, kept = self._critic, []
        for latents in candidates:
            drawn: list[np.ndarray] = []
            scores: list[float] = []
            accepted: list[bool] = []
            for row in latents:
                drawn.append(self.pictures_of(row[None]))  # one by one, as in `draw`
                judged = critic.run({"pictures": drawn[-1]})
                scores.append(judged["scores"][0])
                accepted.append(bool(judged.get("accepted", [False])[0]))
                if accepted[-1]:
                    break
            best = preferred(np.array(scores), np.array(accepted))
            kept.append((drawn[best][0], latents[best]))
        pictures, chosen = zip(*kept, strict=True)
        return to_uint8(np.stack(pictures)), np.stack(chosen)


def follow(settings: Settings, store: Store) -> Follower[LoadedModel]:
    """The generators: the current version, and a few others on request."""
    registry = Registry(store, REGISTRY_NAME)

    def load(version: str, runtime: Runtime, card: dict[str, Any]) -> LoadedModel:
        def load_critic() -> Runtime:
            _, folder, _ = registry.fetch(version, settings.state_dir / "models", CRITIC_FILE)
            return OnnxRuntime(folder / CRITIC_FILE)

        has_critic = card.get("critic") is not None
        model = LoadedModel(
            version, card["latent_dim"], card["resolution"], runtime, load_critic if has_critic else None
        )
        model.draw(np.zeros((1, model.latent_dim), np.float32))  # warms it up
        return model

    return Follower(registry, settings, load)
