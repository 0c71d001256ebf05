"""Write a trained model as SavedModel and ONNX, and check that both answer like the trainer's model."""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pika_classifier.config import IMAGE_SIZE
from pika_classifier.learn.batches import predict_in_batches
from pika_classifier.serve.predictor import INPUT_NAME, OUTPUT_NAME, Predictor
from pika_kit.runtimes import OnnxRuntime
from pika_kit.tensorflow_runtime import TensorflowRuntime

TOLERANCE = 1e-4
"""How far two runtimes' probabilities may differ."""


class ExportDisagrees(RuntimeError):
    """An exported model answers differently from the trained one and must not be published."""


def export(model: keras.Model, folder: Path, pixels: np.ndarray) -> dict[str, float]:
    """Write `folder/saved_model` and `folder/model.onnx`, then compare their answers.

    Args:
        model: a `networks.serving_model`.
        folder: an existing folder.
        pixels: pictures to compare on.

    Returns:
        runtime name → largest difference from the trainer's answer.

    Raises:
        ExportDisagrees: a difference is above TOLERANCE.
    """
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    signature = [tf.TensorSpec((None, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8, name=INPUT_NAME)]
    model.export(os.fspath(folder / "saved_model"), input_signature=signature, verbose=False)
    model.export(os.fspath(folder / "model.onnx"), format="onnx", input_signature=signature, verbose=False)
    expected = predict_in_batches(model, pixels)[OUTPUT_NAME]
    runtimes: dict[str, Any] = {
        "onnx": OnnxRuntime(folder / "model.onnx"),
        "tensorflow": TensorflowRuntime(folder),
    }
    differences = {}
    for name, runtime in runtimes.items():
        answers = Predictor(runtime, name).probabilities(pixels)
        differences[name] = float(np.abs(answers - expected).max())
        if not differences[name] <= TOLERANCE:
            raise ExportDisagrees(
                f"{name}: expected the trainer's probabilities within {TOLERANCE}, "
                f"received a difference of {differences[name]:.2g}"
            )
    return differences
