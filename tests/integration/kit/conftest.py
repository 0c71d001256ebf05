"""A worker that runs the fake service beside this file in place of the scraper's jobs."""

from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import worker

FAKE_SERVICE = Path(__file__).parent / "fake_service"


@pytest.fixture
def fake_worker(stack_environment, tmp_path):
    """A function that starts such a worker: `with fake_worker() as process: …`."""
    environment = stack_environment | {"PYTHONPATH": str(FAKE_SERVICE)}

    @contextmanager
    def start():
        with worker("scraper", environment, tmp_path) as process:
            yield process

    return start
