"""A worker that runs the fake service beside this file instead of the scraper's jobs."""

import itertools
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import process

FAKE_SERVICE = Path(__file__).parent / "fake_service"
_NUMBERS = itertools.count(1)


@pytest.fixture
def fake_worker(stack_environment, tmp_path):
    """Return a function that starts such a worker: `with fake_worker() as process: …`."""
    return _starter(stack_environment, tmp_path)


@pytest.fixture
def fragile_worker(fragile_environment, tmp_path):
    """As `fake_worker`, on the servers that can be stopped."""
    return _starter(fragile_environment, tmp_path)


def _starter(environment, folder):
    @contextmanager
    def start(host: str | None = None, **more: str):
        """Start a worker; `host` is the name of the machine on which it pretends to run."""
        path = f"{FAKE_SERVICE}{':' + str(FAKE_SERVICE.parent / 'elsewhere') if host else ''}"
        changes = {"PYTHONPATH": path, "FAKE_HOST": host or "", **more}
        command = [sys.executable, "-m", "pika_kit.worker", "scraper"]
        log = folder / f"worker-{next(_NUMBERS)}.log"
        with process(command, log, _environ(environment, changes)) as child:
            child.log = log
            yield child

    return start


def _environ(environment, changes):
    import os

    return os.environ | dict(environment) | changes
