"""The container's health check: healthy and each way of not being so."""

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import redis

from pika_kit import healthcheck


@pytest.fixture
def port_answering():
    """Starts a server that answers with a status; gives its port."""
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


class Records:
    """The queue server's records of workers, as far as the check reads them."""

    def __init__(self, names, living):
        self.names, self.living = names, living

    def smembers(self, key):
        assert key == "rq:workers"
        return {name.encode() for name in self.names}

    def exists(self, name):
        return name in self.living


def test_a_worker_is_healthy_when_it_is_registered_here_and_lives():
    name = f"rq:worker:gan-box-{os.getpid()}-1"
    assert healthcheck.worker_problem(Records([name], [name]), "box") is None
    assert healthcheck.worker_problem(Records([name], []), "box")
    assert healthcheck.worker_problem(Records([name], [name]), "other")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = f"rq:worker:gan-box-{ended.pid}-1"
    assert healthcheck.worker_problem(Records([dead], [dead]), "box")


def test_a_queue_that_does_not_answer_is_said():
    valkey = redis.Redis(port=1, socket_connect_timeout=0.2)
    assert "queue's server" in healthcheck.worker_problem(valkey, "box")


def test_the_program_tells_by_its_exit_status(port_answering):
    command = [sys.executable, "-m", "pika_kit.healthcheck"]
    environ = {**os.environ, "PIKA_BIND": f"0.0.0.0:{port_answering(503)}"}
    done = subprocess.run([*command, "service"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "503" in done.stderr
    assert subprocess.run([*command, "cake"], capture_output=True, check=False).returncode == 2
