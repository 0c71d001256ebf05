"""PNGs of our own are read by Pillow as what they were, and other arrays are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from pika_kit.png import encode_png

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (33, 70), (256, 256)])
def test_pillow_reads_the_same_pixels(shape):
    for pixels in (
        RANDOM.integers(0, 256, (*shape, 3), np.uint8),
        np.full((*shape, 3), 255, np.uint8),
        RANDOM.integers(0, 256, (shape[1], shape[0], 3), np.uint8).transpose(1, 0, 2),  # not contiguous
    ):
        with Image.open(io.BytesIO(encode_png(pixels))) as image:
            image.verify()  # the checksums
        with Image.open(io.BytesIO(encode_png(pixels))) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            np.testing.assert_array_equal(np.asarray(image), pixels)


def test_it_is_hardly_larger_than_pillows():
    steps = RANDOM.integers(-4, 5, (256, 256, 3)).cumsum(0).cumsum(1) // 40 % 256
    pixels, buffer = steps.astype(np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    assert len(encode_png(pixels)) < 1.2 * buffer.tell()


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
               np.zeros((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        encode_png(pixels)
