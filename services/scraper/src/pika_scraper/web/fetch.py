"""URL → bytes, from the public internet only.

http and https; every address of a name must be public; the connection goes to a checked address without
another look-up, under the original name (Host, SNI, certificate); each redirect is checked from the start.
Bytes, redirects and attempts are bounded, and so is the total time: resolving, connecting, waiting and
pauses. At the deadline the socket is shut down, so that a host that drips single bytes blocks nobody.

Whatever a host answers, the outcome is bytes, or Refused with a countable code, and nothing else.

    data = Fetcher(allowed=settings.fetch_allow).fetch("https://example.org/pikachu.png")
"""

import email.utils
import http.client
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv6Network
from typing import Any
from urllib.parse import urljoin

from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from pika_scraper.config import LARGE_DOWNLOAD_BYTES, NUM_LARGE_DOWNLOADS, FetchLimits
from pika_scraper.errors import Refused
from pika_scraper.web.addresses import Resolver, resolve
from pika_scraper.web.connections import Connections, close
from pika_scraper.web.hosts import HostBusy, Hosts
from pika_scraper.web.optout import opted_out
from pika_scraper.web.transport import Pinned, Target, TryAgain, cut_at, parse_url

# Limit how many large files are in memory at once, whatever the hosts send.
_LARGE = threading.Semaphore(NUM_LARGE_DOWNLOADS)
# The errors of a reused connection that the host has closed before sending any response.
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
_REDIRECTS = {301, 302, 303, 307, 308}
_TRY_AGAIN = {429, 500, 502, 503, 504}
_UNTYPED = {"", "application/octet-stream", "binary/octet-stream"}


@dataclass(frozen=True)
class Wanted:
    """What is requested: the Accept header, prefixes of acceptable media types, further headers.

    `obeys_robots`: do not request what a host's robots rules forbid, and reject it if it is sent.
    """

    accept: str
    media_types: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    obeys_robots: bool = False


PICTURE = Wanted("image/*", ("image/", *sorted(_UNTYPED - {""})), obeys_robots=True)


@dataclass(frozen=True)
class Received:
    """A successful response; header names are in lower case."""

    data: bytes
    headers: dict[str, str]


