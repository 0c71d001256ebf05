"""Ask a published model, through whichever runtime; numpy only, TensorFlow never at import."""

from typing import Any

import numpy as np

from pika_classifier.config import IMAGE_SIZE
from pika_kit.following import Follower, load_version
from pika_kit.images import decode, square
from pika_kit.models import Registry
from pika_kit.runtimes import Runtime
from pika_kit.settings import Settings
from pika_kit.storage import Store

MODEL_NAME = "classifier"
BATCH_SIZE = 16
INPUT_NAME, OUTPUT_NAME = "pictures", "probability"


def prepare(data: bytes) -> np.ndarray:
    """The bytes of any readable picture → the uint8 (256, 256, 3) square that models take.

    Raises:
        PictureError: unreadable.
    """
    return square(decode(data, at_least=IMAGE_SIZE).pixels, IMAGE_SIZE)


class Predictor:
    """One loaded version. Safe to share between threads.

    `recommended_threshold`: the probability from which its card says that a picture counts.
    """

    def __init__(self, runtime: Runtime, version: str, recommended_threshold: float = 0.5) -> None:
        self._runtime = runtime
        self.version = version
        self.recommended_threshold = recommended_threshold

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (N, 256, 256, 3) → float32 (N,), 0–1: how surely each picture shows Pikachu."""
        if pixels.ndim != 4 or pixels.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE, 3) or pixels.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 (N, {IMAGE_SIZE}, {IMAGE_SIZE}, 3), received {pixels.dtype} {pixels.shape}"
            )
        if not len(pixels):
            return np.zeros(0, np.float32)
        chunks = (pixels[at : at + BATCH_SIZE] for at in range(0, len(pixels), BATCH_SIZE))
        return np.concatenate([self._runtime.run({INPUT_NAME: chunk})[OUTPUT_NAME] for chunk in chunks])


def load_predictor(settings: Settings, store: Store, version: str | None = None) -> Predictor:
    """The given version, or the current one, on the runtime of the settings.

    Raises:
        NoModel, UnknownVersion: see `pika_kit.models.Registry.fetch`.
    """
    return _predictor(*load_version(Registry(store, MODEL_NAME), settings, version))


def default_threshold(settings: Settings, predictor: Predictor) -> float:
    """The operator's threshold where there is one, else the model card's."""
    return settings.is_pikachu_threshold or predictor.recommended_threshold


def follow(settings: Settings, store: Store) -> Follower[Predictor]:
    """The predictor of the current version, followed as it changes, without a restart."""
    return Follower(Registry(store, MODEL_NAME), settings, _warm)


def _predictor(version: str, runtime: Runtime, card: dict[str, Any]) -> Predictor:
    return Predictor(runtime, version, card.get("recommended_threshold", 0.5))


def _warm(version: str, runtime: Runtime, card: dict[str, Any]) -> Predictor:
    predictor = _predictor(version, runtime, card)
    predictor.probabilities(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))
    return predictor
