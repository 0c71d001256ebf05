"""The models of the front end: the current version, followed without a restart, and a few others on
request.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pika_gan.generate import to_uint8
from pika_kit.models import NoModel, Registry
from pika_kit.runtimes import OnnxRuntime, Runtime
from pika_kit.settings import Settings
from pika_kit.storage import Store

FOLLOW_SECONDS = 1.0  # how old the answer to "which version is current?" may be
MAX_LOADED = 3


@dataclass(frozen=True)
class LoadedModel:
    """One version, ready to draw."""

    version: str
    latent_dim: int
    resolution: int
    runtime: Runtime

    def draw(self, latents: np.ndarray) -> np.ndarray:
        """Latents (N, latent_dim) float32 → uint8 (N, S, S, 3).

        One picture at a time: sums over a batch may be ordered otherwise than over one picture, and a seed's
        bytes shall not depend on what else was asked for.
        """
        pictures = [self.runtime.run({"latents": row[None]})["pictures"][0] for row in latents]
        return to_uint8(np.stack(pictures))


class ModelShelf:
    """Loads versions when they are first asked for and keeps the last few. Safe to share between threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.registry = Registry(store, "gan")
        self._cache = settings.state_dir / "models"
        self._kind = settings.model_runtime
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()
        self._current: tuple[float, str | None] = (-FOLLOW_SECONDS, None)

    def current_version(self) -> str | None:
        """The alias's version, asked for again after FOLLOW_SECONDS."""
        asked_at, version = self._current
        if time.monotonic() - asked_at >= FOLLOW_SECONDS:
            version = self.registry.current()
            self._current = (time.monotonic(), version)
        return version

    def forget_current(self) -> None:
        """The next request asks for the alias anew."""
        self._current = (-FOLLOW_SECONDS, None)

    def get(self, version: str | None = None) -> LoadedModel:
        """The named version, or the current one. Raises NoModel or UnknownVersion."""
        version = version or self.current_version()
        if version is None:
            raise NoModel("no gan model is published yet")
        with self._lock:
            if version not in self._loaded:
                self._loaded[version] = self._load(version)
                if len(self._loaded) > MAX_LOADED:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(version)
            return self._loaded[version]

    def _load(self, version: str) -> LoadedModel:
        card = self.registry.card(version)
        _, folder = self.registry.fetch(version, self._cache)
        return LoadedModel(version, card["latent_dim"], card["resolution"], _runtime(self._kind, folder))


def _runtime(kind: str, folder: Path) -> Runtime:
    if kind == "tensorflow":
        from pika_gan.tensorflow_runtime import TensorflowRuntime

        return TensorflowRuntime(folder)
    return OnnxRuntime(folder / "model.onnx")