class Fetcher:
    """Download with one set of rules. Thread-safe.

    Args:
        allowed: `host:port` pairs that may be fetched although they are not public.
        resolver, sleep: replaced in tests.
        permit: called before each request that obeys robots, including redirects; raises Refused.
        hosts: paces requests to each host; without it requests start at once.
        nat64: as in `addresses.is_public`.
        shares: another fetcher whose open connections this one uses too.
    """

    def __init__(
        self,
        allowed: tuple[str, ...] = (),
        limits: FetchLimits | None = None,
        resolver: Resolver = resolve,
        sleep: Callable[[float], Any] = time.sleep,
        *,
        permit: Callable[[Target], None] = lambda _target: None,
        hosts: Hosts | None = None,
        nat64: tuple[IPv6Network, ...] = (),
        shares: "Fetcher | None" = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._sleep, self._permit, self._hosts = sleep, permit, hosts
        names = frozenset(pair.lower() for pair in allowed)
        self._connections: Connections = (
            shares._connections if shares else Connections(names, resolver, self.limits, nat64)
        )

    def close(self) -> None:
        """Close the connections kept for further requests."""
        self._connections.close()

    def fetch(self, url: str) -> bytes:
        """Download one picture; see `receive`."""
        return self.receive(url, PICTURE).data

    def receive(self, url: str, wanted: Wanted) -> Received:
        """Download one file.

        Raises:
            Refused: "bad_url", "port_refused", "unresolvable", "address_refused", "unreachable",
                "bad_certificate", "timed_out", "bad_answer", "too_many_redirects", "too_large",
                "unexpected_type", "opted_out", "host_busy", what `permit` raises, or "http_<status>".
        """
        deadline = time.monotonic() + self.limits.total_seconds
        for attempt in range(1, self.limits.max_attempts + 1):
            try:
                return self._follow(url, wanted, deadline)
            except TryAgain as again:
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
        except TryAgain as again:
            if again.pause:
                self._hosts.leave_alone(target.host, again.pause)
            raise

    def _get(self, target: Target, wanted: Wanted, deadline: float) -> Received | str:
        """Make one request; return the response, or the address of a redirect."""
        connection = self._connections.idle(target)
        if connection is not None:
            try:
                return self._ask(connection, target, wanted, deadline)
            except _STALE:
                pass  # the host has closed it, as it may
            except (OSError, HTTPError, http.client.HTTPException, ValueError) as error:
                raise self._meaning(error, target, deadline) from error
        connection = self._connections.open(target, deadline)
        try:
            return self._ask(connection, target, wanted, deadline)
        except (OSError, HTTPError, http.client.HTTPException, ValueError) as error:
            raise self._meaning(error, target, deadline) from error

    def _ask(self, connection: Pinned, target: Target, wanted: Wanted, deadline: float) -> Received | str:
        """Make one request over this connection, and keep the connection if it can be reused."""
        is_good = False
        try:
            with cut_at(deadline, connection.dial):
                if connection.sock is None:
                    connection.connect()
                connection.timeout = self.limits.read_seconds
                connection.request("GET", target.path, headers=self._headers(wanted), preload_content=False)
                answer = self._answer(connection.getresponse(), wanted, deadline)
                is_good = isinstance(answer, Received)
                return answer
        finally:
            # Without a socket it was closed after the response, at the host's request.
            if is_good and connection.sock is not None and time.monotonic() < deadline:
                self._connections.keep(target, connection)
            else:
                close(connection)

    def _meaning(self, error: Exception, target: Target, deadline: float) -> Exception:
        """Convert a failed request to Refused or TryAgain."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return Refused("bad_certificate", f"{target.host}: {error.verify_message}")
        if time.monotonic() >= deadline or isinstance(error, TimeoutError | HTTPTimeoutError):
            return TryAgain(Refused("timed_out", f"{target.host} was too slow"))
        is_no_answer = isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead)
        if isinstance(error, OSError | HTTPError) or is_no_answer:
            return TryAgain(Refused("unreachable", f"{target.host}: {type(error).__name__}"))
        return Refused("bad_answer", f"{target.host} does not speak HTTP: {type(error).__name__}")

    def _headers(self, wanted: Wanted) -> dict[str, str]:
        return {
            **wanted.headers,
            "User-Agent": self.limits.user_agent,
            "Accept": wanted.accept,
            # Pictures are compressed already, and what is not decompressed cannot be a bomb.
            "Accept-Encoding": "identity",
        }

    def _answer(self, response: HTTPResponse, wanted: Wanted, deadline: float) -> Received | str:
        status, headers = response.status, response.headers
        if status in _REDIRECTS and headers.get("Location"):
            return headers["Location"]
        if status in _TRY_AGAIN:
            raise TryAgain(
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
        # Python also accepts other scripts' digits; and no sound length has twenty digits.
        is_told = length.isascii() and length.isdigit() and len(length) < 20
        if is_told and int(length) > self.limits.max_bytes:
            raise Refused("too_large", f"expected at most {self.limits.max_bytes:,} bytes, received {length}")
        data = self._read(response, deadline)
        if is_told and len(data) != int(length):
            raise TryAgain(Refused("unreachable", f"expected {length} bytes, received {len(data)}"))
        return Received(data, {name.lower(): value for name, value in headers.items()})

    def _read(self, response: HTTPResponse, deadline: float) -> bytes:
        data = bytearray()
        with ExitStack() as place:
            while part := response.read1(65_536, decode_content=False):
                if len(data) <= LARGE_DOWNLOAD_BYTES < len(data) + len(part):
                    self._wait_for_large_place(place, deadline)
                data += part
                if len(data) > self.limits.max_bytes:
                    raise Refused("too_large", f"expected at most {self.limits.max_bytes:,} bytes")
                if time.monotonic() >= deadline:
                    raise TimeoutError
        if time.monotonic() >= deadline:
            raise TimeoutError  # the socket was shut down, which looks like the end of the file
        return bytes(data)

    @staticmethod
    def _wait_for_large_place(place: ExitStack, deadline: float) -> None:
        if not _LARGE.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        place.callback(_LARGE.release)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
