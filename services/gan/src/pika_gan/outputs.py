"""Run a frozen network over many pictures."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from pika_gan.latents import from_uint8

_BATCH = 64


def outputs_of(
    network: keras.Model,
    pictures: np.ndarray,
    prepare: Callable[[np.ndarray], np.ndarray] = from_uint8,
) -> list[np.ndarray]:
    """Return each output of a network, (N, …), for pictures uint8 (N, S, S, 3), N at least 1.

    The network runs compiled, for EfficientNet-Lite almost three times as fast as called directly. The last
    batch is filled up, so that it is compiled for one size only.

    Args:
        network: in the state in which it predicts.
        pictures: what `prepare` converts, batch by batch, to the network's input.
    """
    parts = []
    for start in range(0, len(pictures), _BATCH):
        some = pictures[start : start + _BATCH]
        filled = np.concatenate([some, np.repeat(some[-1:], _BATCH - len(some), axis=0)])
        received = network.predict_on_batch(prepare(filled))
        outputs = received if isinstance(received, list | tuple) else [received]
        parts.append([np.asarray(output)[: len(some)] for output in outputs])
    return [np.concatenate(of_one_output) for of_one_output in zip(*parts, strict=True)]
