"""Fixtures of the GAN's unit tests: a few coloured pictures, a store in memory, one tiny trained model."""

import hashlib
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

from pika_gan.config import Preset
from pika_gan.data import Dataset, make_dataset
from pika_gan.presets import PRESETS
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.testing import MemoryStore, settings_for_tests


def some_pictures(num: int, size: int = 32) -> list[tuple[str, np.ndarray]]:
    """(id, uint8 (size, size, 3)): discs of many colours, sizes and places on plain grounds."""
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[0:size, 0:size]
    pictures = []
    for _ in range(num):
        picture = np.full((size, size, 3), random.integers(100, 256, 3), np.uint8)
        row, column, radius = random.uniform(0.3, 0.7, 3) * size
        picture[(rows - row) ** 2 + (columns - column) ** 2 < (radius / 2) ** 2] = random.integers(0, 200, 3)
        pictures.append((hashlib.sha256(picture.tobytes()).hexdigest(), picture))
    return pictures


@pytest.fixture(scope="session")
def tiny() -> Preset:
    """Every part of cpu-32, in fractions of a second."""
    return PRESETS["tiny"]


@pytest.fixture(scope="session")
def dataset(tiny) -> Dataset:
    """Sixty pictures of the tiny preset's size."""
    return make_dataset(some_pictures(60), tiny.resolution)


@pytest.fixture
def memory_store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory) -> tuple[MemoryStore, dict]:
    """A store in which the job gan-train has published v1, and the job's result."""
    store = MemoryStore()
    fill(store)
    result = run_job(store, tmp_path_factory.mktemp("state"), job_id="first")
    # After a dozen steps it draws one thing only, and is only served if activated by hand.
    Registry(store, "gan").activate(result["model_version"])
    return store, result


def fill(store: MemoryStore, num: int = 60) -> None:
    """Put pictures into the pikachu bucket."""
    bucket = PictureBucket(store, Bucket.PIKACHU)
    for picture_id, pixels in some_pictures(num):
        bucket.add(picture_id, encode_png(pixels), "png", {})


def run_job(store: MemoryStore, state_dir: Path, job_id: str, cancelled=lambda: False, **arguments) -> dict:
    """Run the job's function in this process, as the worker would."""
    from pika_gan.jobs import train

    context = JobContext(job_id, settings_for_tests(state_dir), store, lambda _: None, cancelled)
    return train(context, **({"preset": "tiny", "steps": 12} | arguments))
