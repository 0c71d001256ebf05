"""Objects, many as yellow as Pikachu, and a ghost: negatives that are not creatures.

Every function returns groups in figure units, about one unit from the centre to the edge.
"""

from collections.abc import Callable

import numpy as np

from pika_drawings.anatomy import BOLT, hsv, shaded
from pika_drawings.canvas import Colour, Group, Line, Points, Shape, ellipse, spline, symmetric, turned

DARK: Colour = (34, 28, 28)
WHITE: Colour = (252, 252, 250)


def _yellow(rng: np.random.Generator) -> Colour:
    return hsv(rng.uniform(44, 57), rng.uniform(0.65, 0.95), rng.uniform(0.9, 1.0))


def _strong(rng: np.random.Generator) -> Colour:
    return hsv(rng.uniform(0, 360), rng.uniform(0.5, 0.9), rng.uniform(0.6, 1.0))


def _box(left: float, top: float, right: float, bottom: float, corner: float = 0.06) -> Points:
    corners = [(right, top, -90), (right, bottom, 0), (left, bottom, 90), (left, top, 180)]
    arcs = []
    for x, y, start in corners:
        t = np.radians(start + np.linspace(0, 90, 5))
        middle = (x - corner * np.sign(x - (left + right) / 2), y - corner * np.sign(y - (top + bottom) / 2))
        arcs.append(np.stack([np.cos(t), np.sin(t)], axis=1) * corner + middle)
    return np.concatenate(arcs)


def _part(points: Points, colour: Colour, **options: object) -> Shape:
    return Shape(points, colour, shaded(colour), **options)  # type: ignore[arg-type]


def ball(rng: np.random.Generator) -> list[Group]:
    """Two halves, a dark belt and a white button."""
    disc, top = ellipse(0, 0, 1), _strong(rng)
    belt = Shape(_box(-1.1, -0.1, 1.1, 0.1, 0.01), DARK, outlined=False, clip=disc)
    upper = Shape(_box(-1.1, -1.1, 1.1, 0, 0.01), top, outlined=False, clip=disc)
    return [
        [_part(disc, WHITE), upper, belt],
        [Shape(ellipse(0, 0, 0.26), DARK), _part(ellipse(0, 0, 0.17), WHITE)],
    ]


def bolt_sign(rng: np.random.Generator) -> list[Group]:
    """A yellow warning triangle or a round badge with a black bolt."""
    yellow = _yellow(rng)
    triangle = np.array([(0, -1), (1.08, 0.85), (-1.08, 0.85)])
    outside = triangle if rng.random() < 0.5 else ellipse(0, 0.2, 1)
    bolt = np.array([(0.1, -0.5), (-0.32, 0.25), (-0.05, 0.2), (-0.14, 0.75), (0.32, -0.02), (0.04, 0.04)])
    inside = (outside - (0, 0.22)) * 0.84 + (0, 0.22)
    return [
        [Shape(outside, DARK)],
        [Shape(inside, yellow, outlined=False), Shape(bolt, DARK, outlined=False)],
    ]


def bolt(rng: np.random.Generator) -> list[Group]:
    """A bare bolt of lightning, in the shape of the tail."""
    return [[_part(np.array(BOLT), _yellow(rng))]]


def lemon(rng: np.random.Generator) -> list[Group]:
    """A lemon with a leaf."""
    yellow, green = _yellow(rng), hsv(rng.uniform(90, 130), 0.6, 0.65)
    fruit = spline(
        [
            (-1.05, 0),
            (-0.85, -0.16),
            (-0.45, -0.58),
            (0.2, -0.62),
            (0.78, -0.22),
            (1.08, -0.05),
            (1.05, 0.1),
            (0.78, 0.24),
            (0.2, 0.62),
            (-0.45, 0.58),
            (-0.85, 0.16),
        ]
    )
    leaf = spline([(0.95, -0.1), (1.0, -0.5), (0.7, -0.72), (0.72, -0.35)])
    shine = Shape(ellipse(-0.35, -0.28, 0.2, 0.09, -25), (255, 250, 205), outlined=False)
    return [[_part(leaf, green)], [_part(fruit, yellow), shine]]


