"""The fetcher against a server on loopback that redirects, lies, drips and fails."""

import http.server
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pika_scraper.config import FetchLimits
from pika_scraper.errors import Refused
from pika_scraper.web.fetch import Fetcher, retry_after
from pika_scraper.web.transport import parse_url

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(5000)


class Handler(http.server.BaseHTTPRequestHandler):
    """Respond by path; requests are recorded in the server's `seen`."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Host")))
        path, _, rest = self.path[1:].partition("/")
        getattr(self, f"serve_{path.partition('?')[0].replace('.', '_')}")(rest)

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def serve_picture_png(self, _):
        self.reply(200, PICTURE, Content_Type="image/png")

    def serve_untyped(self, _):
        self.reply(200, PICTURE)

    def serve_page(self, _):
        self.reply(200, b"<html>", Content_Type="text/html; charset=utf-8")

    def serve_gzip(self, _):
        self.reply(200, PICTURE, Content_Type="image/png", Content_Encoding="gzip")

    def serve_opted_out(self, _):
        self.reply(200, PICTURE, Content_Type="image/png", X_Robots_Tag="noai, noimageai")

    def serve_status(self, rest):
        self.reply(int(rest))

    def serve_to(self, rest):
        self.reply(302, Location=rest)

    def serve_relative(self, _):
        self.reply(301, Location="../picture.png?x=1#part")

    def serve_loop(self, _):
        self.reply(302, Location="/loop")

    def serve_flaky(self, rest):
        tries = sum(path.startswith("/flaky") for path, _ in self.server.seen)
        if tries <= int(rest):
            self.reply(503, Retry_After="7")
        else:
            self.serve_picture_png("")

    def serve_patience(self, _):
        self.reply(429, Retry_After="3600")

    def serve_large(self, _):
        self.reply(200, bytes(200_000), Content_Type="image/png")

    def serve_endless(self, _):
        self.reply(200, Content_Type="image/png", Content_Length=None)
        with_chunks = bytes(65_536)
        try:
            for _ in range(1000):
                self.wfile.write(with_chunks)
        except OSError:
            self.server.seen.append(("/gave-up", None))

    def serve_short(self, _):
        self.reply(200, PICTURE, Content_Type="image/png", Content_Length="9000")

    def drip(self, data):
        try:
            for _ in range(200):
                self.wfile.write(data)
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    def serve_dripping_body(self, _):
        self.reply(200, Content_Type="image/png", Content_Length="100000")
        self.drip(b"x")

    def serve_dripping_header(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self.drip(b"x")

    def serve_silent(self, _):
        time.sleep(2)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def seen(server):
    server.seen = []
    return server.seen


@pytest.fixture
def port(server, seen):
    return server.server_address[1]


@pytest.fixture
def make_fetcher(port):
    """A fetcher for which pictures.test is the local server; pauses are recorded instead of waited for."""

    def make(resolver=lambda *_: ["127.0.0.1"], **limits) -> Fetcher:
        fetcher = Fetcher((f"pictures.test:{port}",), FetchLimits(**limits), resolver, pauses.append)
        fetcher.pauses = pauses
        return fetcher

    pauses: list[float] = []
    return make


def code_of(fetcher, url) -> str:
    with pytest.raises(Refused) as caught:
        fetcher.fetch(url)
    return caught.value.code


@pytest.mark.parametrize("path", ["picture.png", "untyped", "relative", "to//picture.png"])
def test_a_picture_is_fetched_under_the_original_name(make_fetcher, port, seen, path):
    assert make_fetcher().fetch(f"http://pictures.test:{port}/{path}") == PICTURE
    assert {host for _, host in seen} == {f"pictures.test:{port}"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("page", "unexpected_type"),
        ("gzip", "unexpected_type"),
        ("opted_out", "opted_out"),
        ("status/404", "http_404"),
        ("status/403", "http_403"),
        ("status/204", "http_204"),
        ("loop", "too_many_redirects"),
        ("to/ftp://pictures.test/x", "bad_url"),
        ("to/file:///etc/passwd", "bad_url"),
        ("to/http://other.test/x", "address_refused"),
        ("to/http://pictures.test/x", "address_refused"),
        ("to///127.0.0.1/x", "address_refused"),
    ],
)
def test_what_is_no_picture_is_refused_at_once(make_fetcher, port, seen, path, code):
    fetcher = make_fetcher()
    assert code_of(fetcher, f"http://pictures.test:{port}/{path}") == code
    assert fetcher.pauses == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "169.254.169.254"])
def test_a_redirect_to_an_address_inside_is_refused(make_fetcher, port, seen, host):
    url = f"http://pictures.test:{port}/to/http://{host}/picture.png"
    resolver = lambda name, _: ["127.0.0.1" if name == "pictures.test" else name.strip("[]")]  # noqa: E731
    assert code_of(make_fetcher(resolver), url) == "address_refused"
    assert len(seen) == 1


def test_the_connection_goes_to_the_address_that_was_checked_also_when_the_name_moves(
    make_fetcher, port, seen
):
    # a second lookup would find nothing; with rebinding it would find something else
    answers = iter([["127.0.0.1"]])

    def resolver(*_):
        return next(answers)

    fetcher = make_fetcher(resolver, max_attempts=1)
    assert fetcher.fetch(f"http://pictures.test:{port}/picture.png") == PICTURE


def test_an_address_that_turns_private_at_the_redirect_is_refused(port, seen):
    answers = iter([["127.0.0.1"], ["127.0.0.1"]])
    asked = []

    def resolver(host, _):
        asked.append(host)
        return next(answers)

    fetcher = Fetcher((f"pictures.test:{port}",), resolver=resolver)
    assert code_of(fetcher, f"http://pictures.test:{port}/to/http://rebound.test/") == "address_refused"
    assert asked == ["pictures.test", "rebound.test"]


def test_permission_is_asked_for_each_redirect_too(port, seen):
    def permit(target):
        asked.append(target.path)
        if target.path == "/picture.png":
            raise Refused("robots_disallowed", "no")

    asked = []
    fetcher = Fetcher((f"pictures.test:{port}",), resolver=lambda *_: ["127.0.0.1"], permit=permit)
    assert code_of(fetcher, f"http://pictures.test:{port}/to//picture.png") == "robots_disallowed"
    assert asked == ["/to//picture.png", "/picture.png"]
    assert [path for path, _ in seen] == ["/to//picture.png"]


def test_a_busy_host_is_asked_again_after_the_pause_it_names(make_fetcher, port, seen):
    fetcher = make_fetcher(max_attempts=3)
    assert fetcher.fetch(f"http://pictures.test:{port}/flaky/2") == PICTURE
    assert fetcher.pauses == [7.0, 7.0]


def test_a_host_that_stays_busy_is_given_up(make_fetcher, port, seen):
    fetcher = make_fetcher(max_attempts=3)
    assert code_of(fetcher, f"http://pictures.test:{port}/status/500") == "http_500"
    assert len(fetcher.pauses) == 2
    assert 0 < fetcher.pauses[0] < fetcher.pauses[1]


def test_a_pause_that_is_too_long_is_not_waited_for(make_fetcher, port, seen):
    fetcher = make_fetcher()
    assert code_of(fetcher, f"http://pictures.test:{port}/patience") == "http_429"
    assert fetcher.pauses == []


@pytest.mark.parametrize("path", ["large", "endless"])
def test_no_more_bytes_are_read_than_allowed(make_fetcher, port, seen, path):
    assert code_of(make_fetcher(max_bytes=100_000), f"http://pictures.test:{port}/{path}") == "too_large"


def test_a_file_that_ends_early_is_not_taken(make_fetcher, port, seen):
    assert code_of(make_fetcher(max_attempts=2), f"http://pictures.test:{port}/short") == "unreachable"
    # A connection that an earlier test abandoned may only be accepted now.
    assert len([path for path, _host in seen if path == "/short"]) == 2


@pytest.mark.parametrize("path", ["dripping_body", "dripping_header", "silent"])
def test_a_slow_host_is_cut_off_at_the_deadline(make_fetcher, port, seen, path):
    fetcher = make_fetcher(max_attempts=1, total_seconds=0.4, read_seconds=5)
    start = time.monotonic()
    assert code_of(fetcher, f"http://pictures.test:{port}/{path}") == "timed_out"
    assert time.monotonic() - start < 1.8


def test_a_host_that_says_nothing_is_left_after_the_read_time(make_fetcher, port, seen):
    fetcher = make_fetcher(max_attempts=1, read_seconds=0.2)
    assert code_of(fetcher, f"http://pictures.test:{port}/silent") == "timed_out"


def test_a_closed_port_is_unreachable(make_fetcher, port, seen):
    fetcher = Fetcher(("pictures.test:1",), FetchLimits(max_attempts=1), lambda *_: ["127.0.0.1"])
    assert code_of(fetcher, "http://pictures.test:1/x") == "unreachable"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "unreachable"),
        (b"\r\n", "bad_answer"),
        (b"GARBAGE\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 99999 OK\r\n\r\n", "bad_answer"),
        (b"HTTP/9.9 200 OK\r\n\r\n", "bad_answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: \xb2\r\n\r\n" + PICTURE, None),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: -1\r\n\r\n" + PICTURE, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n" + PICTURE, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "unreachable"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", "bad_url"),
        (b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\n\r\n", "too_many_redirects"),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: \xb2\r\n\r\n", "http_503"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "http_101"),
    ],
)
def test_whatever_a_host_answers_is_one_counted_reason(answer, code):
    with raw_server(answer) as port:
        fetcher = Fetcher(
            (f"pictures.test:{port}",),
            FetchLimits(max_attempts=2, total_seconds=2),
            lambda *_: ["127.0.0.1"],
            lambda _: None,
        )
        url = f"http://pictures.test:{port}/x"
        if code is None:
            assert fetcher.fetch(url) == PICTURE
        else:
            assert code_of(fetcher, url) == code


@contextmanager
def raw_server(answer):
    """Answer every connection with these bytes, whatever was requested, and close it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def test_looking_a_name_up_takes_its_share_of_the_time_and_no_more(port, seen):
    fetcher = Fetcher(
        (f"pictures.test:{port}",), FetchLimits(total_seconds=0.3), lambda *_: time.sleep(30), lambda _: None
    )
    start = time.monotonic()
    assert code_of(fetcher, f"http://pictures.test:{port}/picture.png") == "timed_out"
    assert time.monotonic() - start < 1.3


