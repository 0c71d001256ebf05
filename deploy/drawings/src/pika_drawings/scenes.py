"""Scenes: small landscapes, streets and abstract pictures, as backgrounds or on their own.

Every scene takes a random generator, width and height in pixels, and returns an RGB picture of that size.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from pika_drawings.anatomy import hsv, shaded
from pika_drawings.canvas import (
    Canvas,
    Colour,
    Group,
    Ink,
    Line,
    Placement,
    Points,
    Shape,
    ellipse,
    spline,
)

Background = Callable[[np.random.Generator, int, int], Image.Image]
NO_INK = Ink(None, 0.0)


def any_colour(rng: np.random.Generator) -> Colour:
    """Pick a background's colour: often white or pale, sometimes strong, also yellow."""
    kind = rng.random()
    if kind < 0.25:
        return (255, 255, 255)
    if kind < 0.65:
        return hsv(rng.uniform(0, 360), rng.uniform(0.08, 0.3), rng.uniform(0.9, 1.0))
    return hsv(rng.uniform(0, 360), rng.uniform(0.3, 0.8), rng.uniform(0.35, 1.0))


def painted(width: int, height: int, groups: list[Group]) -> Image.Image:
    """Paint the groups over the whole frame; units: the frame is at least -1 to 1 on both axes."""
    canvas = Canvas(Image.new("RGB", (width, height)), 2)
    scale = max(width, height)  # half of the larger side, at twice the size
    canvas.paint(groups, NO_INK, Placement(np.eye(2) * scale, np.array([width, height], dtype=float)))
    return canvas.picture()


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _hills(rng: np.random.Generator, level: float, colour: Colour) -> Shape:
    x = np.linspace(-1.4, 1.4, 7)
    top = spline(np.stack([x, level + rng.uniform(-0.12, 0.12, 7)], axis=1), closed=False)
    return Shape(np.concatenate([top, [(1.4, 1.6), (-1.4, 1.6)]]), colour)


def _mountain(rng: np.random.Generator, foot: float, colour: Colour) -> Shape:
    x, span, height = rng.uniform(-1, 1), rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.6)
    return Shape(np.array([(x - span, foot), (x, foot - height), (x + span, foot)]), colour)


def _cloud(x: float, y: float, size: float, colour: Colour) -> Group:
    puffs = ((-0.5, 0.05, 0.3), (0, -0.08, 0.42), (0.5, 0.06, 0.32), (0.1, 0.12, 0.5))
    return [
        Shape(ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.62), colour) for dx, dy, r in puffs
    ]


def meadow(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw sky, clouds, hills and perhaps trees."""
    sky = hsv(rng.uniform(190, 215), rng.uniform(0.2, 0.5), rng.uniform(0.88, 1.0))
    green = rng.uniform(75, 140)
    groups: list[Group] = [[Shape(rectangle(-2, -2, 2, 2), sky)]]
    for _ in range(rng.integers(1, 4)):
        groups.append(
            _cloud(rng.uniform(-0.9, 0.9), rng.uniform(-0.85, -0.35), rng.uniform(0.2, 0.4), (252, 253, 255))
        )
    groups.append([_hills(rng, rng.uniform(0.05, 0.2), hsv(green + 12, 0.4, 0.75))])
    for _ in range(rng.integers(0, 4)):
        x, y, size = rng.uniform(-0.95, 0.95), rng.uniform(0.15, 0.35), rng.uniform(0.12, 0.24)
        crown = hsv(green + 20, 0.6, rng.uniform(0.4, 0.6))
        groups.append(
            [
                Shape(
                    rectangle(x - size * 0.12, y - size * 0.4, x + size * 0.12, y + size), hsv(25, 0.5, 0.4)
                ),
                Shape(ellipse(x, y - size, size * 0.8, size), crown, shaded(crown)),
            ]
        )
    groups.append([_hills(rng, rng.uniform(0.35, 0.55), hsv(green, 0.55, 0.8))])
    return painted(width, height, groups)


def night(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a dark sky with stars and a moon over hills."""
    hue, light = rng.uniform(200, 300), rng.uniform(0.12, 0.4)
    stars: Group = [
        Shape(ellipse(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.006, 0.018)), (255, 250, 220))
        for _ in range(rng.integers(20, 50))
    ]
    moon = Shape(
        ellipse(rng.uniform(-0.8, 0.8), rng.uniform(-0.8, -0.3), rng.uniform(0.1, 0.3)), (250, 242, 200)
    )
    return painted(
        width,
        height,
        [
            [Shape(rectangle(-2, -2, 2, 2), hsv(hue, 0.65, light))],
            stars,
            [moon],
            [_mountain(rng, 0.6, hsv(hue, 0.5, light * 0.8)) for _ in range(rng.integers(0, 4))],
            [_hills(rng, rng.uniform(0.35, 0.6), hsv(hue - 40, 0.5, light * 0.6))],
        ],
    )


