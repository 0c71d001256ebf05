"""Logs: one JSON object per line, with its context."""

import io
import json
import logging
import sys
from datetime import timedelta

import pytest
from flask import Flask, g
from gunicorn.config import Config

from pika_kit.gunicorn_logs import GunicornLogger
from pika_kit.logs import JsonFormatter


class Answer:
    """What gunicorn passes to its logger about a response."""

    headers = (("X-Request-Id", "mine-1"),)
    sent = 12

    def __init__(self, status):
        self.status = status


def formatted(formatter, message, **extra):
    record = logging.makeLogRecord({"name": "pika", "levelname": "WARNING", "msg": message, **extra})
    return json.loads(formatter.format(record))


def test_a_line_is_an_object_whatever_is_said():
    line = formatted(JsonFormatter(lambda: {"job_id": "j1"}), 'two\nlines and a "quote"')
    assert line["message"] == 'two\nlines and a "quote"'
    assert (line["level"], line["logger"], line["job_id"]) == ("warning", "pika", "j1")
    assert line["at"].endswith("Z")


def test_an_exception_is_in_the_line():
    try:
        raise ValueError("so it is")
    except ValueError:
        line = formatted(JsonFormatter(), "failed", exc_info=sys.exc_info())
    assert "ValueError: so it is" in line["error"]


@pytest.fixture
def logger():
    config = Config()
    config.set("accesslog", "-")
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers = []  # leave pytest's own handlers alone
    try:
        yield GunicornLogger(config)
    finally:
        root.handlers = before


def lines_of(logger, *calls):
    stream = io.StringIO()
    logger.access_log.handlers[0].setStream(stream)
    for status, path in calls:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
        logger.access(Answer(status), None, environ, timedelta(milliseconds=7))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_requests_are_logged_but_for_healthy_looks_at_health(logger):
    lines = lines_of(
        logger, ("200 OK", "/generate"), ("200 OK", "/gan/health/ready"), ("503 No", "/gan/health/ready")
    )
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/generate", 200),
        ("/gan/health/ready", 503),
    ]
    assert lines[0]["request_id"] == "mine-1"
    assert (lines[0]["milliseconds"], lines[0]["num_bytes"]) == (7, 12)


def test_what_a_view_logs_carries_the_requests_id(logger):
    handler = logging.getLogger().handlers[0]
    with Flask("pika").test_request_context():
        g.request_id = "mine-2"
        assert formatted(handler.formatter, "seen")["request_id"] == "mine-2"
    assert "request_id" not in formatted(handler.formatter, "outside")
