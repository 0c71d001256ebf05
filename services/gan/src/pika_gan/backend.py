"""Selects the training step of the backend that Keras runs on."""

from __future__ import annotations

import keras

from pika_gan.config import Preset
from pika_gan.state import GanState


def make_gan(preset: Preset, seed: int = 0) -> GanState:
    """Create the networks of a preset with their training step.

    Raises:
        RuntimeError: the backend has no training step, or cannot train this preset.
    """
    name = keras.backend.backend()
    if name == "tensorflow":
        from pika_gan import step_tensorflow

        return step_tensorflow.Gan(preset, seed)
    if name == "jax":
        if preset.discriminator == "fastgan":
            # Keras's spectral normalisation overwrites its kernels in the forward pass. JAX cannot do that,
            # so the two backends would train differently.
            raise RuntimeError(f"preset {preset.name}: expected the backend tensorflow, received jax")
        from pika_gan import step_jax

        return step_jax.Gan(preset, seed)
    raise RuntimeError(f"KERAS_BACKEND: expected tensorflow or jax, received {name}")
