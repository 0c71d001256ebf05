"""A canvas for cartoon parts: smooth outlines, filled, shaded and inked, drawn large and then shrunk.

A figure is a list of groups, a group a list of parts (Shape or Line) in figure units: x to the right, y down,
about one unit from a figure's centre to its edge. A group's outlines are drawn before its fills, so that its
parts share one outline, as head and ears do.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageChops, ImageDraw

Points = np.ndarray  # (N, 2) float, x and y
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Shape:
    """A filled outline. `shade` colours the crescent away from the light; None leaves the shape flat."""

    points: Points
    fill: Colour
    shade: Colour | None = None
    outlined: bool = True
    is_open: bool = False  # no line from the last point to the first, where a limb joins the body
    clip: Points | None = None  # painted only inside this outline


@dataclass(frozen=True)
class Line:
    """A stroke with round joints; `width` in figure units, at least one drawn pixel."""

    points: Points
    colour: Colour
    width: float


Group = list[Shape | Line]


@dataclass(frozen=True)
class Ink:
    """How to ink a figure: outline colour (None: no outlines), width, and the offset of the shade."""

    outline: Colour | None
    width: float
    shade_shift: tuple[float, float] = (-0.05, -0.06)


@dataclass(frozen=True)
class Placement:
    """Figure units to pixels: pixel = matrix @ point + offset."""

    matrix: np.ndarray = field(default_factory=lambda: np.eye(2))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def __call__(self, points: Points) -> Points:
        return points @ self.matrix.T + self.offset

    @property
    def scale(self) -> float:
        """Pixels per figure unit."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))


def spline(points: object, *, closed: bool = True, steps: int = 6) -> Points:
    """Return a Catmull-Rom curve through the points, (N, 2) to (about N × steps, 2)."""
    knots = np.asarray(points, dtype=float)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = knots[:-3, None], knots[1:-2, None], knots[2:-1, None], knots[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    ).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-2:-1]])


def symmetric(half: object, *, steps: int = 6) -> Points:
    """Return a smooth outline from its right half, given from the top centre to the bottom centre."""
    right = np.asarray(half, dtype=float)
    left = right[-2:0:-1] * (-1, 1)
    return spline(np.concatenate([right, left]), steps=steps)


def ellipse(x: float, y: float, radius_x: float, radius_y: float | None = None, angle: float = 0.0) -> Points:
    """Return an ellipse of 24 points (64 if large), rotated by `angle` degrees."""
    num_points = 24 if radius_x < 0.3 else 64
    t = np.linspace(0, 2 * np.pi, num_points, endpoint=False)
    circle = np.stack(
        [radius_x * np.cos(t), (radius_x if radius_y is None else radius_y) * np.sin(t)], axis=1
    )
    return turned(circle, angle, (x, y))


def turned(points: Points, degrees: float, to: tuple[float, float] | Points = (0.0, 0.0)) -> Points:
    """Rotate the points clockwise (as seen, y being down) about the origin, then move the origin to `to`."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]]) + np.asarray(to)


def bounds(groups: list[Group]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest x and y of all parts."""
    points = np.concatenate([part.points for group in groups for part in group])
    return points.min(axis=0), points.max(axis=0)


