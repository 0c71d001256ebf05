"""The feature space that KID is measured in: a fixed, untrained convolutional pyramid. Nothing is downloaded.

For pictures unlike ImageNet's, features of a network with random weights rank generators as well as trained
ones do (Naeem et al. 2020, arXiv:2002.09797, use a random VGG for that reason), and no discriminator has seen
them, so they flatter no model. Three levels of orthonormal random filters with rectification; of each level
the mean and the deviation over the quarters of the picture, so that both texture (a blurred picture moves
far) and layout count. The filters come from numpy's Philox stream and are versioned: figures are comparable
only within one FEATURE_VERSION.
"""

from __future__ import annotations

from functools import lru_cache

import keras
import numpy as np
from keras import ops

from pika_gan.data import resize
from pika_gan.generate import latent

FEATURE_VERSION = "random-pyramid-1"
INPUT_SIZE = 32  # pictures of any size are brought to this one, by Pillow
LEVELS = ((5, 3, 32), (3, 32, 64), (3, 64, 128))  # kernel, channels in, channels out
NUM_FEATURES = sum(2 * 4 * level[2] for level in LEVELS)  # mean and deviation of each quarter


@lru_cache(maxsize=1)
def _filters() -> tuple[np.ndarray, ...]:
    """One kernel (k, k, C, width) float32 per level, with orthonormal columns or rows."""
    kernels = []
    for index, (kernel, channels, width) in enumerate(LEVELS):
        rows = kernel * kernel * channels
        normal = latent(977 + index, rows * width).reshape(rows, width).astype(np.float64)
        left, _, right = np.linalg.svd(normal, full_matrices=False)
        gain = np.sqrt(2.0 * rows / min(rows, width))  # keeps the variance through a rectification
        kernels.append((gain * (left @ right)).reshape(kernel, kernel, channels, width).astype(np.float32))
    return tuple(kernels)


def features_of(pictures: np.ndarray, batch_size: int = 128) -> np.ndarray:
    """uint8 (N, S, S, 3) → float64 (N, NUM_FEATURES)."""
    small = np.stack([resize(picture, INPUT_SIZE) for picture in pictures])
    parts = [_features(small[start : start + batch_size]) for start in range(0, len(small), batch_size)]
    return np.concatenate(parts).astype(np.float64)


def _features(pictures: np.ndarray) -> np.ndarray:
    x = ops.convert_to_tensor(pictures.astype(np.float32) / 127.5 - 1.0)
    found = []
    for kernel in _filters():
        x = ops.relu(ops.conv(x, kernel, padding="same"))
        size = x.shape[1] // 2
        for moment in (ops.mean, ops.std):
            for row in (0, size):
                for column in (0, size):
                    found.append(moment(x[:, row : row + size, column : column + size], axis=(1, 2)))
        x = keras.ops.average_pool(x, 2, strides=2)
        x = x / (ops.sqrt(ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True)) + 1e-6)
    return np.asarray(ops.convert_to_numpy(ops.concatenate(found, axis=1)))
