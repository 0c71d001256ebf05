"""Build a figure from an anatomy and a pose: tail, torso, limbs, ears, head, face and perhaps a hat."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pika_drawings import anatomy as data
from pika_drawings.anatomy import Anatomy, Foot, Limb, Pose, shaded
from pika_drawings.canvas import (
    Colour,
    Group,
    Ink,
    Line,
    Points,
    Shape,
    ellipse,
    spline,
    symmetric,
    turned,
)
from pika_drawings.extras import behind_torso, hat, on_head, on_tail, on_torso
from pika_drawings.face import EXPRESSIONS, Face, face_parts


@dataclass(frozen=True)
class Figure:
    """Groups of parts from back to front; `focus` are the groups that the frame must contain."""

    groups: list[Group]
    focus: list[Group]


@dataclass(frozen=True)
class Look:
    """The colours of one figure and their shading; picked once so that all parts match."""

    body: Colour
    shade: Colour | None
    line: Colour
    line_width: float

    def part(self, points: Points, *, is_open: bool = False, clip: Points | None = None) -> Shape:
        """Return a part in the body's colour."""
        return Shape(points, self.body, self.shade, is_open=is_open, clip=clip)

    def tone(self, colour: Colour) -> Colour | None:
        """Return the shade of another colour, None in a flat drawing."""
        return None if self.shade is None else shaded(colour)


def build_figure(anatomy: Anatomy, pose: Pose, ink: Ink, rng: np.random.Generator) -> Figure:
    """Draw one individual: colours, proportions, expression and small shifts come from `rng`."""
    body = anatomy.body.pick(rng)
    is_flat = rng.random() < 0.2 and ink.outline is not None  # without either it would be a silhouette
    look = Look(
        body,
        None if is_flat else shaded(body, rng.uniform(0.12, 0.22)),
        ink.outline or shaded(body, 0.55),
        max(ink.width, 0.012),
    )
    torso = _torso(pose)
    head_groups = _head(anatomy, pose, look, rng)
    limbs: list[Group] = [[_limb(limb, look, rng)] for limb in pose.arms]
    feet: list[Group] = [_foot(anatomy, foot, look, rng) for foot in pose.feet]
    tail = _tail(anatomy, pose, look, rng)
    trunk: Group = [look.part(torso), *_markings(anatomy, pose, torso, look, rng)]
    trunk += on_torso(anatomy, pose.head, torso)
    back = behind_torso(anatomy, pose, rng)
    chin = ellipse(pose.head[0], pose.head[1] + 0.46, 0.4, 0.13)
    if not is_flat:
        trunk.append(Shape(chin, shaded(body, 0.22), outlined=False, clip=torso))
    if pose.from_behind:
        order = [*feet, trunk, *back, *tail, *head_groups]
    elif pose.torso == "side":
        order = [*tail, *back, *limbs[1:], *feet[1:], trunk, *feet[:1], *limbs[:1], *head_groups]
    else:
        order = [*tail, *back, *feet, trunk, *limbs, *head_groups]
    return Figure(order, head_groups if pose.is_portrait else order)


def _torso(pose: Pose) -> Points:
    return spline(data.SIDE_TORSO) if pose.torso == "side" else symmetric(data.TORSOS[pose.torso])


def _head(anatomy: Anatomy, pose: Pose, look: Look, rng: np.random.Generator) -> list[Group]:
    """Return ears and head in one group (they share an outline), then the face, all tilted and placed."""
    size = np.array(anatomy.head_size) * rng.normal(1, 0.025, 2)
    tilt = rng.uniform(*pose.tilt)
    names = list(EXPRESSIONS)
    weights = np.array([EXPRESSIONS[name].weight for name in names])
    expression = EXPRESSIONS[names[rng.choice(len(names), p=weights / weights.sum())]]
    face = Face(
        rng.uniform(*pose.yaw),
        rng.uniform(-4, 8),
        expression,
        0.098 * rng.uniform(0.92, 1.12),
        0.115 * rng.uniform(0.92, 1.12),
    )
    outline = symmetric(data.HEAD)
    skull: Group = [*_ears(anatomy, face, look, rng), *on_head(anatomy, look.body), look.part(outline)]
    parts = face_parts(anatomy, face, outline, rng, look.line_width)
    groups = [skull, parts]
    if rng.random() < 0.1:
        groups.append(hat(face.yaw, rng))

    def place(points: Points) -> Points:
        return turned(points * size, tilt) + pose.head

    return [[_moved(part, place) for part in group] for group in groups]


def _moved(part: Shape | Line, place: Callable[[Points], Points]) -> Shape | Line:
    if isinstance(part, Line):
        return replace(part, points=place(part.points))
    clip = None if part.clip is None else place(part.clip)
    return replace(part, points=place(part.points), clip=clip)


