"""Connections to hosts: new ones to checked addresses, and open ones from earlier requests.

A reused connection goes to the address that was checked when it was opened, so nothing is resolved again and
nothing can have changed. It serves one request at a time, for one scheme, host and port.
"""

import socket
import ssl
import threading
import time
from ipaddress import IPv6Network

import certifi

from pika_scraper.config import FetchLimits
from pika_scraper.errors import Refused
from pika_scraper.web.addresses import Resolver, checked_addresses
from pika_scraper.web.deadlines import in_time
from pika_scraper.web.transport import Dialer, Pinned, PinnedHTTP, PinnedHTTPS, Target, TryAgain

IDLE_SECONDS = 10.0
"""Hosts close what is idle after some more."""
MAX_IDLE = 64


class Connections:
    """Thread-safe.

    Args:
        allowed, resolver, nat64: as in `addresses.checked_addresses`.
    """

    def __init__(
        self,
        allowed: frozenset[str],
        resolver: Resolver,
        limits: FetchLimits,
        nat64: tuple[IPv6Network, ...] = (),
    ) -> None:
        self._allowed, self._resolver, self._limits, self._nat64 = allowed, resolver, limits, nat64
        self._tls = ssl.create_default_context()
        self._tls.load_verify_locations(certifi.where())
        self._idle: list[tuple[tuple[str, str, int], float, Pinned]] = []
        """(origin, since when, connection), the longest idle first."""
        self._lock = threading.Lock()

    def idle(self, target: Target) -> Pinned | None:
        """Hand out an open connection to the target's host; the host may have closed it."""
        with self._lock:
            self._drop_old()
            for place in reversed(range(len(self._idle))):
                if self._idle[place][0] == target.origin:
                    return self._idle.pop(place)[2]
        return None

    def open(self, target: Target, deadline: float) -> Pinned:
        """Create one that will connect to a checked address. Raises Refused and TryAgain."""
        addresses = self._addresses(target, deadline)
        connection: Pinned
        if target.scheme == "https":
            connection = PinnedHTTPS(
                target.host, target.port, timeout=self._limits.connect_seconds, ssl_context=self._tls
            )
        else:
            connection = PinnedHTTP(target.host, target.port, timeout=self._limits.connect_seconds)
        connection.dial = Dialer(addresses, target.port, deadline)
        return connection

    def keep(self, target: Target, connection: Pinned) -> None:
        """Take back a connection whose response was read to the end."""
        with self._lock:
            self._idle.append((target.origin, time.monotonic(), connection))
            self._drop_old()

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            while self._idle:
                close(self._idle.pop()[2])

    def _drop_old(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        while self._idle and (self._idle[0][1] < oldest or len(self._idle) > MAX_IDLE):
            close(self._idle.pop(0)[2])

    def _addresses(self, target: Target, deadline: float) -> list[str]:
        """Return the host's checked addresses within a time limit, which the resolver does not have."""
        try:
            return in_time(
                lambda: checked_addresses(
                    target.host, target.port, self._allowed, self._resolver, self._nat64
                ),
                deadline,
            )
        except TimeoutError as error:
            raise TryAgain(Refused("timed_out", f"no name server told about {target.host}")) from error
        except Refused as refused:
            cause = refused.__cause__
            if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
                raise TryAgain(refused) from refused
            raise


def close(connection: Pinned) -> None:
    """Close a connection with all its handles."""
    connection.close()
    connection.dial.close()
