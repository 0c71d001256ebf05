"""Work on a stream of items in a few threads, and how many of them there are cores for."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int, num_ahead: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) in the order of `items`.

    The items are drawn in the calling thread, at most `num_ahead` (default: four for each thread) before
    their results are asked for, so that an endless or large stream needs little memory. An exception of
    `function` is raised here at its item's turn; what has not begun by then is dropped.
    """
    num_ahead = num_ahead or 4 * num_threads
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) >= num_ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def as_finished(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) as they are finished, so that a slow one holds up nobody but its thread.

    The items are drawn in the calling thread, at most two for each thread before they are worked on. An
    exception of `function` is raised here once its item is finished; what has not begun by then is dropped.
    """
    working: dict[Future[Result], Item] = {}
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            for item in items:
                working[pool.submit(function, item)] = item
                while len(working) >= 2 * num_threads:
                    yield from _finished(working)
            while working:
                yield from _finished(working)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finished(working: dict[Future[Result], Item]) -> Iterator[tuple[Item, Result]]:
    """Waits for one, and yields all that are finished then."""
    done, _ = wait(working, return_when=FIRST_COMPLETED)
    for future in done:
        yield working.pop(future), future.result()


def usable_cores() -> int:
    """How many cores this process may use: those it is bound to, or as many as its container's share is."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = _CGROUP_LIMIT.read_text(encoding="ascii").split()
        cores = min(cores, max(1, round(int(quota) / int(period))))  # "max" where there is no limit
    return cores
