"""The generator of the FastGAN family (Liu et al. 2021, arXiv:2101.04775).

Upsampling and convolution, gated linear units, skip-layer excitation from an eighth of the final size. With
`coarse_share` the picture is the sum of a coarse one and of details that its last level adds, as in StyleGAN2
(Karras et al. 2020, arXiv:1912.04958), so that a run can begin at half the resolution.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from pika_gan.config import Preset
from pika_gan.networks.resampling import UpConv2D
from pika_gan.networks.upsampler import build_upsampler

BASE = "base"
COARSE = "coarse_rgb"
BATCH_NORM_MOMENTUM = 0.9  # runs are short: a few thousand steps


def build_generator(preset: Preset, precision: str | None = None) -> keras.Model:
    """Build the generator: latents (N, latent_dim) float32 → pictures (N, S, S, 3) float32 in [-1, 1].

    With an upsampler it contains the layers BASE, which critics train, and "upsampler", which draws the
    halved picture again at full size. `precision` overrides the preset's.
    """
    policy = precision or preset.resolved().precision
    base = _build_base(preset, policy)
    if not preset.upsample_every:
        return base
    upsampler = build_upsampler(preset.resolution // 2, preset.upsampler_channels, policy)
    latents = keras.Input((preset.latent_dim,), name="latents", dtype="float32")
    halved = layers.AveragePooling2D(2, dtype="float32")(base(latents))
    pictures = ops.clip(upsampler(halved), -1.0, 1.0)
    return keras.Model(latents, pictures, name=f"generator_{preset.resolution}")


def _build_base(preset: Preset, policy: str) -> keras.Model:
    """Build what critics train: latents → pictures (N, S, S, 3)."""
    channels = preset.generator_channels
    latents = keras.Input((preset.latent_dim,), name="latents", dtype="float32")

    x = layers.Dense(4 * 4 * channels[0] * 2, use_bias=False, dtype=policy)(latents)
    x = layers.Reshape((4, 4, channels[0] * 2), dtype=policy)(x)
    x = gated_linear_unit(batch_norm(x, policy))  # (N, 4, 4, C)
    low, low_at = x, 4
    coarse = None
    for level, width in enumerate(channels[1:], start=1):
        size = 4 * 2**level
        x = UpConv2D(width * 2, use_bias=False, dtype=policy)(x)
        x = gated_linear_unit(batch_norm(x, policy))  # (N, size, size, width)
        if size == max(4, preset.resolution // 8):
            low, low_at = x, size
        if size == preset.resolution and low_at < size:
            x = skip_layer_excitation(x, low, policy)
        if size == preset.resolution // 2 and preset.coarse_share:
            coarse = layers.Conv2D(3, 3, padding="same", dtype="float32", name=COARSE)(ops.cast(x, "float32"))
    # The last level adds nothing to the coarse picture until it is trained.
    initializer = "glorot_uniform" if coarse is None else "zeros"
    x = layers.Conv2D(3, 3, padding="same", kernel_initializer=initializer, dtype="float32")(
        ops.cast(x, "float32")
    )
    if coarse is not None:
        x = x + layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(coarse)
    pictures = layers.Activation("tanh", dtype="float32", name="pictures")(x)
    name = BASE if preset.upsample_every else f"generator_{preset.resolution}"
    return keras.Model(latents, pictures, name=name)


def coarse_generator(generator: keras.Model) -> keras.Model:
    """Return the part that draws at half the resolution: latents → pictures (N, S/2, S/2, 3)."""
    coarse = generator.get_layer(COARSE).output
    return keras.Model(generator.input, ops.tanh(coarse), name=f"{generator.name}_coarse")


def batch_norm(x: keras.KerasTensor, policy: str) -> keras.KerasTensor:
    """Apply batch normalisation with this file's momentum."""
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, dtype=policy)(x)


def gated_linear_unit(x: keras.KerasTensor) -> keras.KerasTensor:
    """Gate one half of (…, 2C) by the sigmoid of the other: (…, C) (Dauphin et al. 2017)."""
    values, gates = ops.split(x, 2, axis=-1)
    return values * ops.sigmoid(gates)


def skip_layer_excitation(high: keras.KerasTensor, low: keras.KerasTensor, policy: str) -> keras.KerasTensor:
    """Scale each channel of `high` (N, S, S, C) by a factor computed from `low`, a small map."""
    width = high.shape[-1]
    x = layers.GlobalAveragePooling2D(keepdims=True, dtype=policy)(layers.LeakyReLU(0.1, dtype=policy)(low))
    x = layers.Conv2D(width, 1, dtype=policy)(x)
    x = layers.Conv2D(width, 1, activation="sigmoid", dtype=policy)(
        layers.Activation("silu", dtype=policy)(x)
    )
    return high * x
