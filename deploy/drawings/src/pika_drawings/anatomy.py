"""The building blocks of figures as data: outlines, ears, tails, poses, colours, and Pikachu's anatomy.

Lengths are in figure units: Pikachu's head is about 1.1 wide. Angles are in degrees; an ear at 0 is upright.
Outlines of symmetric parts list their right half, from the top centre to the bottom centre.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from pika_drawings.canvas import Colour

Range = tuple[float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Paint:
    """A range of colours: hue in degrees (may be below 0), saturation and value in 0–1."""

    hue: Range
    saturation: Range
    value: Range

    def pick(self, rng: np.random.Generator) -> Colour:
        """Pick a colour of the range."""
        return hsv(rng.uniform(*self.hue), rng.uniform(*self.saturation), rng.uniform(*self.value))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert hue in degrees, saturation and value in 0–1 to RGB."""
    red, green, blue = colorsys.hsv_to_rgb(hue / 360 % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return round(red * 255), round(green * 255), round(blue * 255)


def shaded(colour: Colour, strength: float = 0.16) -> Colour:
    """Return the colour in shade: darker, and warmer like cartoon shade (green falls faster than red)."""
    red, green, blue = colour
    return (
        round(red * (1 - strength * 0.75)),
        round(green * (1 - strength * 1.25)),
        round(blue * (1 - strength * 1.15)),
    )


YELLOW = Paint((45, 55), (0.66, 0.95), (0.94, 1.0))
BROWN = Paint((20, 30), (0.55, 0.75), (0.42, 0.6))
BLACK = Paint((0, 40), (0.1, 0.3), (0.08, 0.16))
RED = Paint((-2, 12), (0.68, 0.85), (0.86, 0.97))
CREAM = Paint((38, 50), (0.12, 0.25), (0.95, 1.0))

HEAD = (
    (0, -0.46),
    (0.21, -0.43),
    (0.41, -0.29),
    (0.52, -0.06),
    (0.55, 0.15),
    (0.45, 0.35),
    (0.22, 0.45),
    (0, 0.47),
)

TORSOS: dict[str, tuple[Point, ...]] = {
    "sitting": ((0, 0.0), (0.25, 0.04), (0.38, 0.25), (0.48, 0.52), (0.5, 0.74), (0.35, 0.9), (0, 0.93)),
    "standing": ((0, 0.0), (0.25, 0.04), (0.34, 0.28), (0.42, 0.55), (0.41, 0.78), (0.24, 0.91), (0, 0.93)),
}
# Seen from the side, on all fours or running: not symmetric, so the whole outline, clockwise from the neck.
SIDE_TORSO = ((-0.25, -0.1), (0.1, -0.08), (0.42, 0.05), (0.68, 0.26), (0.74, 0.5), (0.56, 0.7),
              (0.2, 0.74), (-0.15, 0.68), (-0.38, 0.45), (-0.42, 0.1))  # fmt: skip


@dataclass(frozen=True)
class EarShape:
    """Return one side of an ear of length 1, from base to tip; tips are sharp or round."""

    side: tuple[Point, ...]
    is_sharp: bool


EARS = {
    "pointed": EarShape(((0.135, 0.12), (0.165, -0.15), (0.19, -0.4), (0.135, -0.72), (0, -1)), True),
    "cat": EarShape(((0.42, 0.25), (0.36, -0.2), (0.2, -0.65), (0, -1)), True),
    "diamond": EarShape(((0.16, 0.15), (0.36, -0.3), (0.44, -0.55), (0.25, -0.85), (0, -1)), True),
    "round": EarShape(((0.25, 0.12), (0.46, -0.2), (0.5, -0.5), (0.34, -0.86), (0, -1)), False),
    "rabbit": EarShape(((0.1, 0.1), (0.14, -0.25), (0.17, -0.6), (0.13, -0.9), (0, -1)), False),
}

# A lightning bolt that widens from its brown base; tails start at (0, 0) and go up and to the right.
BOLT = ((-0.04, -0.06), (0.02, 0.09), (0.36, -0.02), (0.29, -0.22), (0.72, -0.34), (0.64, -0.58),
        (1.24, -0.8), (1.02, -1.42), (0.20, -0.84), (0.38, -0.62), (0.0, -0.40), (0.13, -0.22))  # fmt: skip
BOLT_BASE = ((-0.04, -0.06), (0.02, 0.09), (0.36, -0.02), (0.29, -0.22), (0.39, -0.25), (0.28, -0.37),
             (0.20, -0.31), (0.10, -0.35), (0.0, -0.40), (0.13, -0.22))  # fmt: skip
CORD = ((0, 0), (0.4, 0.05), (0.7, -0.25), (0.72, -0.62), (0.95, -0.9))
CURL = ((0, 0), (0.3, 0.06), (0.52, -0.12), (0.52, -0.45), (0.38, -0.62), (0.26, -0.5))


@dataclass(frozen=True)
class Limb:
    """An arm or a leg from the body to its end, with the bend between."""

    start: Point
    bend: Point
    end: Point


@dataclass(frozen=True)
class Foot:
    """A foot's centre, angle and apparent length."""

    middle: Point
    angle: float
    length: float = 0.2


@dataclass(frozen=True)
class Pose:
    """The position of every part. `yaw` turns the face (positive: to the right), `tilt` the head."""

    torso: str
    head: Point
    yaw: Range
    tilt: Range
    arms: tuple[Limb, ...]
    feet: tuple[Foot, ...]
    tail: Point
    tail_angle: Range
    from_behind: bool = False
    is_portrait: bool = False
    weight: float = 1.0


def _mirror(limb: Limb) -> Limb:
    return Limb(*((-x, y) for x, y in (limb.start, limb.bend, limb.end)))


_HANGING = Limb((0.24, 0.3), (0.48, 0.32), (0.56, 0.56))
_FOLDED = Limb((0.25, 0.28), (0.42, 0.48), (0.17, 0.52))
_WAVING = Limb((0.24, 0.28), (0.58, 0.34), (0.76, 0.06))
_BOTH_FOLDED = (_mirror(_FOLDED), _FOLDED)
_RUNNING = (Limb((-0.2, 0.48), (-0.42, 0.66), (-0.7, 0.6)), Limb((-0.05, 0.55), (-0.12, 0.78), (-0.32, 0.9)))
_ON_ALL_FOURS = (
    Limb((-0.25, 0.45), (-0.34, 0.64), (-0.36, 0.82)),
    Limb((-0.02, 0.5), (-0.02, 0.68), (-0.04, 0.84)),
)
_SITTING_FEET = (Foot((-0.37, 0.88), 8), Foot((0.37, 0.88), -8))
_STANDING_FEET = (Foot((-0.25, 0.95), -6), Foot((0.25, 0.95), 6))
_RUNNING_FEET = (Foot((0.36, 0.8), 18, 0.22), Foot((0.7, 0.66), 38, 0.22))
_CROUCHING_FEET = (Foot((0.22, 0.78), 0, 0.2), Foot((0.56, 0.74), -4, 0.24))

# torso, head, yaw, tilt, arms, feet, tail, tail angle
POSES: dict[str, Pose] = {
    "sitting": Pose("sitting", (0, -0.24), (-14, 14), (-6, 6), _BOTH_FOLDED, _SITTING_FEET,
                    (0.4, 0.76), (-24, -4), weight=2.0),
    "turned": Pose("sitting", (-0.05, -0.24), (-30, -18), (-6, 4), (_mirror(_FOLDED), _HANGING),
                   _SITTING_FEET, (0.42, 0.74), (-24, -4), weight=1.5),
    "standing": Pose("standing", (0, -0.24), (-14, 14), (-7, 7), (_mirror(_HANGING), _HANGING),
                     _STANDING_FEET, (0.32, 0.74), (-22, -4), weight=1.5),
    "waving": Pose("standing", (0.02, -0.25), (-12, 20), (-8, 8), (_mirror(_WAVING), _HANGING),
                   _STANDING_FEET, (0.32, 0.74), (-20, 0)),
    "cheering": Pose("standing", (0, -0.25), (-10, 10), (-6, 6), (_mirror(_WAVING), _WAVING), _STANDING_FEET,
                     (0.32, 0.76), (2, 16)),
    "running": Pose("side", (-0.3, -0.26), (-28, -12), (-12, 2), _RUNNING, _RUNNING_FEET,
                    (0.62, 0.24), (-34, -12)),
    "crouching": Pose("side", (-0.3, -0.22), (-28, -8), (-8, 6), _ON_ALL_FOURS, _CROUCHING_FEET,
                      (0.64, 0.28), (-36, -14), weight=0.8),
    "looking back": Pose("sitting", (-0.03, -0.24), (-33, -25), (-8, 2), (), (),
                         (0.12, 0.8), (-20, -4), from_behind=True, weight=0.5),
    "portrait": Pose("sitting", (0, -0.24), (-25, 25), (-9, 9), _BOTH_FOLDED, _SITTING_FEET,
                     (0.45, 0.72), (-24, -4), is_portrait=True, weight=1.2),
}  # fmt: skip


@dataclass(frozen=True)
class Anatomy:
    """One kind of creature. `None` means that a part is missing; `extras` names further parts."""

    body: Paint
    ears: str | None = None
    ear_length: float = 0.85
    ear_angles: Range = (16, 58)  # of both ears, apart from upright
    ear_base: Point = (0.29, -0.3)
    ear_tip: Paint | None = None
    ear_tip_share: float = 0.36
    ear_inside: Paint | None = None
    cheeks: Paint | None = None
    tail: str | None = None
    tail_paint: Paint | None = None
    stripes: Paint | None = None
    belly: Paint | None = None
    feet: Paint | None = None
    mouth: str = "mouse"  # or "beak", "cat", "plain"
    head_size: Point = (1.0, 1.0)
    extras: tuple[str, ...] = ()


PIKACHU = Anatomy(
    body=YELLOW, ears="pointed", ear_tip=BLACK, cheeks=RED, tail="bolt", tail_paint=BROWN, stripes=BROWN,
)  # fmt: skip
