"""The discriminator of FastGAN (Liu et al. 2021, arXiv:2101.04775, section 3.2), for the baseline.

Strided convolutions beside pooled ones, with spectral normalisation; full-size features gate those at 8×8;
and a decoder must reconstruct real pictures from there, which keeps the discriminator from relying on a few
pixels. Three things differ from the paper: no batch normalisation, so that each picture's logit is its own;
one logit per picture, the mean of the paper's map; and reconstructions are compared pixel by pixel, because
the paper's perceptual network is not freely available.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from pika_gan.config import Preset
from pika_gan.networks.fastgan import gated_linear_unit, skip_layer_excitation
from pika_gan.networks.resampling import UpConv2D

SMALLEST = 8
_DECODER_CHANNELS = 32


def build_discriminator(preset: Preset) -> keras.Model:
    """Build the discriminator: pictures (N, S, S, 3) float32 in [-1, 1] → logits (N,) float32.

    In training the first half of a batch must be real: its reconstruction error is a loss of the model.
    """
    size, policy = preset.resolution, preset.resolved().precision
    widths = preset.discriminator_channels[::-1]  # from full size down to 4×4
    pictures = keras.Input((size, size, 3), name="pictures", dtype="float32")
    x = first = _leaky(_conv(widths[0], 3, policy=policy)(pictures))
    for width in widths[1:]:
        if x.shape[1] == SMALLEST:
            break
        x = _down(x, width, policy)
    if size > SMALLEST:
        x = skip_layer_excitation(x, first, policy)
    again = x
    while again.shape[1] < size:
        again = gated_linear_unit(UpConv2D(2 * _DECODER_CHANNELS, dtype=policy)(again))
    again = layers.Conv2D(3, 3, padding="same", activation="tanh", dtype="float32")(again)
    x = DrawnAgain(dtype="float32")([ops.cast(x, "float32"), again, pictures])
    x = _leaky(_conv(widths[-1], 1, policy=policy)(x))
    logits = _conv(1, 4, padding="valid", policy="float32")(ops.cast(x, "float32"))
    return keras.Model(pictures, ops.mean(logits, axis=(1, 2, 3)), name=f"fastgan_discriminator_{size}")


class DrawnAgain(layers.Layer):
    """Pass its first input through and add the real half's reconstruction error to the losses."""

    def call(self, inputs: list[Any], training: bool = False) -> Any:
        """Take features, reconstructions and pictures, (N, …) each; return the features."""
        features, again, pictures = inputs
        if training:
            num = ops.shape(pictures)[0] // 2
            self.add_loss(ops.mean(ops.abs(again[:num] - pictures[:num])))
        return features

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the features' shape."""
        return input_shape[0]


def _conv(width: int, kernel: int, *, policy: str, strides: int = 1, padding: str = "same") -> layers.Layer:
    conv = layers.Conv2D(width, kernel, strides=strides, padding=padding, use_bias=False, dtype=policy)
    return layers.SpectralNormalization(conv, dtype=policy)


def _leaky(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.LeakyReLU(0.2, dtype=x.dtype)(x)


def _down(x: keras.KerasTensor, width: int, policy: str) -> keras.KerasTensor:
    """Halve the size, (N, S, S, C) → (N, S/2, S/2, width): the mean of a strided and a pooled branch."""
    strided = _leaky(_conv(width, 4, strides=2, policy=policy)(x))
    strided = _leaky(_conv(width, 3, policy=policy)(strided))
    pooled = _leaky(_conv(width, 1, policy=policy)(layers.AveragePooling2D(2, dtype=policy)(x)))
    return (strided + pooled) / 2
