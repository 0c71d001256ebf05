"""One picture: a figure, thing or scene on a background, lit, and sometimes slightly degraded."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from pika_drawings.anatomy import PIKACHU
from pika_drawings.backgrounds import behind_figure
from pika_drawings.canvas import Canvas, Group, Ink
from pika_drawings.creatures import pick_creature, pick_pose
from pika_drawings.figure import build_figure
from pika_drawings.scenes import SCENES, any_colour
from pika_drawings.things import THINGS

Size = int | tuple[int, int]


def draw_pikachu(rng: np.random.Generator, size: Size = 256) -> np.ndarray:
    """Draw one Pikachu, uint8 (height, width, 3); `size` is the side or (width, height) in pixels."""
    width, height = _frame(size)
    ink = pick_ink(rng)
    figure = build_figure(PIKACHU, pick_pose(rng), ink, rng)
    return _finished(rng, _composed(rng, figure.groups, figure.focus, ink, (width, height)))


def draw_other(rng: np.random.Generator, size: Size = 256) -> np.ndarray:
    """Draw something that is not Pikachu: another creature, a thing or a scene; sizes as in draw_pikachu."""
    width, height = _frame(size)
    kind = rng.random()
    if kind < 0.15:
        scene = SCENES[rng.integers(len(SCENES))]
        return _finished(rng, scene(rng, width, height))
    ink = pick_ink(rng)
    if kind < 0.4:
        groups = THINGS[rng.integers(len(THINGS))](rng)
        return _finished(rng, _composed(rng, groups, groups, ink, (width, height)))
    figure = build_figure(pick_creature(rng), pick_pose(rng), ink, rng)
    return _finished(rng, _composed(rng, figure.groups, figure.focus, ink, (width, height)))


def pick_ink(rng: np.random.Generator) -> Ink:
    """Pick outlines: dark, thin to bold, or none; the light comes from above, left or right."""
    shift = (float(rng.choice([-1, 1]) * rng.uniform(0.02, 0.06)), -float(rng.uniform(0.02, 0.06)))
    if rng.random() < 0.15:
        return Ink(None, 0.0, shift)
    dark = int(rng.uniform(10, 45))
    return Ink((dark + int(rng.uniform(0, 25)), dark + 5, dark), float(rng.uniform(0.01, 0.024)), shift)


def _frame(size: Size) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 16:
        raise ValueError(f"expected a size of at least 16 pixels, received {width} × {height}")
    return width, height


def _composed(
    rng: np.random.Generator, groups: list[Group], focus: list[Group], ink: Ink, size: tuple[int, int]
) -> Image.Image:
    """Draw the figure on a background, filling 62–97 % of the frame, usually near its centre."""
    canvas = Canvas(behind_figure(rng, *size), 3 if max(size) <= 300 else 2)
    share = float(rng.uniform(0.78, 0.97) if rng.random() < 0.85 else rng.uniform(0.62, 0.78))
    room = (1 - share) / 2
    place = canvas.placement(
        focus,
        share=share,
        shift=(float(rng.uniform(-room, room)), float(rng.uniform(-room, room))),
        angle=float(rng.normal(0, 4) if rng.random() < 0.85 else rng.uniform(-25, 25)),
        mirrored=bool(rng.random() < 0.5),
        shear=float(rng.normal(0, 0.03)),
    )
    if rng.random() < 0.5:
        canvas.paint_shadow(groups, place)
    canvas.paint(groups, ink, place)
    picture = canvas.picture()
    return _lit(rng, picture) if rng.random() < 0.3 else picture


def _lit(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    """Light from one side: the far side is darker by up to a fifth."""
    way = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    dark = (x * np.cos(way) + y * np.sin(way) + 1.42) / 2.84
    ramp = Image.fromarray((255 - 255 * rng.uniform(0.05, 0.2) * dark).astype(np.uint8))
    ramp = ramp.resize(picture.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(picture, Image.merge("RGB", (ramp, ramp, ramp)))


def _finished(rng: np.random.Generator, picture: Image.Image) -> np.ndarray:
    """Leave three in four pictures clean; make the others noisy, blurred, pale or strongly compressed."""
    kind = rng.random()
    if kind < 0.06:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.4)))
    elif kind < 0.14:
        buffer = BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(25, 55)))
        picture = Image.open(buffer)
    elif kind < 0.2:
        noisy = np.asarray(picture) + rng.normal(0, rng.uniform(3, 12), (picture.height, picture.width, 3))
        return np.clip(noisy, 0, 255).astype(np.uint8)
    elif kind < 0.25:
        picture = Image.blend(
            picture, Image.new("RGB", picture.size, any_colour(rng)), rng.uniform(0.05, 0.2)
        )
    return np.array(picture)
