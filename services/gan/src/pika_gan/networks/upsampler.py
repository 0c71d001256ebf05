"""The super-resolution network that draws a generator's details: halved pictures → full-size ones.

Residual blocks at the small size, then one doubling, as in SRResNet (Ledig et al. 2017, arXiv:1609.04802)
without batch normalisation (EDSR, Lim et al. 2017, arXiv:1707.02921). Its details are added to the bilinear
enlargement; before it is trained there are none.

It learns from pairs: a real picture, and the same picture halved. Halved pictures get some noise, because
generated ones have faults that halved real ones do not have. At the end of a run critics train it as well
(`joint_from`).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from pika_gan.networks.projected import interpolation_matrix
from pika_gan.networks.resampling import UpConv2D

_BLOCKS = 4
_COARSE_SIDE = 8
"""Side of the noise that varies slowly over a picture."""
MOST_NOISE = 16.0 / 255
"""Largest standard deviation of both kinds of noise, where pictures are in [-1, 1]."""
MAPS_WEIGHT = 0.05
"""Weight of the difference in the frozen network's maps, beside the pixels' mean absolute difference."""


def build_upsampler(size: int, channels: int, policy: str) -> keras.Model:
    """Build the network: pictures (N, size, size, 3) float32 in [-1, 1] → (N, 2 · size, 2 · size, 3) float32.

    `channels` is the width of the residual blocks. The result is not limited to [-1, 1].
    """
    pictures = keras.Input((size, size, 3), dtype="float32")
    x = layers.Conv2D(channels, 3, padding="same", dtype=policy)(pictures)
    for _ in range(_BLOCKS):
        y = layers.Conv2D(channels, 3, padding="same", activation="relu", dtype=policy)(x)
        x = x + layers.Conv2D(channels, 3, padding="same", dtype=policy)(y)
    x = layers.LeakyReLU(0.2, dtype=policy)(UpConv2D(channels // 2, dtype=policy)(x))
    x = layers.Conv2D(channels // 2, 3, padding="same", dtype=policy)(x)
    x = layers.LeakyReLU(0.2, dtype=policy)(x)
    details = layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros", dtype="float32")(
        ops.cast(x, "float32")
    )
    enlarged = layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(pictures)
    return keras.Model(pictures, enlarged + details, name="upsampler")


def noisy(halved: Any, noise: Any) -> Any:
    """Add each picture's own amount of fine and of slowly varying noise.

    Args:
        halved: pictures (N, S, S, 3) in [-1, 1].
        noise: float32 (N, noise_size(S)): the amount, uniform in 0 … 1, then standard normal numbers.
    """
    size = halved.shape[1]
    split = 1 + size * size * 3
    amount = ops.reshape(noise[:, 0], (-1, 1, 1, 1)) * MOST_NOISE
    fine = ops.reshape(noise[:, 1:split], (-1, size, size, 3))
    slow = ops.reshape(noise[:, split:], (-1, _COARSE_SIDE, _COARSE_SIDE, 3))
    enlarge = interpolation_matrix(_COARSE_SIDE, size)
    return halved + amount * (fine + ops.einsum("nhwc,Hh,Ww->nHWc", slow, enlarge, enlarge))


def noise_size(size: int) -> int:
    """Return how many random numbers `noisy` takes for each picture of this side."""
    return 1 + size * size * 3 + _COARSE_SIDE * _COARSE_SIDE * 3


def pair_loss(received: Any, expected: Any, received_maps: list[Any], expected_maps: list[Any]) -> Any:
    """Return the mean absolute difference of pictures, plus MAPS_WEIGHT · Σ mean squared difference of maps.

    The maps are those of `projected.build_eyes`; a difference in them is a perceptual loss (Johnson et al.
    2016, arXiv:1603.08155).
    """
    maps = sum(
        ops.mean(ops.square(ops.cast(one, "float32") - ops.cast(other, "float32")))
        for one, other in zip(received_maps, expected_maps, strict=True)
    )
    return ops.mean(ops.abs(received - expected)) + MAPS_WEIGHT * maps