def test_a_host_that_answers_no_connection_costs_its_time_once(port, seen):
    """192.0.2.0/24 is unassigned: some networks drop its packets, others reject them at once."""
    addresses = [f"192.0.2.{number}" for number in range(1, 200)]
    fetcher = Fetcher(
        (f"pictures.test:{port}",), FetchLimits(total_seconds=0.5), lambda *_: addresses, lambda _: None
    )
    start = time.monotonic()
    assert code_of(fetcher, f"http://pictures.test:{port}/picture.png") in ("timed_out", "unreachable")
    assert time.monotonic() - start < 1.5


def test_a_name_server_that_asks_for_patience_is_asked_again(port, seen):
    answers = iter([socket.gaierror(socket.EAI_AGAIN, "try again"), None])

    def resolver(*_):
        error = next(answers)
        if error:
            raise error
        return ["127.0.0.1"]

    fetcher = Fetcher((f"pictures.test:{port}",), resolver=resolver, sleep=lambda _: None)
    assert fetcher.fetch(f"http://pictures.test:{port}/picture.png") == PICTURE


def test_https_without_a_valid_certificate_is_refused(make_fetcher, port, seen):
    fetcher = make_fetcher(max_attempts=1)
    # The server does not use TLS.
    assert code_of(fetcher, f"https://pictures.test:{port}/picture.png") == "unreachable"
    assert fetcher._connections._tls.verify_mode is ssl.CERT_REQUIRED
    assert fetcher._connections._tls.check_hostname


