"""Collections that nothing can be learned from end in a message, and nothing is published."""

import hashlib

import numpy as np
import pytest

from pika_gan.runs import RunFolder
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.runner import JobError
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore

from .conftest import run_job, some_pictures

ONE = some_pictures(1)[0][1]
FEW = [pixels for _, pixels in some_pictures(3)]
GREYS = [np.full((32, 32, 3), 100 + level, np.uint8) for level in range(40)]
NOISE = np.random.default_rng(0).integers(0, 3, (32, 32, 3), np.uint8)
NEARLY_GREY = [grey + NOISE for grey in GREYS]
IN_THE_BUCKET = "at least 30 pictures in the bucket pikachu to train on, received"
DIFFERENT = "at least 30 different training pictures that show something, received"


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([ONE] * 20, f"{IN_THE_BUCKET} 20"),
        (FEW, f"{IN_THE_BUCKET} 3"),
        ([ONE] * 40, f"{DIFFERENT} 1"),
        (FEW * 20, f"{DIFFERENT} 3"),
        (GREYS[:1] * 40, f"{DIFFERENT} 0"),
        (GREYS, f"{DIFFERENT} 0"),
        (NEARLY_GREY + FEW, f"{DIFFERENT} 3"),
    ],
    ids=["20 copies", "3", "40 copies", "60 copies of 3", "a constant", "greys", "nearly greys and 3"],
)
def test_pictures_that_show_nothing_or_the_same_are_refused(pictures, message, tmp_path):
    store = MemoryStore()
    bucket = PictureBucket(store, Bucket.PIKACHU)
    for number, pixels in enumerate(pictures):  # the same picture again has another id, as in another format
        bucket.add(hashlib.sha256(str(number).encode()).hexdigest(), encode_png(pixels), "png", {})
    with pytest.raises(JobError, match=f"expected {message}"):
        run_job(store, tmp_path, "odd")
    assert RunFolder(store, "odd").status()["status"] == "failed"
    assert not list(store.list(Bucket.MODELS))
