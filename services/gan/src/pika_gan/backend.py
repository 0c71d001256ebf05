"""The training step of the backend that Keras runs on."""

from __future__ import annotations

import keras

from pika_gan.config import Preset
from pika_gan.state import GanState


def make_gan(preset: Preset, seed: int = 0) -> GanState:
    """The networks of a preset with their training step. Raises RuntimeError for a backend without one."""
    name = keras.backend.backend()
    if name == "tensorflow":
        from pika_gan import step_tensorflow

        return step_tensorflow.Gan(preset, seed)
    if name == "jax":
        if preset.discriminator == "fastgan":
            # On TensorFlow Keras's spectral normalisation overwrites its kernels in passing; on JAX nothing
            # can be overwritten, and the two learn differently.
            raise RuntimeError(f"preset {preset.name}: expected the backend tensorflow, received jax")
        from pika_gan import step_jax

        return step_jax.Gan(preset, seed)
    raise RuntimeError(f"KERAS_BACKEND: expected tensorflow or jax, received {name}")
