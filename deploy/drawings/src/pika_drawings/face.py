"""Faces: eyes, cheeks, nose and mouth on a sphere that turns, so that the far side becomes narrow.

Positions are in head units (origin in the centre of the head, which is about 1.1 wide), and so are the
results.
"""

from dataclasses import dataclass

import numpy as np

from pika_drawings.anatomy import Anatomy, hsv, shaded
from pika_drawings.canvas import Colour, Group, Line, Points, Shape, ellipse, spline

DARK: Colour = (28, 22, 22)
WHITE: Colour = (255, 255, 255)
MOUTH_RED: Colour = (132, 32, 42)
TONGUE: Colour = (238, 118, 128)
BALL_RADIUS = 0.62

EYE = (0.235, -0.06)
CHEEK = (0.375, 0.17)
MOUTH_Y = 0.105


@dataclass(frozen=True)
class Expression:
    """Eyes ("open", "closed", "wide", "angry") and a mouth ("smile", "laugh", "round", "frown")."""

    left_eye: str
    right_eye: str
    mouth: str
    weight: float = 1.0


EXPRESSIONS: dict[str, Expression] = {
    "smile": Expression("open", "open", "smile", 3.0),
    "laugh": Expression("open", "open", "laugh", 2.5),
    "wink": Expression("open", "closed", "laugh", 0.8),
    "happy": Expression("closed", "closed", "laugh", 0.8),
    "surprised": Expression("wide", "wide", "round", 0.6),
    "angry": Expression("angry", "angry", "frown", 0.6),
}


@dataclass(frozen=True)
class Face:
    """A face's orientation, `yaw` and `pitch` in degrees; `eye_size` and `cheek_size` are radii."""

    yaw: float
    pitch: float
    expression: Expression
    eye_size: float = 0.098
    cheek_size: float = 0.115

    def on_ball(self, points: Points) -> Points:
        """Project the points onto the turned sphere."""
        angles = np.arcsin(np.clip(points / BALL_RADIUS, -0.98, 0.98)) + np.radians((self.yaw, self.pitch))
        return BALL_RADIUS * np.sin(np.clip(angles, -np.pi / 2, np.pi / 2))


def face_parts(
    anatomy: Anatomy, face: Face, head: Points, rng: np.random.Generator, line_width: float
) -> Group:
    """Return all parts of a face, clipped to the outline `head` where they may reach its edge."""
    parts: Group = []
    if anatomy.cheeks is not None:
        red = anatomy.cheeks.pick(rng)
        for side in (-1, 1):
            cheek = ellipse(side * CHEEK[0], CHEEK[1], face.cheek_size, face.cheek_size * 0.95)
            parts.append(Shape(face.on_ball(cheek), red, outlined=False, clip=head))
    for side, kind in ((-1, face.expression.left_eye), (1, face.expression.right_eye)):
        parts += _eye(face, side, kind, head, line_width)
    if anatomy.mouth == "beak":
        return parts + _beak(face, rng)
    if anatomy.mouth != "plain":
        parts += _nose(face, anatomy.mouth)
    parts += _mouth(face, line_width)
    if "whiskers" in anatomy.extras:
        parts += _whiskers(face, line_width)
    return parts


def _eye(face: Face, side: int, kind: str, head: Points, line_width: float) -> Group:
    x, y, size = side * EYE[0], EYE[1], face.eye_size
    if kind == "closed":
        arc = [(x - size, y + size * 0.35), (x, y - size * 0.55), (x + size, y + size * 0.35)]
        return [Line(face.on_ball(spline(arc, closed=False)), DARK, max(line_width * 1.25, 0.028))]
    if kind == "wide":
        size *= 1.12
    parts: Group = [
        Shape(face.on_ball(ellipse(x, y, size * 0.95, size * 1.06)), DARK, outlined=False, clip=head),
        Shape(
            face.on_ball(ellipse(x, y + size * 0.5, size * 0.55, size * 0.34)), (78, 48, 38), outlined=False
        ),
    ]
    # Both eyes have their highlight on the same side, slightly towards the nose.
    shine = 0.3 if kind == "wide" else 0.42
    parts.append(
        Shape(
            face.on_ball(ellipse(x - side * size * 0.22, y - size * 0.4, size * shine)), WHITE, outlined=False
        )
    )
    if kind == "angry":
        brow = np.array(
            [(x - side * size * 1.15, y - size * 0.55), (x + side * size * 1.15, y - size * 1.25)]
        )
        parts.append(Line(face.on_ball(brow), DARK, max(line_width * 1.5, 0.035)))
    return parts


