"""Export a feature set's network to the store, once. Needs TensorFlow."""

import os
import tempfile
from pathlib import Path

from pika_classifier.config import IMAGE_SIZE, FeatureSet
from pika_classifier.features.extractor import Extractor, model_key
from pika_classifier.features.network import build_features
from pika_classifier.serve.predictor import INPUT_NAME
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing


def ensure_extractor(store: Store, features: FeatureSet) -> Extractor:
    """Load the published network; export and publish it first if necessary."""
    try:
        return Extractor.load(store, features)
    except ObjectMissing:
        pass
    import tensorflow as tf

    signature = [tf.TensorSpec((None, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8, name=INPUT_NAME)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        build_features(features).export(
            os.fspath(path), format="onnx", input_signature=signature, verbose=False
        )
        store.put_file(Bucket.RUNS, model_key(features), path)
    return Extractor.load(store, features)