def beach(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw sky, sea and sand, at noon or with a low sun."""
    is_evening = rng.random() < 0.4
    sky = (
        hsv(rng.uniform(0, 40), 0.45, 1.0)
        if is_evening
        else hsv(rng.uniform(185, 220), rng.uniform(0.2, 0.5), 1.0)
    )
    horizon = rng.uniform(-0.15, 0.15)
    groups: list[Group] = [[Shape(rectangle(-2, -2, 2, 2), sky)]]
    if is_evening:
        groups.append(
            [Shape(ellipse(rng.uniform(-0.6, 0.6), horizon - 0.1, rng.uniform(0.12, 0.35)), (255, 225, 130))]
        )
    else:
        groups.append(_cloud(rng.uniform(-0.8, 0.8), rng.uniform(-0.8, -0.5), 0.35, (252, 253, 255)))
    if rng.random() < 0.5:
        groups.append(
            [
                _mountain(rng, horizon, hsv(rng.uniform(200, 300), 0.25, rng.uniform(0.5, 0.8)))
                for _ in range(3)
            ]
        )
    sea = Shape(rectangle(-2, horizon, 2, 1), hsv(rng.uniform(190, 225), 0.6, 0.75))
    return painted(width, height, [*groups, [sea], [_hills(rng, 0.5, hsv(42, rng.uniform(0.25, 0.4), 0.93))]])


def street(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw a row of houses with roofs, windows and doors."""
    groups: list[Group] = [[Shape(rectangle(-2, -2, 2, 2), hsv(rng.uniform(180, 230), 0.25, 0.98))]]
    x = -1.2
    while x < 1.1:
        span, top = rng.uniform(0.35, 0.65), rng.uniform(-0.45, 0.1)
        wall = hsv(rng.uniform(0, 360), rng.uniform(0.1, 0.5), rng.uniform(0.7, 1.0))
        roof = np.array(
            [(x - 0.03, top), (x + span / 2, top - rng.uniform(0.15, 0.4)), (x + span + 0.03, top)]
        )
        house: Group = [
            Shape(rectangle(x, top, x + span, 0.65), wall),
            Shape(roof, hsv(rng.uniform(0, 30), 0.6, 0.6)),
        ]
        house += [
            Shape(rectangle(x + span * a, y, x + span * (a + 0.22), y + 0.14), (90, 120, 160))
            for a in (0.16, 0.6)
            for y in np.arange(top + 0.08, 0.35, 0.24)
        ]
        house.append(Shape(rectangle(x + span * 0.4, 0.42, x + span * 0.62, 0.65), hsv(25, 0.6, 0.4)))
        groups.append(house)
        x += span + rng.uniform(0.0, 0.08)
    return painted(width, height, [*groups, [Shape(rectangle(-2, 0.65, 2, 2), (120, 122, 128))]])


def abstract(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw random blobs, bars and curves, with yellow, red and black among them."""
    parts: Group = []
    for _ in range(rng.integers(6, 18)):
        hue = rng.choice([rng.uniform(0, 360), 50, 0])
        colour = hsv(hue, rng.uniform(0.3, 0.95), rng.choice([0.12, 0.8, 1.0], p=[0.2, 0.4, 0.4]))
        middle, size = rng.uniform(-1, 1, 2), rng.uniform(0.1, 0.5)
        corners = ellipse(0, 0, size)[:: int(rng.integers(3, 9))]
        outline = rng.uniform(0.4, 1.0, (len(corners), 1)) * corners + middle
        if rng.random() < 0.3:
            parts.append(
                Line(spline(rng.uniform(-1, 1, (4, 2)), closed=False), colour, rng.uniform(0.02, 0.1))
            )
        else:
            parts.append(Shape(spline(outline) if rng.random() < 0.6 else outline, colour))
    return painted(width, height, [[Shape(rectangle(-2, -2, 2, 2), any_colour(rng))], parts])


SCENES: tuple[Background, ...] = (meadow, night, beach, street, abstract)