@pytest.mark.parametrize(
    "url",
    [
        "", "picture.png", "/picture.png", "//host/x", "ftp://host/x", "file:///etc/passwd", "gopher://host/",
        "data:image/png;base64,AAAA", "javascript:alert(1)", "http://", "http:///x", "http://user@host/",
        "http://user:password@host/", "http://host:0/", "http://host:99999/", "http://host:port/",
        "http://host/a b", "http://host\\@other/", "http://host/\r\nX: y", "http://[::1", "http://[fe80::1%25lo]/",
        "http://" + "a" * 300 + "/", "http://host/" + "x" * 5000, "http://ho\tst/",
    ],
)  # fmt: skip
def test_what_is_no_plain_web_address_is_a_bad_url(url):
    with pytest.raises(Refused) as caught:
        parse_url(url)
    assert caught.value.code == "bad_url"


def test_a_url_is_taken_apart_once():
    target = parse_url("HTTPS://Bücher.Example./ピカ/?q=ü#part")
    assert (target.scheme, target.host, target.port) == ("https", "xn--bcher-kva.example", 443)
    assert target.path == "/%E3%83%94%E3%82%AB/?q=%C3%BC"


def test_retry_after_is_seconds_or_a_date():
    assert retry_after("12") == 12.0
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0
    assert retry_after("soon") is None
    assert retry_after(None) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/\ud800",
        "http://a\udfff.test/",
        "http://a.test/a b",
        "http://a.test/\n",
        "http://a.test:²/",
    ],
)
def test_whatever_a_list_names_is_one_refused_address(url):
    assert code_of(Fetcher(), url) == "bad_url"


