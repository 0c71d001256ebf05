"""The Runtime of `pika_kit.runtimes` in TensorFlow: for hosts with a GPU, on demand only."""

from pathlib import Path

import numpy as np


class TensorflowRuntime:
    """A SavedModel in this process; importing TensorFlow takes seconds and 500 MB."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._tf = tf
        # Kept, because a signature alone does not hold its variables.
        self._model = tf.saved_model.load(str(folder / "saved_model"))
        self._serve = self._model.signatures["serving_default"]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See pika_kit.runtimes.Runtime."""
        tensors = {name: self._tf.constant(values) for name, values in inputs.items()}
        return {name: np.asarray(value) for name, value in self._serve(**tensors).items()}