class Canvas:
    """Draw onto a background, an RGB picture, at `oversampling` times its size."""

    def __init__(self, background: Image.Image, oversampling: int = 3) -> None:
        self.frame = np.array(background.size) * oversampling
        self.oversampling = oversampling
        self._image = background.resize(tuple(self.frame.tolist()), Image.Resampling.NEAREST)
        self._draw = ImageDraw.Draw(self._image)

    def placement(
        self,
        groups: list[Group],
        *,
        share: float,
        shift: tuple[float, float] = (0.0, 0.0),
        angle: float = 0.0,
        mirrored: bool = False,
        shear: float = 0.0,
    ) -> Placement:
        """Fit the groups into `share` of the picture; `shift`, also in shares, moves them off the centre."""
        matrix = np.array([[-1.0 if mirrored else 1.0, shear], [0.0, 1.0]])
        matrix = turned(matrix.T, angle).T
        low, high = bounds([[Shape(part.points @ matrix.T, (0, 0, 0)) for part in group] for group in groups])
        scale = share * float(np.min(self.frame / np.maximum(high - low, 1e-6)))
        offset = self.frame * (np.array([0.5, 0.5]) + shift) - scale * (low + high) / 2
        return Placement(matrix * scale, offset)

    def paint(self, groups: list[Group], ink: Ink, place: Placement) -> None:
        """Paint the groups in order."""
        line_width = max(2, round(ink.width * place.scale * 2))
        for group in groups:
            shapes = [part for part in group if isinstance(part, Shape)]
            if ink.outline is not None:
                for shape in shapes:
                    if shape.outlined:
                        self._stroke(place(shape.points), ink.outline, line_width, closed=not shape.is_open)
            for part in group:
                if isinstance(part, Shape):
                    self._fill(part, ink, place)
                else:
                    width = max(1, round(part.width * place.scale))
                    self._stroke(place(part.points), part.colour, width, closed=False)

    def paint_shadow(self, groups: list[Group], place: Placement) -> None:
        """Paint a soft shadow on the ground, in the background's own colour; call it before the figure."""
        points = np.concatenate([place(part.points) for group in groups for part in group])
        (left, _), (right, bottom) = points.min(axis=0), points.max(axis=0)
        lowest = points[points[:, 1] > bottom - 0.12 * (right - left), 0]  # its centre is under the feet
        middle, span = (lowest.min() + lowest.max()) / 2, 0.3 * (right - left)
        for share in np.linspace(1, 0.6, 8):
            box = (
                middle - span * share,
                bottom - span * 0.2 * share,
                middle + span * share,
                bottom + span * 0.14 * share,
            )
            corners = np.clip(np.round(np.array(box)), 0, np.tile(self.frame, 2)).astype(int).tolist()
            if corners[0] >= corners[2] or corners[1] >= corners[3]:
                return
            region = self._image.crop(tuple(corners))
            mask = Image.new("L", region.size, 0)
            local = np.array(box) - np.tile(corners[:2], 2)
            ImageDraw.Draw(mask).ellipse(local.tolist(), fill=255)
            self._image.paste(region.point(lambda value: value * 0.95), tuple(corners), mask)

    def picture(self) -> Image.Image:
        """Return what was painted, RGB at the background's size."""
        return self._image.reduce(self.oversampling)

    def _stroke(self, points: Points, colour: Colour, width: int, *, closed: bool) -> None:
        path = np.concatenate([points, points[:2]]) if closed else points
        self._draw.line(path.ravel().tolist(), fill=colour, width=width, joint="curve")
        if not closed:  # round ends
            for x, y in points[[0, -1]]:
                radius = width / 2
                self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def _fill(self, shape: Shape, ink: Ink, place: Placement) -> None:
        points = place(shape.points)
        if shape.clip is None:
            self._draw.polygon(points.ravel().tolist(), fill=shape.fill)
            if shape.shade is None:
                return
        low = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0)) + 1, self._image.size).astype(int)
        if (high <= low).any():
            return
        mask = self._mask(points, low, high)
        if shape.clip is not None:
            mask = ImageChops.darker(mask, self._mask(place(shape.clip), low, high))
            self._image.paste(shape.fill, (*low, *high), mask)
        if shape.shade is not None:
            lit = points + np.asarray(ink.shade_shift) * place.scale
            ImageDraw.Draw(mask).polygon((lit - low).ravel().tolist(), fill=0)
            self._image.paste(shape.shade, (*low, *high), mask)

    @staticmethod
    def _mask(points: Points, low: np.ndarray, high: np.ndarray) -> Image.Image:
        mask = Image.new("L", tuple(high - low), 0)
        ImageDraw.Draw(mask).polygon((points - low).ravel().tolist(), fill=255)
        return mask
