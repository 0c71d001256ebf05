"""A picture of any shape → a square: cropped around its centre, or padded with its plain background."""

import io

from PIL import Image, ImageOps

SQUARE_FORMAT = "webp"
FITS = ("crop", "pad")


def fitted(image: Image.Image, size: int, ground: list[int] | None) -> Image.Image:
    """Return an RGB picture of `size` × `size`, Lanczos filter.

    Args:
        image: RGB, upright.
        size: side in pixels.
        ground: the RGB colour to pad with; None crops.
    """
    if ground is None:
        return ImageOps.fit(image, (size, size), method=Image.Resampling.LANCZOS)
    scale = size / max(image.size)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    shrunk = image.resize(inner, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (size, size), tuple(ground))
    canvas.paste(shrunk, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas


def encode_square(image: Image.Image) -> bytes:
    """Encode as lossless WebP with the fastest settings: half the time of a PNG at level 1."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()
