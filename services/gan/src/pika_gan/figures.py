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
ENCLOSED_SHARE = 0.1
"""Share of the picture from which an enclosed area of the ground's colour is ground, as within a frame."""
PART_SHARE = 0.15
"""Parts smaller than this share of the largest one are crumbs: captions, hearts, frames. Tails are larger."""
EQUAL_SHARE = 0.4
"""From this share of the largest part on, a second one is a figure, or writing, of its own."""
LEAST_AREA, LEAST_BOX = 0.03, 0.04
"""Shares of the picture: what is smaller would be blown up to a blur."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A figure uint8 (S, S, 3) on white, or why not.

    Reasons are "busy_ground", "nothing_on_it", "several" and "too_small".
    """

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
    parts = _large_parts(ndimage.binary_opening(~ground))
    if not parts:
        return Cut(None, "nothing_on_it")
    if len(parts) > 1 and parts[1].sum() > EQUAL_SHARE * parts[0].sum():
        return Cut(None, "several")
    figure = np.any(parts, axis=0)
    box = ndimage.find_objects(figure.astype(np.int8))[0]
    height, width = (axis.stop - axis.start for axis in box)
    if figure.mean() < LEAST_AREA or height * width < LEAST_BOX * figure.size:
        return Cut(None, "too_small")
    # The outermost background pixels are blended with the figure: keep them to avoid jagged edges.
    blended = ndimage.binary_dilation(figure, iterations=2) & ~ndimage.binary_erosion(ground)
    white = np.where(blended[..., None], values, 255).astype(np.uint8)
    return Cut(_on_white(white[box], size))


def _frame(values: np.ndarray) -> np.ndarray:
    """Return the border's pixels, (N, 3): a sixtieth of the shorter side, at least two pixels wide."""
    margin = max(2, min(values.shape[:2]) // 60)
    sides = (values[:margin], values[-margin:], values[:, :margin], values[:, -margin:])
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def _ground(values: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return bool (H, W): areas of the background's colour that reach the border, or are large."""
    areas, num = ndimage.label(np.abs(values - colour).max(axis=2) < COLOUR_DISTANCE)
    is_ground = np.bincount(areas.ravel(), minlength=num + 1) >= ENCLOSED_SHARE * areas.size
    is_ground[np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])] = True
    is_ground[0] = False
    ground: np.ndarray = is_ground[areas]
    return ground


def _large_parts(figure: np.ndarray) -> list[np.ndarray]:
    """Return the parts of bool (H, W) that are no crumbs, each bool (H, W), from the largest on."""
    labels, num = ndimage.label(figure)
    sizes = np.bincount(labels.ravel(), minlength=num + 1)[1:]
    order = np.argsort(-sizes, kind="stable") + 1
    return [labels == part for part in order if sizes[part - 1] > PART_SHARE * sizes.max()]


def _on_white(cut: np.ndarray, size: int) -> np.ndarray:
    height, width = cut.shape[:2]
    side = int(max(height, width) / FIGURE_SIDE) + 1
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = cut
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS))
