"""URL → bytes, from the public internet only.

http and https; every address of a name must be public; the connection goes to an address that was checked,
with no second look-up in between, under the original name (Host, SNI, certificate); each redirect is checked
from the start. Bytes, redirects and attempts are bounded, and so is the time of all of it together: looking
the name up, connecting, waiting, pauses between attempts. A lifeline is cut at the deadline, so that a host
which drips single bytes holds nobody.

Whatever a host answers, the outcome is bytes or Refused with a code that can be counted, and nothing else.

    data = Fetcher(allowed=settings.fetch_allow).fetch("https://example.org/pikachu.png")
"""

import email.utils
import http.client
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import certifi
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from pika_scraper.addresses import Resolver, checked_addresses, resolve
from pika_scraper.config import PRODUCT, FetchLimits
from pika_scraper.errors import Refused
from pika_scraper.hosts import HostBusy, Hosts

_REDIRECTS = {301, 302, 303, 307, 308}
_TRY_AGAIN = {429, 500, 502, 503, 504}
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
T = TypeVar("T")
_UNTYPED = {"", "application/octet-stream", "binary/octet-stream"}


@dataclass(frozen=True)
class Wanted:
    """What is asked for: the Accept header, how the media types of good answers begin, further headers.

    `obeys_robots`: what a host's rules for robots forbid is not asked for, and refused where it is sent.
    """

    accept: str
    media_types: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    obeys_robots: bool = False


PICTURE = Wanted("image/*", ("image/", *sorted(_UNTYPED - {""})), obeys_robots=True)
_OPT_OUTS = {"noai", "noimageai", "noindex", "noimageindex", "noml", "none"}


