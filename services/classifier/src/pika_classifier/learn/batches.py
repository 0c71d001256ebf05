"""The batches for training by steps: freshly augmented pictures."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from pika_classifier.config import IMAGE_SIZE, Preset
from pika_classifier.learn.augment import augment
from pika_classifier.learn.data import BatchSource, LabelledPictures

Batches = Iterator[tuple[np.ndarray, np.ndarray]]
_FEATURE_BATCH = 16
_NUM_THREADS = 2


def targets_of(pictures: LabelledPictures) -> np.ndarray:
    """Return float32 (N, 1): 1 for Pikachu."""
    return pictures.is_pikachu.astype(np.float32)[:, None]


def picture_batches(trains: LabelledPictures, preset: Preset, seed: int) -> Batches:
    """Endless batches of freshly augmented pictures."""
    source, targets = BatchSource(len(trains), preset.batch_size, seed), targets_of(trains)
    seeds = np.random.SeedSequence(seed)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        while True:
            rows = source.next()
            yield _augmented(trains.pixels[rows], preset, seeds, pool), targets[rows]


def _augmented(
    pixels: np.ndarray, preset: Preset, seeds: np.random.SeedSequence, pool: ThreadPoolExecutor
) -> np.ndarray:
    """Augment uint8 (N, 256, 256, 3) at the network's input size, at least 128; the shape stays.

    Pixels are then repeated: the model's block means recover the small picture, in a quarter of the time.
    Each picture has its own random stream, so that the order of threads does not matter.
    """
    size = max(preset.input_size, IMAGE_SIZE // 2)
    streams = [np.random.default_rng(child) for child in seeds.spawn(len(pixels))]
    varied = np.stack(
        list(pool.map(lambda picture, rng: augment(picture, rng, preset.augmentation, size), pixels, streams))
    )
    factor = IMAGE_SIZE // size
    return varied.repeat(factor, axis=1).repeat(factor, axis=2)


def predict_in_batches(model: keras.Model, pixels: np.ndarray) -> Any:
    """Run the model on uint8 (N, 256, 256, 3) in bounded memory; return an array or a dictionary."""
    run = compiled(model)
    chunks = [run(pixels[at : at + _FEATURE_BATCH]) for at in range(0, len(pixels), _FEATURE_BATCH)]
    if isinstance(chunks[0], dict):
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return np.concatenate(chunks)


def compiled(model: keras.Model) -> Callable[[np.ndarray], Any]:
    """Compile the model as a function of uint8 pictures; `predict` would retrace at every call."""
    import tensorflow as tf

    traced = tf.function(
        lambda pixels: model(pixels, training=False),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)],
    )
    return lambda pixels: tf.nest.map_structure(np.asarray, traced(pixels))
