"""From a URL to a connection: parsing, and a socket to a checked address that is shut down at a deadline."""

import re
import socket
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError

from pika_scraper.errors import Refused
from pika_scraper.web.deadlines import Watchdog

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")


@dataclass(frozen=True)
class Target:
    """A checked URL: `host` in ASCII lower case, `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What a connection can be reused for."""
        return self.scheme, self.host, self.port


class TryAgain(Exception):
    """This attempt failed in a way that may succeed later; `pause` is what the host asked for, in seconds."""

    def __init__(self, refused: Refused, pause: float | None = None) -> None:
        super().__init__(str(refused))
        self.refused, self.pause = refused, pause


def parse_url(url: str) -> Target:
    """Parse and check a URL; only the result is resolved, connected to and requested.

    Raises:
        Refused: "bad_url" for other schemes, user names, blanks, backslashes, ports outside 1–65535.
    """
    if _FORBIDDEN.search(url) or len(url) > 4096:
        raise Refused("bad_url", "expected a URL without blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        # A bracketed address is ASCII already, and not a name.
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


def _quote_non_ascii(path: str) -> str:
    return "".join(
        char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in path
    )


class Dialer:
    """Connect to the first checked address that answers, and keep a second handle of the socket."""

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
                connected = socket.create_connection((address, self._port), min(timeout, left))
            except OSError as failed:
                error = failed
                continue
            self.lifeline = connected.dup()
            return connected
        raise error or OSError("no address")

    def close(self) -> None:
        """Release the second handle."""
        if self.lifeline is not None:
            self.lifeline.close()


class PinnedHTTP(HTTPConnection):
    dial: Dialer

    def _new_conn(self) -> socket.socket:
        return self.dial(float(self.timeout or 0) or 5.0)


class PinnedHTTPS(HTTPSConnection):
    dial: Dialer

    def _new_conn(self) -> socket.socket:
        return self.dial(float(self.timeout or 0) or 5.0)


Pinned = PinnedHTTP | PinnedHTTPS


_WATCHDOG = Watchdog()


def cut_at(deadline: float, dial: Dialer) -> AbstractContextManager[None]:
    """Shut the socket down at the deadline, which ends any wait for it in this thread."""

    def cut() -> None:
        if dial.lifeline is not None:
            with suppress(OSError):
                dial.lifeline.shutdown(socket.SHUT_RDWR)

    return _WATCHDOG.calls(cut, deadline)
