"""Additional parts of some creatures: hats, a shell, a bulb, a flame, a tuft or a collar."""

import numpy as np

from pika_drawings.anatomy import Anatomy, Point, Pose, hsv, shaded
from pika_drawings.canvas import Colour, Group, Points, Shape, ellipse, spline


def hat(yaw: float, rng: np.random.Generator) -> Group:
    """Return a cap, a party hat or a bow for a head turned by `yaw` degrees; in head units."""
    colour = hsv(rng.uniform(0, 360), rng.uniform(0.5, 0.9), rng.uniform(0.6, 1.0))
    trim = (250, 246, 235) if rng.random() < 0.6 else hsv(rng.uniform(0, 360), 0.6, 0.9)
    slide = 0.3 * np.sin(np.radians(yaw))
    kind = rng.choice(["cap", "cone", "bow"])
    if kind == "cap":
        dome = spline([(-0.4, -0.26), (-0.34, -0.48), (0, -0.66), (0.34, -0.48), (0.4, -0.26), (0, -0.34)])
        brim = ellipse(slide * 1.2, -0.3, 0.33, 0.085)
        return [Shape(dome, colour, shaded(colour)), Shape(brim, trim, shaded(trim))]
    if kind == "cone":
        x = slide * 0.4
        cone = np.array([(x - 0.2, -0.36), (x + 0.02, -0.92), (x + 0.2, -0.36)])
        return [Shape(cone, colour, shaded(colour)), Shape(ellipse(x + 0.02, -0.92, 0.07), trim)]
    x = 0.2 + slide * 0.3
    wings = [spline([(x, -0.4), (x + side * 0.2, -0.53), (x + side * 0.24, -0.3)]) for side in (-1, 1)]
    return [*(Shape(wing, colour, shaded(colour)) for wing in wings), Shape(ellipse(x, -0.4, 0.065), trim)]


def on_head(anatomy: Anatomy, body: Colour) -> Group:
    """Return a tuft of feathers behind the head; in head units."""
    if "tuft" not in anatomy.extras:
        return []
    strands = [
        [(0, -0.4), (x - 0.05, -0.58), (x * 1.5, -0.68), (x + 0.07, -0.55)] for x in (-0.12, 0.02, 0.15)
    ]
    return [Shape(spline(strand), body) for strand in strands]


def on_torso(anatomy: Anatomy, head: Point, torso: Points) -> Group:
    """Return a dark ragged collar under the chin."""
    if "collar" not in anatomy.extras:
        return []
    x = np.linspace(-0.5, 0.5, 9)
    edge = np.stack([x, 0.56 - 0.35 * x**2 + 0.09 * (np.arange(9) % 2)], axis=1)
    ring = np.concatenate([[(0.5, 0.1), (-0.5, 0.1)], edge]) + head
    return [Shape(ring, (40, 34, 36), outlined=False, clip=torso)]


def behind_torso(anatomy: Anatomy, pose: Pose, rng: np.random.Generator) -> list[Group]:
    """Return a shell or a bulb on the back."""
    middle = (0.3, 0.12) if pose.torso == "side" else (0.05, 0.42)
    if "shell" in anatomy.extras:
        brown = hsv(rng.uniform(18, 35), 0.6, rng.uniform(0.5, 0.7))
        rim = Shape(ellipse(*middle, 0.6, 0.56), (245, 236, 214))
        return [[rim], [Shape(ellipse(*middle, 0.53, 0.5), brown, shaded(brown))]]
    if "bulb" in anatomy.extras:
        green = hsv(rng.uniform(95, 140), rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.75))
        x, y = middle[0] + 0.25, middle[1] - 0.2
        leaves = [
            spline(
                [(x - spread, y + 0.45), (x - spread * 1.7, y), (x + tip, y - 0.52), (x + spread * 0.6, y)]
            )
            for spread, tip in ((0.34, -0.1), (-0.34, 0.2), (0.14, 0.05))
        ]
        return [[Shape(leaf, green, shaded(green)) for leaf in leaves]]
    return []


def on_tail(anatomy: Anatomy, end: Points) -> list[Group]:
    """Return a flame at the end of the tail, at the point `end`."""
    if "flame" not in anatomy.extras:
        return []
    flame = spline([(0, 0.16), (-0.16, 0.02), (-0.1, -0.2), (0.03, -0.42), (0.08, -0.2), (0.17, 0.0)])
    return [
        [
            Shape(flame + end, (240, 90, 40)),
            Shape(flame * 0.55 + end + (0, 0.03), (255, 215, 80), outlined=False),
        ]
    ]
