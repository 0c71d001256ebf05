"""The networks of the 2018 article that this project grew out of, kept as the baseline (preset `article`).

Generator: Dense → 4×4, three upsamplings with 7×7 convolutions of 512 channels and batch normalisation.
Discriminator: separable 7×7 convolutions with spatial dropout. Trained with the non-saturating loss they
collapsed onto one picture.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from pika_gan.config import Preset

KERNEL = 7
DROPOUT = 0.25


def build_generator(preset: Preset) -> keras.Model:
    """Build the generator: latents (N, latent_dim) → pictures (N, S, S, 3) in [-1, 1]."""
    channels = preset.generator_channels
    latents = keras.Input((preset.latent_dim,), name="latents", dtype="float32")
    x = layers.Dense(4 * 4 * channels[0])(latents)
    x = layers.Reshape((4, 4, channels[0]))(x)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    for width in channels[1:]:
        x = layers.UpSampling2D(2, interpolation="nearest")(x)
        x = layers.Conv2D(width, KERNEL, padding="same")(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    pictures = layers.Conv2D(3, KERNEL, padding="same", activation="tanh", name="pictures")(x)
    return keras.Model(latents, pictures, name=f"article_generator_{preset.resolution}")


def build_discriminator(preset: Preset) -> keras.Model:
    """Build the discriminator, strided separable convolutions: pictures (N, S, S, 3) → logits (N,)."""
    channels = preset.discriminator_channels[::-1]
    pictures = keras.Input((preset.resolution, preset.resolution, 3), name="pictures", dtype="float32")
    x = pictures
    for width in channels[:-1]:
        x = layers.SeparableConv2D(width, KERNEL, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
        x = layers.SpatialDropout2D(DROPOUT)(x)
    x = layers.SeparableConv2D(channels[-1], KERNEL, padding="same")(x)
    x = layers.Flatten()(layers.LeakyReLU(0.2)(x))
    logits = layers.Dense(1)(x)
    return keras.Model(pictures, ops.squeeze(logits, -1), name=f"article_discriminator_{preset.resolution}")