def _ears(anatomy: Anatomy, face: Face, look: Look, rng: np.random.Generator) -> Group:
    if anatomy.ears is None:
        return []
    shape = data.EARS[anatomy.ears]
    side = spline(shape.side, closed=False)
    outline = np.concatenate([side, side[-2::-1] * (-1, 1)])
    if not shape.is_sharp:
        outline = spline(np.concatenate([shape.side, np.array(shape.side)[-2::-1] * (-1, 1)]))
    length = anatomy.ear_length * rng.uniform(0.93, 1.1)
    tip_colour = None if anatomy.ear_tip is None else anatomy.ear_tip.pick(rng)
    inside = None if anatomy.ear_inside is None else anatomy.ear_inside.pick(rng)
    low, high = anatomy.ear_angles
    slide = 0.12 * np.sin(np.radians(face.yaw))
    parts: Group = []
    for ear_side in (-1, 1):
        angle = ear_side * rng.uniform(low, high)
        base = np.array((ear_side * anatomy.ear_base[0] + slide, anatomy.ear_base[1]))

        def place(points: Points, angle: float = angle, base: np.ndarray = base) -> Points:
            return turned(points * length, angle) + base

        parts.append(look.part(place(outline)))
        if inside is not None:
            parts.append(Shape(place(outline * (0.6, 0.72) - (0, 0.08)), inside, outlined=False))
        if tip_colour is not None:
            tip = outline[outline[:, 1] < -1 + anatomy.ear_tip_share]
            notch = [(0, tip[:, 1].max() + 0.05)]
            parts.append(Shape(place(np.concatenate([tip, notch])), tip_colour, outlined=False))
    return parts


def _limb(limb: Limb, look: Look, rng: np.random.Generator) -> Shape:
    """Return a tapered limb along a bent line, round at its end, open where it joins the body."""
    start, bend, end = np.array([limb.start, limb.bend, limb.end]) + rng.normal(0, 0.012, (3, 2))
    t = np.linspace(0, 1, 9)[:, None]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    along = np.gradient(path, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    half_width = 0.125 - 0.035 * t
    direction = along[-1] / np.linalg.norm(along[-1])
    fingers = [
        end + direction * reach + across[-1] * spread
        for spread, reach in (
            (0.07, 0.04),
            (0.045, 0.085),
            (0.02, 0.055),
            (0, 0.1),
            (-0.02, 0.055),
            (-0.045, 0.085),
            (-0.07, 0.04),
        )
    ]
    points = np.concatenate([path + across * half_width, fingers, (path - across * half_width)[::-1]])
    return look.part(points, is_open=True)


def _foot(anatomy: Anatomy, foot: Foot, look: Look, rng: np.random.Generator) -> Group:
    x = foot.middle[0]
    angle = foot.angle + rng.uniform(-5, 5)
    colour = look.body if anatomy.feet is None else anatomy.feet.pick(rng)
    sole = turned(ellipse(0, 0, foot.length, 0.115), angle, foot.middle)
    toes: Group = []
    outward = np.sign(x) if abs(x) < 0.5 else 0.0
    for step in (-0.3, 0.3):
        across = outward * 0.07 + step * foot.length
        gap = turned(np.array([(across, 0.03), (across, 0.105)]), angle, foot.middle)
        toes.append(Line(gap, shaded(colour, 0.5), max(look.line_width * 0.8, 0.014)))
    return [Shape(sole, colour, look.tone(colour)), *toes]


def _tail(anatomy: Anatomy, pose: Pose, look: Look, rng: np.random.Generator) -> list[Group]:
    if anatomy.tail is None:
        return []
    angle = rng.uniform(*pose.tail_angle)
    size = rng.uniform(0.84, 1.0)
    paint = None if anatomy.tail_paint is None else anatomy.tail_paint.pick(rng)

    def place(points: object) -> Points:
        return turned(np.asarray(points, dtype=float) * size, angle) + pose.tail

    if anatomy.tail == "bolt":
        group: Group = [look.part(place(data.BOLT))]
        if paint is not None:
            group.append(Shape(place(data.BOLT_BASE), paint, outlined=False))
        return [group]
    if anatomy.tail == "puff":
        return [[look.part(place(ellipse(0.14, -0.06, 0.2)))]]
    path = spline(data.CORD if anatomy.tail == "thin bolt" else data.CURL, closed=False)
    colour = paint or look.body
    width = 0.05 if anatomy.tail == "thin bolt" else 0.13
    cord: Group = [
        Line(place(path), look.line, width + 2 * look.line_width),
        Line(place(path), colour, width),
    ]
    if anatomy.tail == "thin bolt":
        end = (np.array(data.BOLT) * 0.5 - (0.1, 0.1)) + data.CORD[-1]
        return [cord, [look.part(place(end))]]
    return [cord, *on_tail(anatomy, place(data.CURL[-1:])[0])]


def _markings(anatomy: Anatomy, pose: Pose, torso: Points, look: Look, rng: np.random.Generator) -> Group:
    """Return the belly, and stripes across the back if it is visible."""
    parts: Group = []
    if anatomy.belly is not None and not pose.from_behind:
        spot = ellipse(-0.02, 0.55, 0.29, 0.36) if pose.torso == "side" else ellipse(0, 0.6, 0.29, 0.36)
        parts.append(Shape(spot, anatomy.belly.pick(rng), outlined=False, clip=torso))
    if anatomy.stripes is None or not (pose.from_behind or pose.torso == "side"):
        return parts
    colour = anatomy.stripes.pick(rng)
    if pose.from_behind:
        bands = [
            [
                (-0.6, y),
                (-0.2, y + 0.05),
                (0.2, y + 0.05),
                (0.6, y),
                (0.6, y + 0.13),
                (0, y + 0.17),
                (-0.6, y + 0.13),
            ]
            for y in (0.28, 0.53)
        ]
    else:
        bands = [
            [(x, -0.3), (x + 0.14, -0.3), (x + 0.1, y + 0.24), (x - 0.02, y + 0.28)]
            for x, y in ((0.2, 0.02), (0.46, 0.16))
        ]
    return parts + [
        Shape(spline(band), colour, look.tone(colour), outlined=False, clip=torso) for band in bands
    ]
