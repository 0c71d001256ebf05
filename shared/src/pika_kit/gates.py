"""Limit how many requests do something expensive at once; the others wait without holding resources.

    DRAWING = Gate("drawing", at_once=2)
    with DRAWING:
        ...

A front end has many threads, because a waiting one costs next to nothing, but only as many places as memory
and cores allow. Health checks are therefore answered immediately, however many clients wait.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from pika_kit.problems import Problem

T = TypeVar("T")

MAX_WAITING = 128
WAIT_SECONDS = 100.0
"""Below the time after which proxies and clients give up."""


class Gate:
    """Admit at most `at_once` requests; others wait, and beyond `max_waiting` are rejected with 429.

    Args:
        what: the activity, for the error message: "drawing".
        at_once: number of places; follows from memory or cores.
        max_waiting: how many may wait.
        seconds: how long one may wait.
    """

    def __init__(
        self, what: str, at_once: int, max_waiting: int = MAX_WAITING, seconds: float = WAIT_SECONDS
    ) -> None:
        self._what = what
        self._places = threading.BoundedSemaphore(at_once)
        self._max_waiting = max_waiting
        self._seconds = seconds
        self._num_waiting = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Take a place. Raises Problem (429) if too many wait already or the wait takes too long."""
        if self._places.acquire(blocking=False):
            return
        with self._lock:
            if self._num_waiting >= self._max_waiting:
                raise self._busy()
            self._num_waiting += 1
        try:
            is_in = self._places.acquire(timeout=self._seconds)
        finally:
            with self._lock:
                self._num_waiting -= 1
        if not is_in:
            raise self._busy()

    def __exit__(self, *_error: object) -> None:
        self._places.release()

    def _busy(self) -> Problem:
        return Problem(
            429,
            "busy",
            "Too many requests at once",
            f"Too many requests are waiting ({self._what}); try again in a few seconds.",
            headers={"Retry-After": "5"},
        )


class Cached(Generic[T]):
    """Share one answer among all callers within `seconds`; only one of them fetches the next.

    A check of a hanging server thus blocks one thread, not one for each caller.
    """

    def __init__(self, fetch: Callable[[], T], seconds: float) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._fetching = threading.Lock()
        self._fetched_at = float("-inf")
        self._answer: T | None = None

    def get(self) -> T:
        """Return an answer at most `seconds` old, or an older one while a new one is being fetched."""
        if time.monotonic() - self._fetched_at < self._seconds:
            return cast(T, self._answer)
        is_first = self._fetched_at == float("-inf")
        if self._fetching.acquire(blocking=is_first):
            try:
                if time.monotonic() - self._fetched_at >= self._seconds:
                    self._answer = self._fetch()
                    self._fetched_at = time.monotonic()
            finally:
                self._fetching.release()
        return cast(T, self._answer)
