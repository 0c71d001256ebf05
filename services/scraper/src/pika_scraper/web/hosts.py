"""Polite pacing: few concurrent requests to a host, a pause between two, none while it asks for peace."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pika_scraper.config import Politeness


class HostBusy(Exception):
    """The host's turn does not come before the deadline."""


@dataclass
class _Host:
    places: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = float("-inf")
    """When the next request may begin, by the clock."""


class Hosts:
    """The hosts of one job. Thread-safe.

    Args:
        clock, sleep: seconds; replaced in tests.
    """

    def __init__(
        self,
        politeness: Politeness | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._politeness = politeness or Politeness()
        self._clock, self._sleep = clock, sleep
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, name: str, deadline: float) -> Iterator[None]:
        """Wait for the host's turn and hold it for one request.

        Raises:
            HostBusy: the turn would come after `deadline`, by the clock.
        """
        host = self._host(name)
        if not host.places.acquire(timeout=max(0.0, deadline - self._clock())):
            raise HostBusy
        try:
            with host.lock:
                begin = max(self._clock(), host.free_at)
                if begin > deadline:
                    raise HostBusy
                host.free_at = begin + self._politeness.seconds_between
            self._sleep(max(0.0, begin - self._clock()))
            yield
        finally:
            host.places.release()

    def leave_alone(self, name: str, seconds: float) -> None:
        """Pause all requests to a host that has asked for it."""
        host = self._host(name)
        with host.lock:
            host.free_at = max(host.free_at, self._clock() + seconds)

    def _host(self, name: str) -> _Host:
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = _Host(threading.Semaphore(self._politeness.at_once))
            return self._hosts[name]
