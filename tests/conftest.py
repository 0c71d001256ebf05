"""Fixtures for several folders: real servers, a store and settings of one test's own, test pictures."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import Servers, environment_on, servers

from pika_kit.queue import JobQueue
from pika_kit.settings import Settings
from pika_kit.storage import Store


@pytest.fixture(scope="session")
def running_servers(tmp_path_factory) -> Servers:
    """One Valkey and one SeaweedFS for the whole test session."""
    with servers(tmp_path_factory.mktemp("servers")) as found:
        yield found


@pytest.fixture
def stack_environment(running_servers, tmp_path) -> dict[str, str]:
    """The environment of services and workers; buckets and queues are this test's own."""
    return environment_on(running_servers, tmp_path)


@pytest.fixture
def stack_settings(stack_environment) -> Settings:
    """Settings on the real servers, with buckets of this test's own."""
    return Settings.from_environment(stack_environment)


@pytest.fixture
def store(stack_settings) -> Store:
    """The real object store, with all buckets made."""
    found = Store.connect(stack_settings)
    found.ensure_buckets()
    return found


@pytest.fixture
def queue(stack_settings) -> JobQueue:
    """The real queues."""
    return JobQueue.connect(stack_settings)


@pytest.fixture(scope="session")
def fragile_servers(tmp_path_factory) -> Servers:
    """Servers that tests stop and kill; each test leaves them running."""
    with servers(tmp_path_factory.mktemp("fragile"), is_durable=True) as found:
        yield found


@pytest.fixture
def fragile_environment(fragile_servers, tmp_path) -> dict[str, str]:
    """As `stack_environment`, on the servers that can be stopped."""
    return environment_on(fragile_servers, tmp_path)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test pictures, given from outside by PIKASTACK_TEST_DATA."""
    folder = os.environ.get("PIKASTACK_TEST_DATA")
    if not folder:
        pytest.skip("PIKASTACK_TEST_DATA does not name a folder of test pictures")
    return Path(folder)


def pytest_collection_modifyitems(items) -> None:
    """For `pytest -n 2 --dist loadgroup`: what shares a stack or a module's fixtures stays in one process."""
    root = Path(__file__).parent
    for item in items:
        parts = item.path.relative_to(root).parts if item.path.is_relative_to(root) else (str(item.path),)
        # The whole stacks take turns: they want the same ports and all of the machine.
        shares_stack = parts[0] == "e2e" or parts[:2] == ("integration", "local")
        item.add_marker(pytest.mark.xdist_group("stacks" if shares_stack else "/".join(parts)))
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The longest group first: one process takes it, the other all the rest.
        items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != "stacks")
