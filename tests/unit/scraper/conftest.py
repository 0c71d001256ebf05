"""A job context in memory, and small pictures."""

import io
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from PIL import Image

from pika_kit.runner import JobContext
from pika_kit.testing import MemoryStore, settings_for_tests
from pika_scraper.intake.verify import Decoders


@pytest.fixture
def make_picture():
    """Return `make_picture(seed, (width, height), "PNG")`, which encodes a smooth random picture."""

    def make(seed: int, size: tuple[int, int] = (120, 90), name: str = "PNG", **options) -> bytes:
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, name, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def root(tmp_path):
    """The folder that scrapes may read."""
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def memory_store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def make_context(memory_store, root, tmp_path):
    """Return a function that creates a job's context on the test's store; `job_id` is new unless given."""
    numbers = itertools.count(1)

    def make(job_id: str | None = None, publish=lambda _: None, **changes) -> JobContext:
        settings = settings_for_tests(tmp_path / "state", scrape_roots=(root,), **changes)
        name = job_id or f"job{next(numbers)}"
        context = JobContext(name, settings, memory_store, publish, lambda: False)
        context._published_at = float("-inf")
        return context

    return make


@pytest.fixture(scope="session")
def decoders():
    """One real decoding process for all tests."""
    with Decoders(1) as decoders:
        yield decoders