def banana(rng: np.random.Generator) -> list[Group]:
    """A banana with brown ends."""
    t = np.radians(np.linspace(15, 150, 16))
    width = 0.28 * np.sin(np.linspace(0.35, np.pi - 0.3, 16))
    outer = np.stack([np.cos(t) * (0.75 + width), np.sin(t) * (0.75 + width)], axis=1)
    inner = np.stack([np.cos(t) * (0.75 - width), np.sin(t) * (0.75 - width)], axis=1)[::-1]
    fruit = np.concatenate([outer, inner])
    ends = [
        Shape(
            turned(ellipse(0, 0, 0.11), 0, (outer[i] + inner[-1 - i]) / 2),
            (88, 58, 34),
            outlined=False,
            clip=fruit,
        )
        for i in (0, 15)
    ]
    return [[_part(fruit, _yellow(rng)), *ends]]


def sun(rng: np.random.Generator) -> list[Group]:
    """A sun with rays; sometimes it smiles and has red cheeks."""
    yellow, num_rays = _yellow(rng), int(rng.integers(8, 15))
    ray = np.array([(-0.12, -0.68), (0, -1.05), (0.12, -0.68)])
    rays: Group = [Shape(turned(ray, 360 * index / num_rays), hsv(35, 0.8, 1)) for index in range(num_rays)]
    parts: Group = [_part(ellipse(0, 0, 0.66), yellow)]
    if rng.random() < 0.6:
        parts += [Shape(ellipse(x, -0.1, 0.08, 0.1), DARK, outlined=False) for x in (-0.22, 0.22)]
        parts += [Shape(ellipse(x, 0.1, 0.1), (235, 90, 70), outlined=False) for x in (-0.4, 0.4)]
        parts.append(Line(spline([(-0.2, 0.15), (0, 0.3), (0.2, 0.15)], closed=False), DARK, 0.045))
    return [rays, parts]


def cheese(rng: np.random.Generator) -> list[Group]:
    """A wedge of cheese with holes."""
    yellow = _yellow(rng)
    side = np.array([(-1, -0.05), (1, -0.05), (1, 0.65), (-1, 0.65)])
    top = np.array([(-1, -0.05), (0.55, -0.65), (1, -0.05)])
    holes = [
        Shape(
            ellipse(rng.uniform(-0.9, 0.9), rng.uniform(0.05, 0.6), rng.uniform(0.07, 0.17)),
            shaded(yellow, 0.3),
            outlined=False,
            clip=side,
        )
        for _ in range(6)
    ]
    return [[_part(side, yellow), Shape(top, hsv(52, 0.4, 1)), *holes]]


def taxi(rng: np.random.Generator) -> list[Group]:
    """A car from the side, often yellow, with a sign on its roof."""
    body = _yellow(rng) if rng.random() < 0.6 else _strong(rng)
    hull = spline(
        [
            (-1.1, 0.3),
            (-1.05, 0.0),
            (-0.7, -0.08),
            (-0.42, -0.45),
            (0.35, -0.45),
            (0.68, -0.08),
            (1.08, 0.02),
            (1.12, 0.3),
            (0.9, 0.36),
            (-0.9, 0.36),
        ]
    )
    windows = [
        Shape(np.array(pane), (190, 220, 235))
        for pane in (
            [(-0.55, -0.08), (-0.36, -0.36), (-0.06, -0.36), (-0.06, -0.08)],
            [(0.02, -0.08), (0.02, -0.36), (0.3, -0.36), (0.52, -0.08)],
        )
    ]
    wheels: list[Group] = [
        [Shape(ellipse(x, 0.38, 0.22), DARK), Shape(ellipse(x, 0.38, 0.1), (190, 190, 195))]
        for x in (-0.6, 0.6)
    ]
    return [[Shape(_box(-0.16, -0.62, 0.16, -0.42, 0.03), WHITE)], [_part(hull, body), *windows], *wheels]


