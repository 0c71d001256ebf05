"""Augmentation of single pictures before they enter the model: geometry, colour, cutout.

Pillow and numpy only, on uint8 pictures of the served size, so that training uses the exported model's own
preprocessing. Mirroring is done here too; validation and serving average both sides instead.
"""

import math

import numpy as np
from PIL import Image

from pika_classifier.config import Augmentation

# Luma weights of ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# YIQ, in which rotating the two colour axes changes the hue (NTSC 1953 primaries).
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
_YIQ_TO_RGB = np.linalg.inv(_RGB_TO_YIQ)


def augment(picture: np.ndarray, rng: np.random.Generator, how: Augmentation, size: int) -> np.ndarray:
    """Return a random variation of one picture.

    Args:
        picture: uint8 (H, H, 3).
        how: the ranges.
        rng: the only source of randomness.
        size: the result's side in pixels, from H / 2 to H.

    Returns:
        uint8 (size, size, 3), a new array.
    """
    image = Image.fromarray(picture)
    # Uncovered areas take the border's colour, which usually continues the background.
    fill = tuple(int(value) for value in np.median(_border(picture), axis=0))
    moved = image.transform(
        (size, size), Image.Transform.AFFINE, _affine(picture.shape[0], size, rng, how),
        Image.Resampling.BILINEAR, fillcolor=fill,
    )  # fmt: skip
    pixels = _recolour(np.asarray(moved, np.float32), rng, how)
    if rng.random() < how.cutout_probability:
        _cut_out(pixels, rng, how.cutout_side)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _border(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _affine(side: int, size: int, rng: np.random.Generator, how: Augmentation) -> tuple[float, ...]:
    """Return Pillow's six affine coefficients, which map result pixels (`size`) to original ones (`side`)."""
    scale = math.exp(rng.uniform(math.log(how.scale[0]), math.log(how.scale[1])))
    stretch = math.exp(rng.uniform(-1, 1) * math.log(how.stretch) / 2)
    angle = math.radians(rng.uniform(-how.degrees, how.degrees))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    across, along = scale * stretch * mirror, scale / stretch
    matrix = np.array(
        [
            [across * math.cos(angle), along * math.sin(angle)],
            [-across * math.sin(angle), along * math.cos(angle)],
        ]
    )
    matrix *= side / size
    # Pillow's coordinates start at the corner of the first pixel, not at its centre.
    shift = rng.uniform(-how.shift, how.shift, size=2) * side
    offset = side / 2 + shift - matrix @ np.array([size / 2, size / 2])
    return (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1])


def _recolour(pixels: np.ndarray, rng: np.random.Generator, how: Augmentation) -> np.ndarray:
    """Change brightness, contrast, saturation and hue by one matrix product; float32, 0–255."""
    angle = math.radians(rng.uniform(-how.hue_degrees, how.hue_degrees))
    saturation = 0.0 if rng.random() < how.grey_probability else 1 + rng.uniform(-1, 1) * how.saturation
    turn = np.diag([1.0, saturation, saturation]) @ np.array(
        [[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]]
    )
    contrast = 1 + rng.uniform(-1, 1) * how.contrast
    brightness = 1 + rng.uniform(-1, 1) * how.brightness
    matrix = (_YIQ_TO_RGB @ turn @ _RGB_TO_YIQ * contrast * brightness).astype(np.float32)
    middle = float((pixels @ _LUMA).mean()) * (1 - contrast) * brightness
    return pixels @ matrix.T + np.float32(middle)


def _cut_out(pixels: np.ndarray, rng: np.random.Generator, largest: float) -> None:
    side = pixels.shape[0]
    height, width = (rng.uniform(0.3, 1.0, size=2) * largest * side).astype(int)
    top, left = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
    pixels[top : top + height, left : left + width] = 128.0
