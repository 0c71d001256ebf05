"""Generators and discriminators, written with Keras layers and keras.ops only.

A preset's `precision` is a Keras dtype policy; latents, pictures and logits are float32 under every policy.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pika_gan.config import Preset
from pika_gan.networks import article, fastgan, fastgan_discriminator, residual


def build_generator(preset: Preset, precision: str | None = None) -> keras.Model:
    """Build a generator: latents (N, latent_dim) float32 → pictures (N, S, S, 3) float32 in [-1, 1].

    `precision` overrides the preset's; the copy that is evaluated and exported is built in float32.
    """
    if preset.architecture == "article":
        return article.build_generator(preset)
    return fastgan.build_generator(preset, precision)


def build_discriminator(preset: Preset) -> keras.Model:
    """Build a discriminator: pictures (N, S, S, 3) in [-1, 1] → logits (N,), high for real."""
    if preset.architecture == "article":
        return article.build_discriminator(preset)
    if preset.discriminator == "fastgan":
        return fastgan_discriminator.build_discriminator(preset)
    return residual.build_discriminator(preset)


def base_of(generator: keras.Model) -> keras.Model:
    """Return the part that critics train: all of a generator, except an upsampler."""
    names = {layer.name for layer in generator.layers}
    return generator.get_layer(fastgan.BASE) if fastgan.BASE in names else generator


def coarse_parts(generator: keras.Model, discriminator: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the parts of both that work at half the resolution, sharing weights (`coarse_share`)."""
    return fastgan.coarse_generator(generator), residual.coarse_discriminator(discriminator)


def halved(pictures: Any) -> Any:
    """Average 2×2 pixels: (N, S, S, 3) → (N, S/2, S/2, 3)."""
    return ops.average_pool(pictures, 2, strides=2)
