"""Cut figures out of plain backgrounds and place them on white: the best training data for a small GAN.

A generator of whole pictures spends much of its capacity on backgrounds, which have nothing in common. A
background of one colour can be removed: flood it from the border, keep the parts that stand on it, crop to
their box, and centre them on a white square.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

WORKING_SIDE = 320
"""Figures are looked for at no more than so many pixels of the longer side, and are cut from those."""
COLOUR_DISTANCE = 28
"""Largest difference of a channel, 0–255, up to which a pixel is of the ground's colour."""
PLAIN_SHARE = 0.8
"""A ground is plain where so much of the border is of one colour."""
FIGURE_SIDE = 0.92
"""The figure's longer side, as a share of the square's."""
PART_SHARE = 0.05
"""Parts smaller than this share of the largest one are crumbs: captions, watermarks, noise."""
LEAST_AREA, LEAST_BOX = 0.03, 0.04
"""Shares of the picture: what is smaller would be blown up to a blur."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A figure uint8 (S, S, 3) on white, or why not: "busy_ground", "nothing_on_it", "too_small"."""

    pixels: np.ndarray | None
    reason: str | None = None


def cut_out(pixels: np.ndarray, size: int) -> Cut:
    """Cut the figure out of uint8 (H, W, 3) and place it on a white square of `size` pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS)
    values = np.asarray(image).astype(np.int16)
    frame = _frame(values)
    colour = np.median(frame, axis=0)
    if (np.abs(frame - colour).max(axis=1) < COLOUR_DISTANCE).mean() < PLAIN_SHARE:
        return Cut(None, "busy_ground")
    ground = _ground(values, colour)
    figure = _large_parts(ndimage.binary_opening(~ground))
    if not figure.any():
        return Cut(None, "nothing_on_it")
    box = ndimage.find_objects(figure.astype(np.int8))[0]
    height, width = (axis.stop - axis.start for axis in box)
    if figure.mean() < LEAST_AREA or height * width < LEAST_BOX * figure.size:
        return Cut(None, "too_small")
    # The outermost background pixels are blended with the figure: keep them to avoid jagged edges.
    white = np.where(ndimage.binary_erosion(ground)[..., None], 255, values).astype(np.uint8)
    return Cut(_on_white(white[box], size))


def _frame(values: np.ndarray) -> np.ndarray:
    """Return the border's pixels, (N, 3): a sixtieth of the shorter side, at least two pixels wide."""
    margin = max(2, min(values.shape[:2]) // 60)
    sides = (values[:margin], values[-margin:], values[:, :margin], values[:, -margin:])
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def _ground(values: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return bool (H, W): background-coloured pixels connected to the border."""
    parts, _ = ndimage.label(np.abs(values - colour).max(axis=2) < COLOUR_DISTANCE)
    at_border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return np.isin(parts, at_border[at_border > 0])


def _large_parts(figure: np.ndarray) -> np.ndarray:
    """Return bool (H, W) without small crumbs."""
    parts, num = ndimage.label(figure)
    if not num:
        return figure
    sizes = np.bincount(parts.ravel(), minlength=num + 1)
    sizes[0] = 0
    return sizes[parts] > PART_SHARE * sizes.max()


def _on_white(cut: np.ndarray, size: int) -> np.ndarray:
    height, width = cut.shape[:2]
    side = int(max(height, width) / FIGURE_SIDE) + 1
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = cut
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS))
