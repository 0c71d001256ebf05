"""A picture of any shape → a square: cropped around its centre, or padded with its plain background."""

import numpy as np
from PIL import Image, ImageOps

from pika_kit.images import SQUARE_FILTER
from pika_kit.png import encode_png

SQUARE_EXTENSION = "png"
FITS = ("crop", "pad")


def fitted(image: Image.Image, size: int, ground: list[int] | None) -> Image.Image:
    """Return an RGB picture of `size` × `size`, made with the filter of `pika_kit.images.square`.

    Args:
        image: RGB, upright.
        size: side in pixels.
        ground: the RGB colour to pad with; None crops.
    """
    if ground is None:
        return ImageOps.fit(image, (size, size), method=SQUARE_FILTER)
    scale = size / max(image.size)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    shrunk = image.resize(inner, SQUARE_FILTER)
    canvas = Image.new("RGB", (size, size), tuple(ground))
    canvas.paste(shrunk, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas


def encode_square(image: Image.Image) -> bytes:
    """Encode without loss, so that the classifier says the same of a square as of the posted original."""
    return encode_png(np.asarray(image))
