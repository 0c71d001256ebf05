"""A picture's colours as a soft histogram of hue, saturation and value, in `keras.ops`.

Every pixel is divided between the two nearest bins of each axis, and grey pixels between all hues, so that
the histogram is as smooth as the picture. With hard bins two runtimes that round differently could differ by
a whole pixel.
"""

import keras
import numpy as np
from keras import ops

BINS = (12, 4, 4)
"""Of hue, saturation and value."""
NUM_COLOURS = BINS[0] * BINS[1] * BINS[2]
_GREY_BELOW = 1 / 8
"""Saturation below which a pixel's hue counts less and less."""


def colour_histogram(x: keras.KerasTensor) -> keras.KerasTensor:
    """Map RGB pictures float32 (N, H, W, 3), 0–1, to shares of the pixels (N, 192), which sum to 1."""
    pixels = ops.reshape(x, (-1, x.shape[1] * x.shape[2], 3))
    hue, saturation, value = _hue_saturation_value(pixels)
    colourful = ops.minimum(saturation / _GREY_BELOW, 1.0)[..., None]
    hues = colourful * _around_circle(hue, BINS[0]) + (1 - colourful) / BINS[0]
    shades = _along_line(saturation, BINS[1])[..., :, None] * _along_line(value, BINS[2])[..., None, :]
    shades = ops.reshape(shades, (-1, pixels.shape[1], BINS[1] * BINS[2]))
    joint = ops.matmul(ops.transpose(hues, (0, 2, 1)), shades) / pixels.shape[1]
    return ops.reshape(joint, (-1, NUM_COLOURS))


def _hue_saturation_value(
    pixels: keras.KerasTensor,
) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Convert RGB (N, P, 3) to three times (N, P), 0–1 (Smith 1978, "Color gamut transform pairs")."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    value = ops.max(pixels, axis=-1)
    chroma = value - ops.min(pixels, axis=-1)
    some = chroma + 1e-6
    from_red = ops.mod((green - blue) / some, 6.0)
    from_green, from_blue = (blue - red) / some + 2.0, (red - green) / some + 4.0
    sector = ops.where(value == red, from_red, ops.where(value == green, from_green, from_blue))
    return sector / 6.0, chroma / (value + 1e-3), value


def _around_circle(values: keras.KerasTensor, num: int) -> keras.KerasTensor:
    """Return membership (…, num) of angles 0–1 in `num` bins around the circle, shared by the nearest two."""
    centres = np.arange(num, dtype=np.float32) + np.float32(0.5)
    distance = ops.abs(values[..., None] * num - centres)
    return ops.relu(1.0 - ops.minimum(distance, num - distance))


def _along_line(values: keras.KerasTensor, num: int) -> keras.KerasTensor:
    """Return membership (…, num) of values 0–1 in `num` bins with centres from 0 to 1."""
    centres = np.arange(num, dtype=np.float32)
    return ops.relu(1.0 - ops.abs(values[..., None] * (num - 1) - centres))
