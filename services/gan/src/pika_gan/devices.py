"""GPUs, as TensorFlow sees them."""

from __future__ import annotations

import logging

log = logging.getLogger("pika_gan.devices")


def limit_gpu_memory(megabytes: int | None) -> list[str]:
    """Takes at most `megabytes` MiB of each GPU, so that others can use the card too; None: as it is needed.

    To be called before TensorFlow has computed anything. Returns the names of the GPUs.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        if megabytes is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            limit = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
            tf.config.set_logical_device_configuration(gpu, [limit])
    if gpus:
        log.info("GPUs: %s, memory limit %s MiB", len(gpus), megabytes or "none")
    return [gpu.name for gpu in gpus]
