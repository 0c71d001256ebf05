"""The feature spaces in which drawn and real pictures are compared. No critic is trained in either.

`pyramid`: a fixed, untrained convolutional pyramid at the picture's own size. For pictures unlike ImageNet's,
random weights rank generators as well as trained ones (Naeem et al. 2020, arXiv:2002.09797) and favour no
model. Features are the mean and deviation of each level in each quarter of the picture, so that texture and
layout count. The filters come from numpy's Philox stream.

`lite2`: square roots of EfficientNet-Lite2's pooled features at 128 px, trained on ImageNet: what a picture
shows. A map of an inner stage keeps places apart, for `likeness`.

Both are versioned: figures are only comparable within one version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from pika_gan.data import resize
from pika_gan.latents import from_uint8, latent
from pika_gan.outputs import outputs_of

PYRAMID_VERSION = "random-pyramid-2"
LITE2_VERSION = "efficientnet-lite2-128px-1"
SPACES = ("pyramid", "lite2")
_LITE_SIDE = 128
_STAGE = "stage5"
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Seen:
    """Features of N pictures.

    Attributes:
        features: float64 (N, D).
        places: float32 (N, P, C): features at each of P places; None in a space without places.
    """

    features: np.ndarray
    places: np.ndarray | None = None


def version_of(space: str) -> str:
    """Return the version of a space, which its figures carry."""
    return {"pyramid": PYRAMID_VERSION, "lite2": LITE2_VERSION}[space]


def look(space: str, pictures: np.ndarray) -> Seen:
    """Compute features of pictures uint8 (N, S, S, 3). Raises ValueError for an unknown space."""
    if space == "pyramid":
        starts = range(0, len(pictures), _BATCH)
        parts = [_pyramid(pictures[start : start + _BATCH]) for start in starts]
        return Seen(np.concatenate(parts).astype(np.float64))
    if space == "lite2":
        small = np.stack([resize(picture, _LITE_SIDE) for picture in pictures])
        features, places = outputs_of(_lite2(), small, lambda some: some.astype(np.float32))
        return Seen(features.astype(np.float64), places)
    raise ValueError(f"space: expected one of {', '.join(SPACES)}, received {space!r}")


def _levels(size: int) -> list[tuple[int, int, int]]:
    """Return (kernel, channels in, channels out) for each halving from `size` to 8, at least three."""
    levels, channels = [], 3
    for index in range(max(3, size.bit_length() - 3)):
        width = min(32 * 2**index, 128)
        levels.append((5 if index == 0 else 3, channels, width))
        channels = width
    return levels


@lru_cache(maxsize=4)
def _filters(size: int) -> tuple[np.ndarray, ...]:
    """Return one kernel (k, k, C, width) float32 for each level, with orthonormal columns or rows."""
    kernels = []
    for index, (kernel, channels, width) in enumerate(_levels(size)):
        rows = kernel * kernel * channels
        normal = latent(977 + index, rows * width).reshape(rows, width).astype(np.float64)
        left, _, right = np.linalg.svd(normal, full_matrices=False)
        gain = np.sqrt(2.0 * rows / min(rows, width))  # preserves the variance through a ReLU
        kernels.append((gain * (left @ right)).reshape(kernel, kernel, channels, width).astype(np.float32))
    return tuple(kernels)


def _pyramid(pictures: np.ndarray) -> np.ndarray:
    x = ops.convert_to_tensor(from_uint8(pictures))
    moments = []
    for kernel in _filters(int(pictures.shape[1])):
        x = ops.relu(ops.conv(x, kernel, padding="same"))
        size = x.shape[1] // 2
        for moment in (ops.mean, ops.std):
            for row in (0, size):
                for column in (0, size):
                    moments.append(moment(x[:, row : row + size, column : column + size], axis=(1, 2)))
        x = ops.average_pool(x, 2, strides=2)
        x = x / (ops.sqrt(ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)) + 1e-6)
    return np.asarray(ops.convert_to_numpy(ops.concatenate(moments, axis=1)))


@lru_cache(maxsize=1)
def _lite2() -> keras.Model:
    """Build pixels (N, 128, 128, 3) → roots of pooled features (N, 1280), and the inner map (N, 8 · 8, C).

    Features are similar to counts, and without the root a few large ones would dominate every distance.
    """
    from pika_eyes.lite import LITE2, build_lite, normalise

    pixels = keras.Input((_LITE_SIDE, _LITE_SIDE, 3), dtype="float32")
    stage, head = build_lite(LITE2, _LITE_SIDE, (_STAGE, "head"))(normalise(pixels))
    features = ops.sqrt(ops.relu(ops.mean(head, axis=(1, 2))))
    return keras.Model(pixels, [features, ops.reshape(stage, (-1, 8 * 8, stage.shape[-1]))])
