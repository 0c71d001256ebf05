"""A training figure in another pose: slightly rotated, scaled and shifted.

A figure on white remains a valid figure when rotated by a few degrees. Poses are therefore additional
training pictures, unlike DiffAugment's changes, which the generator must not learn to draw.
"""

import hashlib

import numpy as np
from PIL import Image

from pika_gan.latents import generator_for

DEGREES = 8.0
SCALE = 0.08
SHIFT = 0.03
"""As a share of the side."""


def pose(figure: np.ndarray, number: int) -> np.ndarray:
    """Return pose `number` of uint8 (S, S, 3) on white; it depends only on the picture and the number."""
    digest = hashlib.sha256(figure.tobytes()).digest()
    random = generator_for(int.from_bytes(digest[:8], "big"), number)
    size = figure.shape[0]
    angle = np.deg2rad(DEGREES * random.uniform(-1, 1))
    zoom = 1 + SCALE * random.uniform(-1, 1)
    shift = size * SHIFT * random.uniform(-1, 1, 2)
    # Output point → input point, around the centre; Pillow's AFFINE takes the matrix row by row.
    cosine, sine, centre = np.cos(angle) / zoom, np.sin(angle) / zoom, (size - 1) / 2
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    offset = centre - matrix @ (centre + shift)
    data = (*matrix[0], offset[0], *matrix[1], offset[1])
    turned = Image.fromarray(figure).transform(
        (size, size), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
    )
    return np.asarray(turned)