@dataclass(frozen=True)
class Received:
    """A good answer; header names are in lower case."""

    data: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Target:
    """A checked URL: `host` in ASCII lower case, `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str


class _TryAgain(Exception):
    """This attempt failed in a way that another may not; `pause` is what the host asked for, in seconds."""

    def __init__(self, refused: Refused, pause: float | None = None) -> None:
        super().__init__(str(refused))
        self.refused, self.pause = refused, pause


class _Dialer:
    """Connects to the first checked address that answers, and keeps a second handle on the socket."""

    def __init__(self, addresses: list[str], port: int, deadline: float) -> None:
        self._addresses, self._port, self._deadline = addresses, port, deadline
        self.lifeline: socket.socket | None = None

    def __call__(self, timeout: float) -> socket.socket:
        error: OSError | None = None
        for address in self._addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                found = socket.create_connection((address, self._port), min(timeout, left))
            except OSError as failed:
                error = failed
                continue
            self.lifeline = found.dup()
            return found
        raise error or OSError("no address")


class _PinnedHTTP(HTTPConnection):
    dial: _Dialer

    def _new_conn(self) -> socket.socket:
        return self.dial(float(self.timeout or 0) or 5.0)


class _PinnedHTTPS(HTTPSConnection):
    dial: _Dialer

    def _new_conn(self) -> socket.socket:
        return self.dial(float(self.timeout or 0) or 5.0)


class Fetcher:
    """Downloads with one set of rules. Safe to share between threads.

    Args:
        allowed: `host:port` pairs that may be fetched although they are not public.
        resolver, sleep: replaced in tests.
        permit: asked before each request for what obeys robots, redirects included; raises Refused.
        hosts: whose turn it is at each host; without it requests begin at once.
    """

    def __init__(
        self,
        allowed: tuple[str, ...] = (),
        limits: FetchLimits | None = None,
        resolver: Resolver = resolve,
        sleep: Callable[[float], Any] = time.sleep,
        *,
        permit: Callable[["Target"], None] = lambda _target: None,
        hosts: Hosts | None = None,
    ) -> None:
        self._allowed = frozenset(pair.lower() for pair in allowed)
        self.limits = limits or FetchLimits()
        self._resolver, self._sleep, self._permit, self._hosts = resolver, sleep, permit, hosts
        self._tls = ssl.create_default_context()
        self._tls.load_verify_locations(certifi.where())

    def fetch(self, url: str) -> bytes:
        """Download one picture; see `receive`."""
        return self.receive(url, PICTURE).data

    def receive(self, url: str, wanted: Wanted) -> Received:
        """Download one file.

        Raises:
            Refused: "bad_url", "unresolvable", "address_refused", "unreachable", "bad_certificate",
                "timed_out", "bad_answer", "too_many_redirects", "too_large", "unexpected_type",
                "opted_out", "host_busy", what `permit` raises, or "http_<status>".
        """
        deadline = time.monotonic() + self.limits.total_seconds
        for attempt in range(1, self.limits.max_attempts + 1):
            try:
                return self._follow(url, wanted, deadline)
            except _TryAgain as again:
                pause = again.pause
                if pause is None:
                    pause = self.limits.backoff_seconds * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
                longest = min(self.limits.max_retry_after_seconds, deadline - time.monotonic())
                if attempt == self.limits.max_attempts or pause > longest:
                    raise again.refused from again
                self._sleep(pause)
        raise AssertionError("unreachable")

    def _follow(self, url: str, wanted: Wanted, deadline: float) -> Received:
        for _ in range(self.limits.max_redirects + 1):
            target = parse_url(url)
            if wanted.obeys_robots:
                self._permit(target)
            answer = self._in_turn(target, wanted, deadline)
            if isinstance(answer, Received):
                return answer
            try:
                url = urljoin(url, answer)
            except ValueError as error:
                raise Refused("bad_url", f"a redirect to no URL: {error}") from error
        raise Refused("too_many_redirects", f"more than {self.limits.max_redirects} redirects")

    def _in_turn(self, target: Target, wanted: Wanted, deadline: float) -> Received | str:
        if self._hosts is None:
            return self._get(target, wanted, deadline)
        try:
            with self._hosts.turn(target.host, deadline):
                return self._get(target, wanted, deadline)
        except HostBusy as busy:
            raise Refused("host_busy", f"{target.host} wants to be left alone for longer") from busy
        except _TryAgain as again:
            if again.pause:
                self._hosts.leave_alone(target.host, again.pause)
            raise

    def _get(self, target: Target, wanted: Wanted, deadline: float) -> Received | str:
        """One request: what came, or the address of a redirect."""
        addresses = self._addresses(target, deadline)
        connection = self._connection(target, addresses, deadline)
        try:
            with _cut_at(deadline, connection.dial):
                connection.connect()
                connection.timeout = self.limits.read_seconds
                connection.request("GET", target.path, headers=self._headers(wanted), preload_content=False)
                response = connection.getresponse()
                return self._answer(response, wanted, deadline)
        except (OSError, HTTPError, http.client.HTTPException, ValueError) as error:
            raise self._meaning(error, target, deadline) from error
        finally:
            connection.close()

    def _addresses(self, target: Target, deadline: float) -> list[str]:
        """The checked addresses of the host; in time, which the system's resolver does not promise."""
        try:
            return _in_time(
                lambda: checked_addresses(target.host, target.port, self._allowed, self._resolver), deadline
            )
        except TimeoutError as error:
            raise _TryAgain(Refused("timed_out", f"no name server told about {target.host}")) from error
        except Refused as refused:
            cause = refused.__cause__
            if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
                raise _TryAgain(refused) from refused
            raise

    def _meaning(self, error: Exception, target: Target, deadline: float) -> Exception:
        """What a failed request comes to."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return Refused("bad_certificate", f"{target.host}: {error.verify_message}")
        if time.monotonic() >= deadline or isinstance(error, TimeoutError | HTTPTimeoutError):
            return _TryAgain(Refused("timed_out", f"{target.host} was too slow"))
        is_no_answer = isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead)
        if isinstance(error, OSError | HTTPError) or is_no_answer:
            return _TryAgain(Refused("unreachable", f"{target.host}: {type(error).__name__}"))
        return Refused("bad_answer", f"{target.host} does not speak HTTP: {type(error).__name__}")

    def _connection(
        self, target: Target, addresses: list[str], deadline: float
    ) -> _PinnedHTTP | _PinnedHTTPS:
        connection: _PinnedHTTP | _PinnedHTTPS
        if target.scheme == "https":
            connection = _PinnedHTTPS(
                target.host, target.port, timeout=self.limits.connect_seconds, ssl_context=self._tls
            )
        else:
            connection = _PinnedHTTP(target.host, target.port, timeout=self.limits.connect_seconds)
        connection.dial = _Dialer(addresses, target.port, deadline)
        return connection

    def _headers(self, wanted: Wanted) -> dict[str, str]:
        return {
            **wanted.headers,
            "User-Agent": self.limits.user_agent,
            "Accept": wanted.accept,
            # Pictures are compressed already, and what is not unpacked cannot be a bomb.
            "Accept-Encoding": "identity",
            "Connection": "close",
        }

    def _answer(self, response: HTTPResponse, wanted: Wanted, deadline: float) -> Received | str:
        status, headers = response.status, response.headers
        if status in _REDIRECTS and headers.get("Location"):
            return headers["Location"]
        if status in _TRY_AGAIN:
            raise _TryAgain(
                Refused(f"http_{status}", f"the host answered {status}"),
                retry_after(headers.get("Retry-After")),
            )
        if status != 200:
            raise Refused(f"http_{status}", f"the host answered {status}")
        if wanted.obeys_robots and opted_out(headers.getlist("X-Robots-Tag")):
            raise Refused("opted_out", "the host's X-Robots-Tag forbids to collect it")
        media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type and not media_type.startswith(wanted.media_types):
            raise Refused("unexpected_type", f"expected {wanted.accept}, received {media_type[:60]!r}")
        if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise Refused("unexpected_type", "expected it as it is, received it compressed")
        length = headers.get("Content-Length", "")
        # Other scripts' digits are digits to Python, too; and nobody means a number of twenty.
        is_told = length.isascii() and length.isdigit() and len(length) < 20
        if is_told and int(length) > self.limits.max_bytes:
            raise Refused("too_large", f"expected at most {self.limits.max_bytes:,} bytes, received {length}")
        data = self._read(response, deadline)
        if is_told and len(data) != int(length):
            raise _TryAgain(Refused("unreachable", f"expected {length} bytes, received {len(data)}"))
        return Received(data, {name.lower(): value for name, value in headers.items()})

    def _read(self, response: HTTPResponse, deadline: float) -> bytes:
        parts, num_bytes = [], 0
        while part := response.read1(65_536, decode_content=False):
            parts.append(part)
            num_bytes += len(part)
            if num_bytes > self.limits.max_bytes:
                raise Refused("too_large", f"expected at most {self.limits.max_bytes:,} bytes")
            if time.monotonic() >= deadline:
                raise TimeoutError
        if time.monotonic() >= deadline:
            raise TimeoutError  # the lifeline was cut, which looks like the end of the file
        return b"".join(parts)


def parse_url(url: str) -> Target:
    """Check a URL's form; the result alone decides what is looked up, connected to and asked for.

    Raises:
        Refused: "bad_url" for other schemes, user names, blanks, backslashes, ports outside 1–65535.
    """
    if _FORBIDDEN.search(url) or len(url) > 4096:
        raise Refused("bad_url", "expected a URL without blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        # An address in brackets is ASCII already, and no name.
        host = host if ":" in host else host.encode("idna").decode("ascii")
    except (ValueError, LocationParseError) as error:
        raise Refused("bad_url", f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise Refused("bad_url", f"expected http or https, received {parts.scheme[:20]!r}")
    if not host or "@" in parts.netloc or "%" in host or port == 0:
        raise Refused("bad_url", "expected a host name, without a user name before it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(
        parts.scheme, host.lower(), port or (443 if parts.scheme == "https" else 80), _quote_non_ascii(path)
    )


def opted_out(tags: list[str]) -> bool:
    """Whether X-Robots-Tag headers forbid a collection: rules for all, or for us by our name.

    `noai, noimageai` is DeviantArt's convention and others', `noindex` and `none` are the search engines'.
    """
    for tag in tags:
        agent = None
        for rule in tag.lower().split(","):
            name, colon, rest = rule.strip().partition(":")
            # "name: rule" is for the robot of that name, as are the rules behind it; "max-snippet: 9" is not.
            if colon and rest.strip().split(" ")[0] in _OPT_OUTS | {"all", "nofollow"}:
                agent, name = name.strip(), rest.strip()
            if name in _OPT_OUTS and agent in (None, PRODUCT):
                return True
    return False


def retry_after(value: str | None) -> float | None:
    """The pause that a Retry-After header asks for, in seconds: a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _quote_non_ascii(path: str) -> str:
    return "".join(
        char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in path
    )


def _in_time(call: Callable[[], T], deadline: float) -> T:
    """What the call gives; TimeoutError at the deadline, after which nobody waits for its thread."""
    outcome: list[tuple[bool, Any]] = []

    def run() -> None:
        try:
            outcome.append((True, call()))
        except Exception as error:  # noqa: BLE001 — raised by who waits
            outcome.append((False, error))

    thread = threading.Thread(target=run, daemon=True, name="resolve")
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if not outcome:
        raise TimeoutError
    is_good, found = outcome[0]
    if not is_good:
        raise found
    return cast(T, found)


@contextmanager
def _cut_at(deadline: float, dial: _Dialer) -> Iterator[None]:
    """Shut the dialled socket down at the deadline, which ends any wait for it in this thread."""

    def cut() -> None:
        if dial.lifeline is not None:
            with suppress(OSError):
                dial.lifeline.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if dial.lifeline is not None:
            dial.lifeline.close()
