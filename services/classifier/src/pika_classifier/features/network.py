"""The network behind a `FeatureSet`: pictures as stored in the bucket → one vector each. Needs Keras."""

import keras
from keras import ops

from pika_classifier.config import IMAGE_SIZE, FeatureSet
from pika_classifier.features.extractor import FEATURES_NAME
from pika_classifier.features.histogram import colour_histogram
from pika_classifier.features.preprocessing import picture_input, shrink
from pika_eyes.lite import LITES, build_lite, normalise

MAPS_NAME = "maps"
_COLOUR_SIDE = 64


def build_features(features: FeatureSet, tap: str | None = None) -> keras.Model:
    """Build a frozen model: uint8 (N, 256, 256, 3) → {"features"}, float32 (N, F), all blocks concatenated.

    Args:
        tap: also return this feature map, as "maps" (2N, h, w, C): of the pictures, then of their mirror
            images.

    Raises:
        FileNotFoundError: the weights' package is not installed.
    """
    pictures = picture_input()
    eyes = build_lite(LITES[features.lite], IMAGE_SIZE, taps=("head", *([tap] if tap else [])))
    pixels = normalise(pictures)
    # One batch of both sides, so that the exported graph contains the network once.
    seen = eyes(ops.concatenate([pixels, ops.flip(pixels, axis=2)]))
    maps, *lower = seen if isinstance(seen, list) else [seen]
    means = ops.mean(maps, axis=(1, 2))
    squares = ops.mean(ops.square(maps - means[:, None, None, :]), axis=(1, 2))
    # The root's slope is infinite at 0, where it would magnify rounding errors.
    deviations = ops.sqrt(squares + 1e-12)
    small = shrink(pictures, _COLOUR_SIDE, 1 / 255, 0.0)
    blocks = [_both_sides(means), _both_sides(deviations), colour_histogram(small)]
    vector = ops.sqrt(ops.concatenate(blocks, axis=-1) + 1e-8)
    outputs = {FEATURES_NAME: vector} | ({MAPS_NAME: lower[0]} if tap else {})
    model = keras.Model(pictures, outputs, name="features")
    model.trainable = False
    return model


def _both_sides(values: keras.KerasTensor) -> keras.KerasTensor:
    """Average pictures and their mirror images, (2N, F) in this order, to (N, F)."""
    return ops.mean(ops.reshape(values, (2, -1, values.shape[-1])), axis=0)
