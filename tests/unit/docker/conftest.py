"""Fixtures of the tests of preflight.py: ports, a clone's root, a folder of secrets."""

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from preflight_script import secret_files


@pytest.fixture
def listener():
    """A port of 127.0.0.1 on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port(listener):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert port != listener
    return port


@pytest.fixture
def root(tmp_path, free_port):
    """A clone's root with what the checks look at, all good."""
    (tmp_path / ".env.example").write_text("COMPOSE_FILE=docker-compose.yml\nPIKA_PORT=8080\n#PIKA_SITE=\n")
    (tmp_path / ".env").write_text(f"COMPOSE_FILE=docker-compose.yml\nPIKA_PORT={free_port}\n")
    secret_files.make_secrets(tmp_path / secret_files.FOLDER)
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    """A folder of good secrets."""
    secret_files.make_secrets(tmp_path / "secrets")
    return tmp_path / "secrets"
