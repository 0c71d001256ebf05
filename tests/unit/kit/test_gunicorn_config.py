"""What keeps a front end from starting is reported in one line, before any worker starts."""

import importlib.util

import pytest

from pika_kit import gunicorn_config

REQUIRED = {
    "PIKA_S3_URL": "http://127.0.0.1:9000",
    "PIKA_S3_ACCESS_KEY": "a",
    "PIKA_S3_SECRET_KEY": "b",
    "PIKA_VALKEY_URL": "redis://127.0.0.1:6379/0",
}


@pytest.fixture
def start(monkeypatch):
    """Call the hook with additional settings; return its message if it refuses."""

    def call(**changes):
        for name, value in (REQUIRED | changes).items():
            monkeypatch.setenv(name, value)
        try:
            gunicorn_config.on_starting(None)
        except SystemExit as refused:
            return str(refused)
        return None

    return call


def test_good_settings_are_no_obstacle(start):
    assert start() is None


def test_strangers_are_not_served_without_keys(start):
    assert "PIKA_API_KEYS" in start(PIKA_BIND="0.0.0.0:8000")
    assert start(PIKA_BIND="0.0.0.0:8000", PIKA_OPEN_ACCESS="true") is None


def test_a_runtime_that_is_not_installed_is_refused(start, monkeypatch):
    assert start(PIKA_MODEL_RUNTIME="tensorflow") is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "TensorFlow is not installed" in start(PIKA_MODEL_RUNTIME="tensorflow")
