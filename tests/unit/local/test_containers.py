"""Finding the stack that Compose runs."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pikastack.stack import containers
from pikastack.stack.state import find_clone


@pytest.fixture
def serve():
    """Start a server that answers every GET with a document; yield its port."""
    servers = []

    def start(document):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def env_file(tmp_path, monkeypatch):
    for name in ("PIKA_PORT", "PIKA_BIND_ADDRESS", "PIKA_SITE", "COMPOSE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_the_port_stands_in_the_environment_or_in_the_file(env_file, monkeypatch):
    assert containers.gateway_url(env_file) == "http://127.0.0.1:8080"
    env_file.write_text("# PIKA_PORT=1\nPIKA_PORT='9000'\nPIKA_PORTS=2\n")
    assert containers.gateway_url(env_file) == "http://127.0.0.1:9000"
    monkeypatch.setenv("PIKA_PORT", "9001")
    assert containers.gateway_url(env_file) == "http://127.0.0.1:9001"


def test_the_address_and_https_are_those_of_the_settings(env_file):
    for address, host in (("0.0.0.0", "127.0.0.1"), ("192.0.2.7", "192.0.2.7"), ("[::]", "[::1]")):
        env_file.write_text(f"PIKA_BIND_ADDRESS={address}\nPIKA_PORT=\n")
        assert containers.gateway_url(env_file) == f"http://{host}:8080"
    env_file.write_text("COMPOSE_FILE=docker-compose.yml:compose.tls.yaml\nPIKA_SITE=pikachu.example.org\n")
    assert containers.gateway_url(env_file) == "https://pikachu.example.org"


def test_the_clone_is_where_the_code_lies_or_around_the_working_folder(tmp_path):
    clone, elsewhere = tmp_path / "clone", tmp_path / "elsewhere"
    (clone / "deploy/docker").mkdir(parents=True)
    (clone / "deploy/docker/preflight.py").touch()
    elsewhere.mkdir()
    assert find_clone(clone, elsewhere) == clone
    assert find_clone(elsewhere, clone / "deploy") == clone
    assert find_clone(elsewhere, elsewhere) == elsewhere


def test_the_key_that_preflight_made_is_found(tmp_path):
    keys = tmp_path / "api-keys"
    assert containers.find_api_key(keys) is None
    keys.write_text("pikastack:0123456789abcdef\nother:fedcba9876543210\n")
    assert containers.find_api_key(keys) == "0123456789abcdef"
    keys.write_text("")
    assert containers.find_api_key(keys) is None


def test_only_a_gateway_of_ours_is_found(env_file, serve):
    ours = serve(json.dumps({"services": ["scraper", "classifier", "gan"]}).encode())
    env_file.write_text(f"PIKA_PORT={ours}\n")
    assert containers.find_gateway(env_file) == f"http://127.0.0.1:{ours}"
    for document in (b"{}", b"[1]", b"<html>"):
        env_file.write_text(f"PIKA_PORT={serve(document)}\n")
        assert containers.find_gateway(env_file) is None
    env_file.write_text("PIKA_PORT=1\n")
    assert containers.find_gateway(env_file) is None
