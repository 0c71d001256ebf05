"""A picture of any shape → a square: cropped around its middle, or whole, on more of its own plain ground."""

import io

import numpy as np
from PIL import Image

from pika_kit.images import Pixels, square

SQUARE_FORMAT = "webp"
FITS = ("crop", "pad")


def fitted(pixels: Pixels, size: int, ground: list[int] | None) -> Pixels:
    """uint8 (size, size, 3), Lanczos filter.

    Args:
        ground: the RGB colour to pad with; None crops.
    """
    if ground is None:
        return square(pixels, size)
    height, width = pixels.shape[:2]
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = Image.fromarray(pixels).resize(inner, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (size, size), tuple(ground))
    canvas.paste(shrunk, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return np.asarray(canvas)


def encode_square(pixels: Pixels) -> bytes:
    """Lossless WebP at its quickest: a third of the time of a PNG, for a few bytes more."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()