class Counting(http.server.BaseHTTPRequestHandler):
    """Keeps connections open, as most hosts do, and counts them."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.num_connections += 1
        self.answered = 0

    def do_GET(self):
        self.answered += 1
        self.server.num_requests += 1
        is_missing = self.path == "/gone"
        self.send_response(404 if is_missing else 200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(0 if is_missing else len(PICTURE)))
        if self.server.says_close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"" if is_missing else PICTURE)
        # Closed without notice, as after the host's own timeout.
        self.close_connection = self.server.says_close or self.answered >= self.server.closes_after

    def log_message(self, *_):
        pass


@pytest.fixture
def keeping():
    """A server that counts its connections, and a fetcher that may use it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    server.daemon_threads = True
    server.num_connections = server.num_requests = 0
    server.says_close, server.closes_after = False, 10**9
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked = []

    def resolver(host, _):
        asked.append(host)
        return ["127.0.0.1"]

    place = f"pictures.test:{server.server_address[1]}"
    fetcher = Fetcher((place,), FetchLimits(max_attempts=1), resolver)
    yield server, fetcher, f"http://{place}", asked
    fetcher.close()
    server.shutdown()
    server.server_close()


def test_a_connection_is_used_again_without_another_look_up(keeping):
    server, fetcher, url, asked = keeping
    for number in range(20):
        assert fetcher.fetch(f"{url}/{number}.png") == PICTURE
    assert (server.num_requests, server.num_connections, len(asked)) == (20, 1, 1)


def test_one_that_the_host_has_closed_is_replaced_without_counting_as_an_attempt(keeping):
    server, fetcher, url, _ = keeping
    server.closes_after = 2
    for number in range(7):
        assert fetcher.fetch(f"{url}/{number}.png") == PICTURE
        time.sleep(0.02)
    assert (server.num_requests, server.num_connections) == (7, 4)


@pytest.mark.parametrize("says_close", [True, False])
def test_after_an_answer_that_was_not_read_or_a_close_it_is_not_used_again(keeping, says_close):
    server, fetcher, url, _ = keeping
    server.says_close = says_close
    for path in ("/1.png", "/gone", "/2.png", "/gone"):
        if path == "/gone":
            assert code_of(fetcher, url + path) == "http_404"
        else:
            assert fetcher.fetch(url + path) == PICTURE
    assert server.num_connections == (4 if says_close else 2)


def test_idle_connections_are_closed_in_time(keeping, monkeypatch):
    server, fetcher, url, _ = keeping
    monkeypatch.setattr("pika_scraper.web.connections.IDLE_SECONDS", 0.0)
    for number in range(3):
        fetcher.fetch(f"{url}/{number}.png")
    assert server.num_connections == 3


def test_many_threads_share_few_connections(keeping):
    server, fetcher, url, _ = keeping
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: fetcher.fetch(f"{url}/{number}.png"), range(100)))
    assert results == [PICTURE] * 100
    assert server.num_connections <= 4


def test_fetchers_that_share_use_each_others_connections(keeping):
    server, fetcher, url, _ = keeping
    fetcher.fetch(f"{url}/robots.txt")
    other = Fetcher(limits=FetchLimits(max_attempts=1), shares=fetcher)
    assert other.fetch(f"{url}/1.png") == PICTURE
    assert server.num_connections == 1
