"""Pictures → features through ONNX Runtime, with the same network everywhere. No TensorFlow here.

    runs: classifier/features/<key>/model.onnx

The first job that needs a set of features exports its network (`features.publish`).
"""

import tempfile
from pathlib import Path

import numpy as np

from pika_classifier.config import FeatureSet
from pika_classifier.serve.predictor import INPUT_NAME
from pika_kit.runtimes import OnnxRuntime, Runtime
from pika_kit.stages import Bucket
from pika_kit.storage import Store

FEATURES_NAME = "features"


def folder_of(features: FeatureSet) -> str:
    """Return the folder of a set of features in the store."""
    return f"classifier/features/{features.key}/"


def model_key(features: FeatureSet) -> str:
    """Return the key of the exported network in the RUNS bucket."""
    return folder_of(features) + "model.onnx"


class Extractor:
    """The exported network. Thread-safe."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @classmethod
    def load(cls, store: Store, features: FeatureSet) -> "Extractor":
        """Load the published network. Raises ObjectMissing if there is none."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            store.get_file(Bucket.RUNS, model_key(features), path)
            return cls(OnnxRuntime(path))

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Compute features: uint8 (N, 256, 256, 3) → float32 (N, F)."""
        return self._runtime.run({INPUT_NAME: pixels})[FEATURES_NAME]
