"""What an answer that is not the store's own means: a proxy's page while the store is away."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from minio.error import InvalidResponseError

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import StoreUnavailable
from pika_kit.testing import settings_for_tests


class _Proxy(BaseHTTPRequestHandler):
    """Answer everything with a page and the server's status."""

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        page = b"<html>Bad gateway</html>"
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, *_):
        pass


@pytest.fixture
def store_behind_proxy(tmp_path):
    """Return a function: status → a store whose proxy answers with it."""
    servers = []

    def behind(status):
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
        server.status = status
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return Store.connect(settings_for_tests(tmp_path, s3_url=f"http://127.0.0.1:{server.server_port}"))

    yield behind
    for server in servers:
        server.shutdown()
        server.server_close()


CALLS = {
    "get": lambda store: store.get(Bucket.RAW, "a"),
    "put": lambda store: store.put(Bucket.RAW, "a", b"bytes"),
    "stat": lambda store: store.stat(Bucket.RAW, "a"),
    "list": lambda store: list(store.list(Bucket.RAW)),
    "delete": lambda store: store.delete(Bucket.RAW, "a"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_page_that_asks_for_patience_is_an_outage_with_its_status(store_behind_proxy, call):
    with pytest.raises(StoreUnavailable, match="429"):
        call(store_behind_proxy(429))


def test_a_bad_gateway_is_tried_again_and_then_an_outage_with_its_status(store_behind_proxy):
    with pytest.raises(StoreUnavailable, match="502"):
        store_behind_proxy(502).get(Bucket.RAW, "a")


@pytest.mark.parametrize("call", [CALLS["get"], CALLS["put"]], ids=["get", "put"])
def test_a_proxy_that_refuses_is_no_outage(store_behind_proxy, call):
    with pytest.raises(InvalidResponseError, match="418"):
        call(store_behind_proxy(418))
