"""Requests that gunicorn refuses before any service sees them are answered as the services answer."""

import json
import os
import socket

import pytest
from servers import free_ports, process, scripts, wait_for

SETTINGS = {
    "PIKA_S3_URL": "http://127.0.0.1:9",
    "PIKA_S3_ACCESS_KEY": "a",
    "PIKA_S3_SECRET_KEY": "b",
    "PIKA_VALKEY_URL": "redis://127.0.0.1:9/0",
}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Gunicorn with the services' configuration, in front of the standard library's demo application."""
    (number,) = free_ports(1)
    command = [
        str(scripts() / "gunicorn"),
        "-c",
        "python:pika_kit.gunicorn_config",
        "wsgiref.simple_server:demo_app",
    ]
    environment = os.environ | SETTINGS | {"PIKA_BIND": f"127.0.0.1:{number}"}
    with process(command, tmp_path_factory.mktemp("gunicorn") / "log", environment):
        wait_for(lambda: listens(number), "gunicorn listens")
        yield number


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes; return head and body of the answer, which ends with the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    ("request_bytes", "status", "type", "words"),
    [
        (b"GET /?" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long", "at most 8,190 bytes"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431, "headers-too-large", "shorter or fewer"),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400, "request-unreadable", "no header"),
        (b"Pikachu\r\n\r\n", 400, "request-unreadable", "Pikachu"),
    ],
)
def test_a_refused_request_gets_a_problem(port, request_bytes, status, type, words):
    head, body = ask(port, request_bytes)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["type"] == f"urn:pikastack:problem:{type}"
    assert words in problem["detail"]


def test_other_requests_reach_the_service(port):
    head, body = ask(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Hello world!" in body
