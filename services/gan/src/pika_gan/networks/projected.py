"""The projected critic: small trained heads that look at pictures through a frozen ImageNet network.

Projected GAN (Sauer et al. 2021, arXiv:2111.01007), with EfficientNet-Lite0 and much smaller heads. The
frozen part resizes pictures, taps four feature maps and mixes them by fixed random projections, across
channels and from coarse to fine. Each head judges one mixed map and is trained with the hinge loss. Gradient
penalties are not needed: spectral normalisation keeps the heads smooth.

It complements the discriminator that looks at pixels, which alone draws whole figures but not their details.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pika_eyes.lite import LITE0, build_lite
from pika_gan.config import Preset
from pika_gan.latents import latent

TAPS = ("stage2", "stage3", "stage5", "stage7")  # of 24, 40, 112 and 320 channels
_MIXED_CHANNELS = (48, 64, 96, 128)
_HEAD_CHANNELS = 64
_LARGEST_MAP = 8  # larger maps are halved first
_SEED = 2111
_EPSILON = 1e-6


def build_eyes(preset: Preset) -> keras.Model:
    """Build the frozen part: pictures (N, S, S, 3) float32 in [-1, 1] → four mixed maps, finest first."""
    pictures = keras.Input((preset.resolution, preset.resolution, 3), dtype="float32")
    x = Interpolation(preset.projected_size, dtype="float32")(pictures)
    x = layers.Rescaling(127.5 / 128, 0.5 / 128, dtype="float32")(x)  # as `pika_eyes.lite.normalise`
    lite = build_lite(LITE0, preset.projected_size, TAPS)
    mixed = [
        _fixed(tapped, width, index)
        for index, (tapped, width) in enumerate(zip(lite(x), _MIXED_CHANNELS, strict=True))
    ]
    for index in reversed(range(len(mixed) - 1)):
        coarser = mixed[index + 1]
        factor = mixed[index].shape[1] // coarser.shape[1]
        coarser = layers.UpSampling2D(factor, interpolation="nearest")(coarser)
        coarser = _fixed(coarser, mixed[index].shape[-1], len(mixed) + index)
        mixed[index] = (mixed[index] + coarser) * math.sqrt(0.5)
    eyes = keras.Model(pictures, [_normalised(x) for x in mixed], name=f"eyes_{preset.resolution}")
    eyes.trainable = False
    return eyes


def build_heads(eyes: keras.Model) -> keras.Model:
    """Build the trained part: the eyes' maps → for each a map of logits (N, h, w, 1), high for real."""
    inputs = [keras.Input(output.shape[1:]) for output in eyes.outputs]
    logits = []
    for mixed in inputs:
        x = layers.LeakyReLU(0.2)(SpectralConv2D(_HEAD_CHANNELS, 1)(mixed))
        if x.shape[1] > _LARGEST_MAP:
            x = layers.LeakyReLU(0.2)(SpectralConv2D(_HEAD_CHANNELS, 3, strides=2)(x))
        x = layers.LeakyReLU(0.2)(SpectralConv2D(_HEAD_CHANNELS, 3)(x))
        logits.append(SpectralConv2D(1, 3)(x))
    return keras.Model(inputs, logits, name="heads")


def heads_loss(real_logits: list[Any], fake_logits: list[Any]) -> Any:
    """Return the hinge loss of the heads (Lim and Ye 2017, arXiv:1705.02894), summed over them."""
    return sum(
        ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake))
        for real, fake in zip(real_logits, fake_logits, strict=True)
    )


def generator_loss(fake_logits: list[Any]) -> Any:
    """Return −Σ mean logit: what the generator lowers to please the heads."""
    return -sum(ops.mean(fake) for fake in fake_logits)


def combined(pixels: Any, projected: Any, ratio: float) -> Any:
    """Add the critics' gradients with respect to the pictures, (N, S, S, 3) each.

    The projected one is scaled to `ratio` times the norm of the other: left alone it would be forty to sixty
    times larger, and no constant weight fits a whole run.
    """
    scale = ratio * _norm(pixels) / (_norm(projected) + _EPSILON)
    return pixels + scale * projected


def _norm(values: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(values)))


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    """Scale each picture's map to mean square 1, so that all heads see inputs of the same size."""
    return x / (ops.sqrt(ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)) + _EPSILON)


def _fixed(x: keras.KerasTensor, width: int, index: int) -> keras.KerasTensor:
    """Apply a fixed random 1×1 convolution, the same on every machine."""
    channels = x.shape[-1]
    kernel = latent(_SEED + index, channels * width).reshape(1, 1, channels, width)
    convolution = layers.Conv2D(width, 1, use_bias=False, trainable=False)
    y = convolution(x)
    convolution.set_weights([kernel * math.sqrt(2 / channels)])
    return y


@keras.saving.register_keras_serializable("pika_gan")
class Interpolation(layers.Layer):
    """Bilinear resizing as multiplications by constant matrices, which every backend differentiates."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Compute the matrix; height and width are equal."""
        self.matrix = interpolation_matrix(int(input_shape[1] or 0), self.size)

    def call(self, pictures: Any) -> Any:
        """(N, S, S, C) → (N, size, size, C)."""
        return ops.einsum("nhwc,Hh,Ww->nHWc", pictures, self.matrix, self.matrix)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (N, size, size, C)."""
        return (input_shape[0], self.size, self.size, input_shape[3])


def interpolation_matrix(num_in: int, num_out: int) -> np.ndarray:
    """Return float32 (num_out, num_in): rows of linear weights, pixel centres aligned, borders repeated."""
    positions = (np.arange(num_out) + 0.5) * num_in / num_out - 0.5
    low = np.floor(positions).astype(int)
    matrix = np.zeros((num_out, num_in), np.float32)
    rows = np.arange(num_out)
    for neighbour, weight in ((low, low + 1 - positions), (low + 1, positions - low)):
        np.add.at(matrix, (rows, np.clip(neighbour, 0, num_in - 1)), weight)
    return matrix


class SpectralConv2D(layers.Layer):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, 1802.05957).

    Keras's own SpectralNormalization overwrites the kernel in the forward pass, which a functional backend
    such as JAX cannot do. Here only the estimate of the singular vector is updated, by one power iteration a
    step.
    """

    def __init__(self, filters: int, kernel_size: int, *, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create kernel, bias and the singular vector's estimate."""
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.right = self.add_weight(
            shape=(self.filters, 1), initializer="random_normal", trainable=False, name="right"
        )

    def call(self, x: Any, training: bool = False) -> Any:
        """(N, h, w, C) → (N, h / strides, w / strides, filters)."""
        rows = ops.reshape(self.kernel, (-1, self.filters))
        left = _unit(ops.matmul(rows, self.right))
        right = _unit(ops.matmul(ops.transpose(rows), left))
        left, right = ops.stop_gradient(left), ops.stop_gradient(right)
        if training:
            self.right.assign(right)
        largest = ops.matmul(ops.transpose(left), ops.matmul(rows, right))[0, 0]
        return ops.conv(x, self.kernel / largest, strides=self.strides, padding="same") + self.bias


def _unit(vector: Any) -> Any:
    return vector / (_norm(vector) + _EPSILON)
