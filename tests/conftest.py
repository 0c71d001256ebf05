"""Fixtures for several folders: real servers, a store and settings of one test's own, test pictures."""

import os
import sys
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

sys.path.insert(0, str(Path(__file__).parent))

from servers import Servers, environment_on, servers

from pika_kit.queue import JobQueue
from pika_kit.settings import Settings
from pika_kit.storage import Store


@pytest.fixture(scope="session")
def running_servers(tmp_path_factory) -> Servers:
    """One Valkey and one SeaweedFS for the whole test session."""
    with servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def stack_environment(running_servers, tmp_path) -> dict[str, str]:
    """The environment of services and workers, with buckets and queues for this test alone."""
    return environment_on(running_servers, tmp_path)


@pytest.fixture
def stack_settings(stack_environment) -> Settings:
    """Settings for the real servers, with buckets for this test alone."""
    return Settings.from_environment(stack_environment)


@pytest.fixture
def store(stack_settings) -> Store:
    """The real object store, with all buckets created."""
    store = Store.connect(stack_settings)
    store.ensure_buckets()
    return store


@pytest.fixture
def queue(stack_settings) -> JobQueue:
    """The real queues."""
    return JobQueue.connect(stack_settings)


@pytest.fixture(scope="session")
def fragile_servers(tmp_path_factory) -> Servers:
    """Servers that tests may stop and kill; each test must leave them running."""
    with servers(tmp_path_factory.mktemp("fragile"), is_durable=True) as running:
        yield running


@pytest.fixture
def fragile_environment(fragile_servers, tmp_path) -> dict[str, str]:
    """As `stack_environment`, on the servers that can be stopped."""
    return environment_on(fragile_servers, tmp_path)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test pictures; its path comes from PIKASTACK_TEST_DATA."""
    folder = os.environ.get("PIKASTACK_TEST_DATA")
    if not folder:
        pytest.skip("PIKASTACK_TEST_DATA does not name a folder of test pictures")
    return Path(folder)


class _BySharedThings(LoadScopeScheduling):
    """Group tests for `pytest -n`: tests of one file share fixtures and stay in one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        # Whole stacks run in sequence: they share the session's stack and need the same ports.
        return "stacks" if file.startswith(("tests/e2e/", "tests/integration/local/")) else file


def pytest_xdist_make_scheduler(config, log):
    """Let xdist distribute the tests group by group, in the order of `testpaths`."""
    return _BySharedThings(config, log)
