"""Possible problems of a picture, reported as flags; none of them rejects or deletes it.

| flag | meaning | | --- | --- | | blank | hardly any grey value differs from the others | | blurry | hardly
any edge is sharp at the size used for training | | busy_background, plain_background | how much of the
picture's border has one colour | | dark | the mean grey value is low | | extreme_aspect | one side is much
longer than the other, so that most is cropped away | | screenshot | a lossless file with exactly the
dimensions of a common screen | | tiny | the shorter side has few pixels |
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from pika_kit.images import Picture, Pixels
from pika_scraper.config import PrepareConfig

_SCREENS = frozenset(
    {
        (1280, 720), (1280, 800), (1366, 768), (1440, 900), (1536, 864), (1600, 900), (1680, 1050),
        (1920, 1080), (1920, 1200), (2560, 1440), (2560, 1600), (2880, 1800), (3440, 1440), (3840, 2160),
        (1136, 640), (1334, 750), (1792, 828), (2208, 1242), (2340, 1080), (2400, 1080), (2436, 1125),
        (2532, 1170), (2556, 1179), (2688, 1242), (2778, 1284), (2796, 1290), (2048, 1536), (2160, 1620),
        (2388, 1668), (2732, 2048),
    }
)  # fmt: skip
_LOSSLESS = ("png", "bmp")

_BORDER_PIXELS = 3000
_BOX_SIDE = 128
"""The box is found on a grid of so many points at least along the shorter side."""

Colour = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Inspected:
    """Flags in alphabetical order and, for a plain background, its colour and the figure's box.

    `background` is RGB, 0–255. `box` is left, top, right and bottom as shares of width and height, 0–1; None
    if the background is not plain or is empty.
    """

    flags: list[str]
    background: list[int] | None = None
    box: list[float] | None = None


def inspect(picture: Picture, grey: Image.Image, config: PrepareConfig) -> Inspected:
    """Compute the flags of a picture; `grey` is its image in mode L."""
    pixels, width, height = picture.pixels, picture.width, picture.height
    mean, deviation = _mean_and_deviation(grey)
    share, ground = _border(pixels, config.plain_distance)
    is_plain = share > config.plain_share
    checks = {
        "blank": deviation < config.blank_deviation,
        "blurry": _sharp_share(grey, config.sharp_edge) < config.sharp_share,
        "busy_background": share < config.busy_share,
        "dark": mean < config.dark_mean,
        "extreme_aspect": max(width, height) > config.extreme_aspect * min(width, height),
        "plain_background": is_plain,
        "screenshot": picture.format in _LOSSLESS and (max(width, height), min(width, height)) in _SCREENS,
        "tiny": min(width, height) < config.tiny_side,
    }
    flags = [name for name, holds in checks.items() if holds]
    if not is_plain:
        return Inspected(flags)
    return Inspected(flags, [int(value) for value in ground], _box(pixels, ground, config.plain_distance))


def _mean_and_deviation(grey: Image.Image) -> tuple[float, float]:
    """Compute a statistic of the values 0–255 from their histogram."""
    counts, values = np.array(grey.histogram()), np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def _sharp_share(grey: Image.Image, edge: int) -> float:
    """Return the share of pixels whose Laplacian (four neighbours) is at least `edge`; none if blurred."""
    values = np.asarray(grey).astype(np.int16)
    if min(values.shape) < 3:
        return 1.0
    inner = 4 * values[1:-1, 1:-1]
    inner -= values[:-2, 1:-1]
    inner -= values[2:, 1:-1]
    inner -= values[1:-1, :-2]
    inner -= values[1:-1, 2:]
    return float(np.count_nonzero(np.abs(inner) >= edge) / inner.size)


def _border(pixels: Pixels, distance: int) -> tuple[float, Colour]:
    """Look at a frame 1/32 of the shorter side wide: the share of pixels near its median, and that colour."""
    margin = max(1, min(pixels.shape[:2]) // 32)
    sides = (
        pixels[:margin],
        pixels[-margin:],
        pixels[margin:-margin, :margin],
        pixels[margin:-margin, -margin:],
    )
    frame = np.concatenate([side.reshape(-1, 3) for side in sides])
    # A few thousand pixels give the share to about 1 %.
    frame = frame[:: max(1, len(frame) // _BORDER_PIXELS)].astype(np.int16)
    median = np.median(frame, axis=0).astype(np.int16)
    return float((np.abs(frame - median) <= distance).all(axis=1).mean()), median


def _box(pixels: Pixels, ground: Colour, distance: int) -> list[float] | None:
    """Find the figure on a plain background: rows and columns with at least 1 % of other pixels."""
    step = max(1, min(pixels.shape[:2]) // _BOX_SIDE)
    is_figure: npt.NDArray[np.bool_] = np.zeros(pixels[::step, ::step, 0].shape, bool)
    for channel, value in enumerate(ground.astype(np.uint8)):
        coarse = pixels[::step, ::step, channel]
        # The absolute difference without leaving eight bits, and one channel at a time: four times faster.
        is_figure |= np.maximum(coarse, value) - np.minimum(coarse, value) > distance
    sides = []
    for axis in (1, 0):  # which columns, which rows
        along = np.flatnonzero(is_figure.mean(axis=1 - axis) > 0.01)
        if not along.size:
            return None
        length = int(is_figure.shape[axis])
        sides.append((float(along[0]) / length, float(along[-1] + 1) / length))
    (left, right), (top, bottom) = sides
    return [round(value, 4) for value in (left, top, right, bottom)]
