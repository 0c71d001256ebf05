"""The only preprocessing of pictures: it is part of every model, in front of the network."""

import keras

from pika_classifier.config import IMAGE_SIZE
from pika_classifier.serve.predictor import INPUT_NAME


def picture_input() -> keras.KerasTensor:
    """Create the input of every classifier: the squares as stored in the `images` bucket."""
    return keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8", name=INPUT_NAME)


def shrink(pictures: keras.KerasTensor, size: int, scale: float, offset: float) -> keras.KerasTensor:
    """Map uint8 pictures to float32 (N, size, size, 3), value · scale + offset, by averaging blocks.

    `size` divides 256: block means are the same numbers in every runtime, unlike resizing filters.
    """
    x = keras.layers.Rescaling(scale, offset)(pictures)
    factor = IMAGE_SIZE // size
    return keras.layers.AveragePooling2D(factor)(x) if factor > 1 else x
