"""TensorFlow as a `Runtime` for hosts with a GPU, its kernels on a CPU, and control of the GPU's memory."""

import logging
import os
import platform
from pathlib import Path

import numpy as np

from pika_kit.threads import usable_cores

log = logging.getLogger(__name__)


def prefer_onednn() -> None:
    """Let TensorFlow compute with oneDNN's kernels on every x86 CPU, not only on those with AVX-512.

    Must be called before TensorFlow is imported. A TF_ENABLE_ONEDNN_OPTS from outside stays. On a CPU with
    AVX2 alone training is up to 1.6 times as fast with them (docs/experiments.md).
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def prefer_parallel_operations() -> None:
    """On two cores, let TensorFlow run two operations at once, each in one thread, not one in two threads.

    Must be called before TensorFlow is imported. Settings from outside stay. A training step has many small
    operations, with much that two threads do twice, and gradients that do not depend on each other
    (docs/experiments.md). On other machines this was not measured, so TensorFlow's own setting stays.
    """
    if usable_cores() == 2:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")


def limit_gpu_memory(megabytes: int | None) -> list[str]:
    """Limit TensorFlow to `megabytes` MiB of each GPU, so that others can use it too; None lets it grow.

    Must be called before TensorFlow has computed anything; the first setting stays. Returns the GPUs' names.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        if megabytes is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        elif not tf.config.get_logical_device_configuration(gpu):
            limit = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
            tf.config.set_logical_device_configuration(gpu, [limit])
    if gpus:
        log.info("GPUs: %s, memory limit %s MiB", len(gpus), megabytes or "none")
    return [gpu.name for gpu in gpus]


class TensorflowRuntime:
    """A SavedModel in this process; importing TensorFlow takes seconds and 500 MB."""

    def __init__(self, folder: Path, gpu_memory_mb: int | None = None) -> None:
        import tensorflow as tf

        limit_gpu_memory(gpu_memory_mb)
        self._tf = tf
        # Keep the model: a signature alone does not hold its variables.
        self._model = tf.saved_model.load(str(folder / "saved_model"))
        self._serve = self._model.signatures["serving_default"]

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `pika_kit.runtimes.Runtime`."""
        tensors = {name: self._tf.constant(values) for name, values in inputs.items()}
        return {name: np.asarray(value) for name, value in self._serve(**tensors).items()}
