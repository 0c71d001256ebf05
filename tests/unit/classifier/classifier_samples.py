"""Drawn squares of two kinds, and helpers of the classifier's tests."""

import numpy as np

from pika_kit.images import sha256
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore, settings_for_tests


def drawn(num: int, *, is_yellow: bool, seed: int) -> list[np.ndarray]:
    """Return pictures uint8 (256, 256, 3): a yellow disc or a blue square, anywhere on a pale ground."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:256, 0:256]
    pictures = []
    for _ in range(num):
        picture = np.full((256, 256, 3), random.integers(180, 256, 3), np.uint8)
        row, column = random.uniform(90, 166, 2)
        size = random.uniform(30, 70)
        down, right = rows - row, columns - column
        if is_yellow:
            picture[down**2 + right**2 < size**2] = (250, 210, 40)
        else:
            picture[np.maximum(abs(down), abs(right)) < size] = (50, 80, 200)
        pictures.append(picture)
    return pictures


def put_images(store: MemoryStore, pictures: list[np.ndarray]) -> list[str]:
    """Put pictures into the images bucket; return their ids."""
    bucket = PictureBucket(store, Bucket.IMAGES)
    ids = []
    for pixels in pictures:
        data = encode_png(pixels)
        bucket.add(sha256(data), data, "png", {"source": "drawn by a test"})
        ids.append(sha256(data))
    return ids


def context(store: MemoryStore, state_dir, job_id="a-job", publish=lambda _: None, cancelled=lambda: False):
    """Create a job's context without a queue."""
    return JobContext(job_id, settings_for_tests(state_dir), store, publish, cancelled)
