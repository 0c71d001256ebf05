"""Predict with a published model through any runtime; numpy only, TensorFlow never at import."""

from collections.abc import Mapping
from dataclasses import dataclass
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
BATCH_SIZE = 4
"""TensorFlow takes 280 MB for sixteen, 75 for four, as quick for each; ONNX Runtime takes one at a time."""
INPUT_NAME, OUTPUT_NAME, NOVELTY_NAME = "pictures", "probability", "novelty"


def prepare(data: bytes) -> np.ndarray:
    """Convert the bytes of any readable picture to the uint8 (256, 256, 3) square that models take.

    Raises:
        PictureError: unreadable.
    """
    return square(decode(data, at_least=IMAGE_SIZE).pixels, IMAGE_SIZE)


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers for N pictures.

    Attributes:
        probabilities: float32 (N,), 0–1, that each shows Pikachu.
        novelties: float32 (N,): distance from everything known; above 1 is farther than 99 % of known
            pictures. None if the model cannot tell.
    """

    probabilities: np.ndarray
    novelties: np.ndarray | None


class Predictor:
    """One loaded version. Thread-safe.

    `card`: published with it; its `recommended_threshold` is the probability from which a picture counts, and
    its `thresholds` are those for other precisions.
    """

    def __init__(self, runtime: Runtime, version: str, card: Mapping[str, Any] | None = None) -> None:
        self._runtime = runtime
        self.version = version
        self._card = card or {}

    @property
    def recommended_threshold(self) -> float:
        """The card's recommended threshold."""
        return float(self._card.get("recommended_threshold", 0.5))

    @property
    def recommended_precision(self) -> float | None:
        """The precision a filter should aim at; None if probabilities are not calibrated for a pile."""
        precision = self._card.get("recommended_precision")
        return None if precision is None else float(precision)

    @property
    def doubtful_probability(self) -> float:
        """The probability at which the model knows least."""
        return float(self._card.get("doubtful_probability", 0.5))

    def threshold_for(self, precision: float) -> float | None:
        """Return the card's threshold for at least this precision; None if it has none."""
        rows = [row for row in self._card.get("thresholds", ()) if row["precision"] >= precision]
        return min((float(row["threshold"]) for row in rows), default=None)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Map uint8 (N, 256, 256, 3) to probabilities float32 (N,), 0–1."""
        return self.answers(pixels).probabilities

    def answers(self, pixels: np.ndarray) -> Answers:
        """Return all of the model's answers for uint8 (N, 256, 256, 3)."""
        if pixels.ndim != 4 or pixels.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE, 3) or pixels.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 (N, {IMAGE_SIZE}, {IMAGE_SIZE}, 3), received {pixels.dtype} {pixels.shape}"
            )
        if not len(pixels):
            return Answers(np.zeros(0, np.float32), None)
        chunks = [
            self._runtime.run({INPUT_NAME: pixels[at : at + BATCH_SIZE]})
            for at in range(0, len(pixels), BATCH_SIZE)
        ]
        probabilities = np.concatenate([chunk[OUTPUT_NAME] for chunk in chunks])
        if NOVELTY_NAME not in chunks[0]:
            return Answers(probabilities, None)
        return Answers(probabilities, np.concatenate([chunk[NOVELTY_NAME] for chunk in chunks]))


def load_predictor(settings: Settings, store: Store, version: str | None = None) -> Predictor:
    """Load the given version, or the current one, with the configured runtime.

    Raises:
        NoModel, UnknownVersion: see `pika_kit.models.Registry.fetch`.
    """
    return _predictor(*load_version(Registry(store, MODEL_NAME), settings, version))


def default_threshold(settings: Settings, predictor: Predictor) -> float:
    """Return the operator's threshold if set, otherwise the model card's."""
    return settings.is_pikachu_threshold or predictor.recommended_threshold


def follow(settings: Settings, store: Store) -> Follower[Predictor]:
    """The predictor of the current version, followed as it changes, without a restart."""
    return Follower(Registry(store, MODEL_NAME), settings, _warm)


def _predictor(version: str, runtime: Runtime, card: dict[str, Any]) -> Predictor:
    return Predictor(runtime, version, card)


def _warm(version: str, runtime: Runtime, card: dict[str, Any]) -> Predictor:
    predictor = _predictor(version, runtime, card)
    predictor.probabilities(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))
    return predictor
