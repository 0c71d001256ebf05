"""The client against a small real HTTP server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pikastack.client import Client, ServiceError


class _Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    busy = 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        type(self).requests.append((self.path, dict(self.headers)))
        if self.path == "/busy" and type(self).busy:
            type(self).busy -= 1
            self._answer(429, {"title": "Busy"}, {"Retry-After": "0"})
        elif self.path.endswith("/events"):
            self._stream()
        elif self.path.startswith("/jobs/"):
            self._answer(200, {"id": "1", "status": "finished", "progress": {}})
        elif self.path == "/broken":
            self._answer(502, None)
        elif self.path == "/problem":
            problem = {
                "type": "urn:pikastack:problem:model-missing",
                "title": "No model yet",
                "detail": "Train one.",
            }
            self._answer(503, problem)
        else:
            self._answer(200, {"ok": True})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_DELETE(self):
        self.do_GET()

    def _stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for view in type(self).views:
            text = f": still here\n\nevent: progress\ndata: {json.dumps(view)}\n\n"
            # In chunks that end in the middle of an event.
            for piece in (text[:30], text[30:]):
                self.wfile.write(f"{len(piece.encode()):x}\r\n".encode() + piece.encode() + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status, body, headers=()):
        data = b"<html>nginx" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def service():
    handler = type("Handler", (_Service,), {"requests": [], "views": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_key_is_sent_as_a_bearer_token(service):
    handler, url = service
    assert Client(url, "secret").get("/").json() == {"ok": True}
    assert handler.requests[0][1]["Authorization"] == "Bearer secret"


def test_a_problem_is_an_error_in_its_own_words(service):
    with pytest.raises(ServiceError, match=r"No model yet: Train one\.") as caught:
        Client(service[1]).get("/problem")
    assert (caught.value.status, caught.value.kind) == (503, "model-missing")


def test_an_answer_that_is_no_problem_document_is_still_told(service):
    with pytest.raises(ServiceError, match="GET /broken was answered 502"):
        Client(service[1]).get("/broken")


def test_a_busy_service_is_asked_again_when_it_says_so(service):
    handler, url = service
    handler.busy = 2
    assert Client(url).get("/busy").json() == {"ok": True}
    assert len(handler.requests) == 3


def test_a_post_is_repeated_with_its_key_and_each_has_its_own(service):
    handler, url = service
    handler.busy = 2
    client = Client(url)
    client.post("/busy", {})
    client.post("/busy", {})
    keys = [headers["Idempotency-Key"] for _, headers in handler.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_what_cannot_be_told_apart_from_a_second_one_is_not_repeated(service):
    handler, url = service
    handler.busy = 1
    with pytest.raises(ServiceError, match="Busy"):
        Client(url).delete("/busy")
    assert len(handler.requests) == 1


def test_a_service_that_stays_busy_is_an_error(service):
    handler, url = service
    handler.busy = 100
    with pytest.raises(ServiceError, match="Busy"):
        Client(url).get("/busy")


def test_nobody_there_says_how_to_start_one():
    with pytest.raises(ServiceError, match="pikastack up"):
        Client("http://127.0.0.1:1").get("/")


def test_a_jobs_events_are_passed_on_until_it_is_over(service):
    handler, url = service
    handler.views = [
        {"id": "1", "status": "running", "progress": {"message": "é"}},
        {"id": "1", "status": "finished", "progress": {}},
    ]
    assert list(Client(url).watch("1")) == handler.views


def test_a_stream_that_breaks_off_is_followed_by_asking(service, monkeypatch):
    monkeypatch.setattr("pikastack.connection.POLL_SECONDS", 0.01)
    handler, url = service
    handler.views = [{"id": "1", "status": "running", "progress": {}}]
    assert [view["status"] for view in Client(url).watch("1")] == ["running", "finished"]
