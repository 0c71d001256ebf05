"""Backgrounds for figures: mostly plain and soft ones, patterns, and occasionally a scene.

Every background takes a random generator, width and height in pixels, and returns an RGB picture.
"""

import numpy as np
from PIL import Image

from pika_drawings.canvas import Colour, Group, Shape, ellipse, turned
from pika_drawings.scenes import Background, any_colour, beach, meadow, night, painted, rectangle, street


def related(rng: np.random.Generator, colour: Colour) -> Colour:
    """Return a similar colour, for a gradient or pattern."""
    change = rng.uniform(-45, 45) + rng.uniform(-15, 15, 3)
    red, green, blue = np.clip(np.array(colour) + change, 0, 255).astype(int).tolist()
    return red, green, blue


def plain(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Fill with one colour."""
    return Image.new("RGB", (width, height), any_colour(rng))


def gradient(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a gradient along a line or from a bright centre."""
    first = any_colour(rng)
    second = related(rng, first)
    y, x = np.ogrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        place = x * np.cos(angle) + y * np.sin(angle)
    else:
        place = np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.3, 0.7))
    steps = ((place - place.min()) / np.ptp(place) * 255).astype(np.uint8)
    return Image.fromarray(np.linspace(first, second, 256).astype(np.uint8)[steps])


def pattern(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw dots, stripes, squares or rays in two related colours."""
    first = any_colour(rng)
    second = related(rng, first)
    kind = rng.choice(["dots", "stripes", "squares", "rays"])
    step = rng.uniform(0.12, 0.3)
    places = np.arange(-1.5, 1.5, step)
    parts: Group = []
    if kind == "dots":
        parts += [
            Shape(ellipse(x + (step / 2) * (row % 2), y, step * 0.28), second)
            for row, y in enumerate(places)
            for x in places
        ]
    elif kind == "stripes":
        angle = rng.uniform(0, 180)
        parts += [Shape(turned(rectangle(x, -1.6, x + step / 2, 1.6), angle), second) for x in places]
    elif kind == "squares":
        parts += [
            Shape(rectangle(x, y, x + step, y + step), second)
            for row, y in enumerate(places)
            for column, x in enumerate(places)
            if (row + column) % 2
        ]
    else:
        middle = rng.uniform(-0.3, 0.3, 2)
        num_rays = int(rng.integers(8, 18))
        for ray in range(num_rays):
            angles = 2 * np.pi * (ray + np.array([0, 0.5])) / num_rays
            edge = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            parts.append(Shape(np.concatenate([[middle], middle + edge]), second))
    return painted(width, height, [[Shape(rectangle(-2, -2, 2, 2), first)], parts])


BEHIND_FIGURES: tuple[tuple[Background, float], ...] = (
    (plain, 0.36),
    (gradient, 0.36),
    (pattern, 0.1),
    (meadow, 0.1),
    (beach, 0.04),
    (night, 0.02),
    (street, 0.02),
)


def behind_figure(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a background for a figure: about 70 % plain or soft."""
    weights = np.array([weight for _, weight in BEHIND_FIGURES])
    background = BEHIND_FIGURES[rng.choice(len(weights), p=weights / weights.sum())][0]
    return background(rng, width, height)
