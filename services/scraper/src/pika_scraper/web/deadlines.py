"""Deadlines for what cannot be given one: look-ups of names, and reads of single bytes."""

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

T = TypeVar("T")


def in_time(call: Callable[[], T], deadline: float) -> T:
    """Return the call's result. Raises TimeoutError at the deadline and abandons its thread."""
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
    is_good, result = outcome[0]
    if not is_good:
        raise result
    return cast(T, result)


class Watchdog:
    """Calls functions at deadlines, all from one thread.

    Starting a `threading.Timer` for each request would take more than a twentieth of the request's time.
    """

    def __init__(self) -> None:
        self._start_anew()
        # In a forked process the thread does not exist, and it may have held the lock.
        os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        """A heap, by deadline; those that are no longer pending stay until it."""
        self._pending: set[int] = set()
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def calls(self, call: Callable[[], None], deadline: float) -> Iterator[None]:
        """Call at the deadline (`time.monotonic`) unless the block has ended by then."""
        number = next(self._numbers)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="deadlines")
                self._thread.start()
            self._pending.add(number)
            heapq.heappush(self._calls, (deadline, number, call))
            if self._calls[0][1] == number:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._pending.discard(number)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._calls or self._calls[0][0] > time.monotonic():
                    left = self._calls[0][0] - time.monotonic() if self._calls else None
                    self._changed.wait(left)
                _, number, call = heapq.heappop(self._calls)
                if number in self._pending:
                    call()