def flower(rng: np.random.Generator) -> list[Group]:
    """Petals around a middle, on a stem with a leaf."""
    petal = _yellow(rng) if rng.random() < 0.4 else _strong(rng)
    num_petals = int(rng.integers(5, 10))
    petals: Group = [
        _part(turned(ellipse(0, -0.4, 0.2, 0.3), 360 * i / num_petals, (0, -0.35)), petal)
        for i in range(num_petals)
    ]
    green = hsv(rng.uniform(90, 140), 0.6, 0.6)
    stem = Line(spline([(0, -0.2), (0.06, 0.4), (0, 1.1)], closed=False), green, 0.09)
    leaf = spline([(0.04, 0.75), (0.35, 0.35), (0.62, 0.4), (0.4, 0.7)])
    return [[stem, _part(leaf, green)], petals, [_part(ellipse(0, -0.35, 0.24), hsv(28, 0.7, 0.55))]]


def house(rng: np.random.Generator) -> list[Group]:
    """A house with a roof, two windows and a door."""
    wall, roof = _strong(rng), hsv(rng.uniform(0, 30), 0.65, 0.65)
    gable = np.array([(-1.05, -0.1), (0, -0.9), (1.05, -0.1)])
    panes = [Shape(_box(x, 0.1, x + 0.36, 0.42, 0.03), (200, 228, 240)) for x in (-0.66, 0.3)]
    return [
        [
            _part(_box(-0.85, -0.15, 0.85, 0.9, 0.02), wall),
            *panes,
            Shape(_box(-0.17, 0.4, 0.17, 0.9, 0.02), DARK),
        ],
        [_part(gable, roof)],
    ]


def ghost(rng: np.random.Generator) -> list[Group]:
    """A ghost with a wavy hem, slanted eyes and a grin."""
    colour = hsv(
        rng.choice([rng.uniform(240, 300), rng.uniform(0, 360)]), rng.uniform(0.05, 0.6), rng.uniform(0.45, 1)
    )
    half = [
        (0, -1),
        (0.5, -0.86),
        (0.78, -0.35),
        (0.85, 0.35),
        (0.95, 0.85),
        (0.62, 0.68),
        (0.36, 0.92),
        (0, 0.7),
    ]
    eyes = [Shape(ellipse(side * 0.3, -0.25, 0.15, 0.2, -18 * side), WHITE) for side in (-1, 1)]
    pupils = [Shape(ellipse(side * 0.28, -0.22, 0.065, 0.1), DARK, outlined=False) for side in (-1, 1)]
    grin = spline([(-0.38, 0.1), (0, 0.2), (0.38, 0.1), (0.2, 0.36), (-0.2, 0.36)])
    return [[_part(symmetric(half), colour), *eyes, *pupils, Shape(grin, (150, 40, 60))]]


def star(rng: np.random.Generator) -> list[Group]:
    """A five-pointed star, sometimes with eyes."""
    angles = np.radians(np.arange(10) * 36 - 90)
    radius = np.where(np.arange(10) % 2, rng.uniform(0.42, 0.6), 1.0)
    parts: Group = [_part(np.stack([np.cos(angles) * radius, np.sin(angles) * radius], axis=1), _yellow(rng))]
    if rng.random() < 0.5:
        parts += [Shape(ellipse(x, -0.02, 0.07, 0.13), DARK, outlined=False) for x in (-0.16, 0.16)]
    return [parts]


THINGS: tuple[Callable[[np.random.Generator], list[Group]], ...] = (
    ball,
    bolt_sign,
    bolt,
    lemon,
    banana,
    sun,
    cheese,
    taxi,
    flower,
    house,
    ghost,
    star,
)
