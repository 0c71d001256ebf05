"""TLS hosts with good, wrong, expired and unknown certificates."""

import http.server
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from pika_scraper.config import FetchLimits
from pika_scraper.errors import Refused
from pika_scraper.web.fetch import Fetcher

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(500)
LONG_AGO = datetime.now(UTC) - timedelta(days=1)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serve a picture at every path, over persistent connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.hosts.append(self.headers["Host"])
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def authorities():
    return trustme.CA(), trustme.CA()


@pytest.fixture
def host(authorities, tmp_path, monkeypatch):
    """Return a function that serves with a certificate and returns (fetcher, URL, requested hosts)."""
    known, unknown = authorities
    known.cert_pem.write_to_path(str(tmp_path / "known.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
    servers = []

    def serve(name: str, is_known: bool = True, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (known if is_known else unknown).issue_cert(name, **options).configure_cert(context)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.hosts = True, []
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # clients that hang up are intended
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        place = f"pictures.test:{server.server_address[1]}"
        fetcher = Fetcher((place,), FetchLimits(max_attempts=1), lambda *_: ["127.0.0.1"])
        return fetcher, f"https://{place}/a.png", server.hosts

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_good_certificate_is_checked_by_name_though_the_connection_goes_to_an_address(host):
    fetcher, url, hosts = host("pictures.test")
    assert [fetcher.fetch(url) for _ in range(3)] == [PICTURE] * 3
    assert set(hosts) == {url.split("/")[2]}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other.test", {}),
        ("127.0.0.1", {}),
        ("pictures.test", {"not_after": LONG_AGO, "not_before": LONG_AGO - timedelta(days=1)}),
        ("pictures.test", {"is_known": False}),
    ],
    ids=["wrong name", "address only", "expired", "unknown authority"],
)
def test_a_bad_certificate_is_refused_at_once(host, name, options):
    fetcher, url, hosts = host(name, **options)
    with pytest.raises(Refused) as refused:
        fetcher.fetch(url)
    assert refused.value.code == "bad_certificate"
    assert hosts == []
