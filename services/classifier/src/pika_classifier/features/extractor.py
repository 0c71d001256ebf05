"""Pictures → features through ONNX Runtime, the same network for whoever asks. No TensorFlow here.

    runs: classifier/features/<key>/model.onnx

The network is exported once for each set of features, by the first job that needs it (`features.publish`).
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
    """Where the store keeps what belongs to a set of features."""
    return f"classifier/features/{features.key}/"


def model_key(features: FeatureSet) -> str:
    """The key of the exported network in the RUNS bucket."""
    return folder_of(features) + "model.onnx"


class Extractor:
    """The exported network. Safe to share between threads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @classmethod
    def load(cls, store: Store, features: FeatureSet) -> "Extractor":
        """The network that was published; raises ObjectMissing where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            store.get_file(Bucket.RUNS, model_key(features), path)
            return cls(OnnxRuntime(path))

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (N, 256, 256, 3) → float32 (N, F)."""
        return self._runtime.run({INPUT_NAME: pixels})[FEATURES_NAME]
