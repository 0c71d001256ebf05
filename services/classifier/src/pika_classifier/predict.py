"""Ask a published model, through whichever runtime; numpy only, TensorFlow never at import."""

import threading
import time
from pathlib import Path

import numpy as np

from pika_classifier.config import IMAGE_SIZE
from pika_kit.images import decode, square
from pika_kit.models import NoModel, Registry
from pika_kit.runtimes import OnnxRuntime, Runtime
from pika_kit.settings import Settings
from pika_kit.storage import Store

MODEL_NAME = "classifier"
BATCH_SIZE = 16
INPUT_NAME, OUTPUT_NAME = "pictures", "probability"
_ALIAS_SECONDS = 1.0


def prepare(data: bytes) -> np.ndarray:
    """The bytes of any readable picture → the uint8 (256, 256, 3) square that models take.

    Raises:
        PictureError: unreadable.
    """
    return square(decode(data, at_least=IMAGE_SIZE).pixels, IMAGE_SIZE)


class Predictor:
    """One loaded version. Safe to share between threads."""

    def __init__(self, runtime: Runtime, version: str) -> None:
        self._runtime = runtime
        self.version = version

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
    version, folder = Registry(store, MODEL_NAME).fetch(version, settings.state_dir / "models")
    return Predictor(_runtime(settings, folder), version)


def _runtime(settings: Settings, folder: Path) -> Runtime:
    if settings.model_runtime == "tensorflow":
        from pika_classifier.tensorflow_runtime import TensorflowRuntime

        return TensorflowRuntime(folder)
    return OnnxRuntime(folder / "model.onnx")


class CurrentPredictor:
    """The current version, followed as it changes, without a restart."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._registry = Registry(store, MODEL_NAME)
        self._lock = threading.Lock()
        self._predictor: Predictor | None = None
        self._looked_at = -_ALIAS_SECONDS

    def get(self) -> Predictor:
        """The predictor of the current version, at most a second behind the alias.

        Raises:
            NoModel: nothing was published yet.
        """
        with self._lock:
            now = time.monotonic()
            if self._predictor is None or now - self._looked_at >= _ALIAS_SECONDS:
                version = self._registry.current()
                if version is None:
                    raise NoModel("no classifier is published yet")
                if self._predictor is None or self._predictor.version != version:
                    self._predictor = load_predictor(self._settings, self._store, version)
                self._looked_at = now
            return self._predictor
