"""The residual discriminator: no normalisation, downsampling by average pooling.

All operations can be differentiated twice, as the gradient penalties require.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from pika_gan.config import Preset
from pika_gan.networks.resampling import DownConv2D

COARSE = "coarse_features"
BODY = "body"


def build_discriminator(preset: Preset) -> keras.Model:
    """Build the discriminator: pictures (N, S, S, 3) in [-1, 1] → logits (N,) float32, high for real."""
    policy = preset.resolved().precision
    channels = preset.discriminator_channels[::-1]  # from full size down to 4×4
    pictures = keras.Input((preset.resolution, preset.resolution, 3), name="pictures", dtype="float32")

    x = layers.Conv2D(channels[0], 3, padding="same", dtype=policy)(pictures)
    if preset.coarse_share:
        # Full-size features are added to half-size ones: zero until they are trained.
        x = residual_down(x, channels[1], policy, initializer="zeros")
        coarse = layers.AveragePooling2D(2, dtype="float32")(pictures)
        x = x + layers.Conv2D(channels[1], 3, padding="same", dtype=policy, name=COARSE)(coarse)
        logits = _body(preset.resolution // 2, channels[1:], policy)(x)
    else:
        logits = _body(preset.resolution, channels, policy)(x)
    return keras.Model(pictures, logits, name=f"discriminator_{preset.resolution}")


def coarse_discriminator(discriminator: keras.Model) -> keras.Model:
    """Return the part that judges half the resolution: pictures (N, S/2, S/2, 3) → logits (N,)."""
    body = discriminator.get_layer(BODY)
    size = body.input_shape[1]
    pictures = keras.Input((size, size, 3), name="pictures", dtype="float32")
    logits = body(discriminator.get_layer(COARSE)(pictures))
    return keras.Model(pictures, logits, name=f"{discriminator.name}_coarse")


def _body(size: int, channels: tuple[int, ...], policy: str) -> keras.Model:
    """Build the part below full size: features (N, size, size, channels[0]) → logits (N,) float32."""
    features = keras.Input((size, size, channels[0]), dtype=keras.DTypePolicy(policy).compute_dtype)
    x = features
    for width in channels[1:]:
        x = residual_down(x, width, policy)  # half the size
    x = layers.LeakyReLU(0.2, dtype=policy)(x)
    x = layers.Conv2D(channels[-1], 4, padding="valid", kernel_initializer="he_normal", dtype=policy)(x)
    x = layers.LeakyReLU(0.2, dtype=policy)(x)
    x = layers.Flatten(dtype=policy)(x)
    logits = layers.Dense(1, dtype="float32")(ops.cast(x, "float32"))
    return keras.Model(features, ops.squeeze(logits, -1), name=BODY)


def residual_down(
    x: keras.KerasTensor, width: int, policy: str, initializer: str | None = None
) -> keras.KerasTensor:
    """Halve the size, (N, S, S, C) → (N, S/2, S/2, width): two convolutions beside a pooled 1×1 one.

    Variance is preserved. `initializer` is that of the last convolution of both branches; zeros make the
    block return 0 at first.
    """
    skip = layers.AveragePooling2D(2, dtype=policy)(x)
    skip = layers.Conv2D(
        width, 1, use_bias=False, kernel_initializer=initializer or "glorot_uniform", dtype=policy
    )(skip)
    y = layers.LeakyReLU(0.2, dtype=policy)(x)
    y = DownConv2D(x.shape[-1], kernel_initializer="he_normal", dtype=policy)(y)
    y = layers.LeakyReLU(0.2, dtype=policy)(y)
    y = layers.Conv2D(width, 3, padding="same", kernel_initializer=initializer or "he_normal", dtype=policy)(
        y
    )
    return (y + skip) * (0.5**0.5)
