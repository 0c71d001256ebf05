"""What happens to a picture inside every model before the network sees it; there is no other place."""

import keras

from pika_classifier.config import IMAGE_SIZE
from pika_classifier.serve.predictor import INPUT_NAME


def picture_input() -> keras.KerasTensor:
    """The input of every classifier: the squares as they lie in the `images` bucket."""
    return keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8", name=INPUT_NAME)


def shrink(pictures: keras.KerasTensor, size: int, scale: float, offset: float) -> keras.KerasTensor:
    """uint8 pictures → float32 (N, size, size, 3), value · scale + offset, each pixel the mean of a block.

    `size` divides 256: block means are the same numbers in every runtime, which resizing filters are not.
    """
    x = keras.layers.Rescaling(scale, offset)(pictures)
    factor = IMAGE_SIZE // size
    return keras.layers.AveragePooling2D(factor)(x) if factor > 1 else x
