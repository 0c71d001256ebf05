"""The container's health check: healthy, and each way of being unhealthy."""

import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pika_kit import healthcheck


@pytest.fixture
def port_answering():
    """Start a server that returns a status; yield its port."""
    servers = []

    def start(status):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status if self.path == "/health/ready" else 404)
                self.end_headers()
                self.wfile.write(b"because")

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_service_is_healthy_when_it_is_ready(port_answering):
    assert healthcheck.service_problem(port_answering(200)) is None
    assert healthcheck.service_problem(port_answering(503)) == "503 because"


def test_a_service_that_does_not_answer_is_not_healthy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "no answer" in healthcheck.service_problem(taken.getsockname()[1])


def test_a_worker_is_healthy_while_its_heartbeats_reach_the_queue(tmp_path):
    assert "not reached" in healthcheck.worker_problem(tmp_path)
    alive = tmp_path / healthcheck.ALIVE_FILE
    alive.touch()
    assert healthcheck.worker_problem(tmp_path) is None
    long_ago = time.time() - 2 * healthcheck.SILENT_SECONDS
    os.utime(alive, (long_ago, long_ago))
    assert "120 s ago" in healthcheck.worker_problem(tmp_path)


def test_the_program_needs_nothing_that_is_installed_and_tells_by_its_exit_status(port_answering, tmp_path):
    command = [sys.executable, "-IS", healthcheck.__file__]

    def ask(kind, **environ):
        return subprocess.run([*command, kind], env=environ, capture_output=True, text=True, check=False)

    assert ask("service", PIKA_BIND=f"0.0.0.0:{port_answering(200)}").returncode == 0
    done = ask("service", PIKA_BIND=f"0.0.0.0:{port_answering(503)}")
    assert (done.returncode, done.stderr) == (1, "healthcheck: 503 because\n")
    assert ask("worker", PIKA_STATE_DIR=str(tmp_path)).returncode == 1
    assert ask("cake").returncode == 2
