"""Flags report what is odd about a picture; on a plain ground, its colour and the figure's box."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pika_kit.images import Picture, decode
from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.flags import inspect
from pika_scraper.pictures.pipeline import examine

CONFIG = PrepareConfig()
NOISE = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)


def inspected(pixels, width=None, height=None, format="jpeg"):
    image = Image.fromarray(pixels)
    picture = Picture(image, format, width or image.width, height or image.height)
    return inspect(picture, image.convert("L"), CONFIG)


def flags_of(*args) -> list[str]:
    return inspected(*args).flags


def on_ground(colour, box) -> np.ndarray:
    """Return a plain picture of 200 × 100 with noise in `box` (left, top, right, bottom)."""
    pixels = np.full((100, 200, 3), colour, np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = np.random.default_rng(2).integers(
        0, 256, (bottom - top, right - left, 3), dtype=np.uint8
    )
    return pixels


@pytest.mark.parametrize(
    ("pixels", "flags"),
    [
        (NOISE, ["busy_background"]),
        (np.full((100, 100, 3), 90, np.uint8), ["blank", "blurry", "plain_background"]),
        (NOISE[:, :30], ["busy_background", "extreme_aspect", "tiny"]),
        (NOISE[:60], ["busy_background", "tiny"]),
        (NOISE[:1, :1], ["blank", "plain_background", "tiny"]),
        (NOISE // 8, ["dark", "plain_background"]),
        (on_ground((250, 245, 220), (60, 20, 140, 80)), ["plain_background"]),
    ],
)
def test_flags_say_what_is_odd(pixels, flags):
    assert flags_of(pixels) == flags


def test_sides_are_those_of_the_original():
    assert "tiny" not in flags_of(NOISE[:60], 1000, 1000)
    assert "extreme_aspect" in flags_of(NOISE, 4000, 1000)


@pytest.mark.parametrize(
    ("width", "height", "format", "is_screenshot"),
    [
        (1920, 1080, "png", True),
        (1170, 2532, "png", True),
        (1920, 1080, "jpeg", False),
        (1921, 1080, "png", False),
    ],
)
def test_a_lossless_file_of_the_sides_of_a_screen_is_suspected(width, height, format, is_screenshot):
    assert ("screenshot" in flags_of(NOISE, width, height, format)) is is_screenshot


def test_a_blurred_picture_is_told_from_the_sharp_one():
    sharp = Image.fromarray(on_ground((255, 255, 255), (50, 20, 150, 80)))
    assert "blurry" not in flags_of(np.asarray(sharp))
    assert "blurry" in flags_of(np.asarray(sharp.filter(ImageFilter.GaussianBlur(4))))


def test_the_box_is_where_the_figure_stands():
    result = inspected(on_ground((250, 245, 220), (60, 20, 140, 80)))
    assert result.background == [250, 245, 220]
    assert result.box == pytest.approx([0.3, 0.2, 0.7, 0.8], abs=0.011)
    assert inspected(NOISE).box is None
    assert inspected(np.full((50, 50, 3), 7, np.uint8)).box is None


def test_on_a_plain_ground_a_square_can_hold_the_whole_picture():
    buffer = io.BytesIO()
    Image.fromarray(on_ground((250, 245, 220), (6, 20, 194, 80))).save(buffer, "PNG")
    padded = examine(buffer.getvalue(), PrepareConfig(fit="pad")).prepared
    cropped = examine(buffer.getvalue(), PrepareConfig(fit="crop")).prepared
    assert (padded.fit, cropped.fit) == ("pad", "crop")
    pixels = decode(padded.square).pixels
    assert (pixels[:60] == (250, 245, 220)).all()
    assert (pixels[-60:] == (250, 245, 220)).all()
    # The figure's left edge, at 6/200 of the width, is in the padded square but not in the cropped one.
    assert (pixels[128, 2] == (250, 245, 220)).all()
    assert (pixels[90:166, 12] != (250, 245, 220)).any()
    assert (decode(cropped.square).pixels[128, :4] != (250, 245, 220)).any()


def test_a_busy_picture_is_cropped_whatever_was_asked_for(make_picture):
    assert examine(make_picture(1, (300, 200)), PrepareConfig(fit="pad")).prepared.fit == "crop"