def _nose(face: Face, mouth: str) -> Group:
    width = 0.036 if mouth == "mouse" else 0.05
    nose = np.array([(-width, 0.025), (width, 0.025), (width * 0.4, 0.058), (-width * 0.4, 0.058)])
    return [Shape(face.on_ball(nose), DARK, outlined=False)]


def _mouth(face: Face, line_width: float) -> Group:
    """Return a mouth like a small ω, open below it, round, or bent down."""
    y, kind = MOUTH_Y, face.expression.mouth
    width = max(line_width * 0.9, 0.02)
    if kind == "round":
        inside = face.on_ball(ellipse(0, y + 0.075, 0.055, 0.07))
        return [
            Shape(inside, MOUTH_RED, outlined=False),
            Line(np.concatenate([inside, inside[:1]]), DARK, width),
        ]
    if kind == "frown":
        bend = [(-0.1, y + 0.08), (-0.05, y + 0.045), (0, y + 0.065), (0.05, y + 0.045), (0.1, y + 0.08)]
        return [Line(face.on_ball(spline(bend, closed=False)), DARK, width)]
    lip = spline([(-0.145, y - 0.005), (-0.11, y + 0.045), (-0.05, y + 0.05), (0, y)], closed=False)
    lips = face.on_ball(np.concatenate([lip, lip[::-1] * (-1, 1)]))
    if kind == "smile":
        return [Line(lips, DARK, width)]
    jaw = spline(
        [(0.1, y + 0.045), (0.085, y + 0.14), (0, y + 0.19), (-0.085, y + 0.14), (-0.1, y + 0.045)],
        closed=False,
    )
    inside = face.on_ball(np.concatenate([jaw, lip[6:], lip[:5:-1] * (-1, 1)]))
    tongue = face.on_ball(ellipse(0, y + 0.175, 0.07, 0.06))
    return [
        Shape(inside, MOUTH_RED, outlined=False),
        Shape(tongue, TONGUE, outlined=False, clip=inside),
        Line(np.concatenate([inside, inside[:1]]), DARK, width),
        Line(lips, DARK, width),
    ]


def _beak(face: Face, rng: np.random.Generator) -> Group:
    orange = hsv(rng.uniform(22, 36), 0.88, 0.98)
    open_by = 0.07 if face.expression.mouth in ("laugh", "round") else 0.02
    lower = spline([(-0.13, 0.12), (0.13, 0.12), (0.06, 0.18 + open_by), (-0.06, 0.18 + open_by)])
    upper = spline([(-0.2, 0.12), (0, 0.01), (0.2, 0.12), (0, 0.165)])
    return [
        Shape(face.on_ball(lower), shaded(orange, 0.3)),
        Shape(face.on_ball(upper), orange, shaded(orange)),
    ]


def _whiskers(face: Face, line_width: float) -> Group:
    ends = [((0.2, 0.12), (0.6, 0.06)), ((0.2, 0.16), (0.6, 0.18)), ((0.19, 0.2), (0.56, 0.29))]
    slide = BALL_RADIUS * np.sin(np.radians(face.yaw))
    sides = [np.array(pair) * (side, 1) for pair in ends for side in (-1, 1)]
    return [Line(np.add(whisker, (slide, 0)), DARK, line_width) for whisker in sides]
