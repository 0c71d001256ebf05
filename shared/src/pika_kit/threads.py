"""Process a stream of items in a few threads, and count the available cores."""

import os
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int, num_ahead: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) in the order of `items`.

    Items are drawn in the calling thread, at most `num_ahead` (default: four per thread) before their results
    are consumed, so that an endless stream needs little memory. An exception of `function` is raised when its
    item's turn comes; work that has not started by then is dropped.
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
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_threads: int,
    *,
    group: Callable[[Item], Hashable | None] = lambda _item: None,
    per_group: int = 2,
    look_ahead: int = 1000,
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, function(item)) as they finish, so that a slow item only blocks its own thread.

    Items are drawn in the calling thread, no more than needed to keep all threads busy. An exception of
    `function` is raised when its item finishes; work that has not started by then is dropped.

    Args:
        items: what to process.
        function: called with each item in one of the threads.
        num_threads: how many items are processed at once.
        group: items of one group, such as pictures of one host, use at most `per_group` threads while others
            overtake them; None means no group.
        per_group: see `group`.
        look_ahead: how many items may wait for their group.
    """
    waiting = _Groups(iter(items), group, per_group, look_ahead)
    working: dict[Future[Result], Item] = {}
    finished: SimpleQueue[Future[Result]] = SimpleQueue()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            while True:
                while len(working) < num_threads and (drawn := waiting.draw()) is not None:
                    future = pool.submit(function, drawn[0])
                    working[future] = drawn[0]
                    future.add_done_callback(finished.put)
                if not working:
                    return
                future = finished.get()
                item = working.pop(future)
                waiting.finish(item)
                yield item, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Groups(Generic[Item]):
    """Items in order, except that those of a busy group wait aside."""

    def __init__(
        self, items: Iterator[Item], group: Callable[[Item], Hashable | None], per_group: int, look_ahead: int
    ) -> None:
        self._items, self._group = items, group
        self._per_group, self._look_ahead = per_group, look_ahead
        self._under_way: Counter[Hashable] = Counter()
        self._aside: dict[Hashable, deque[Item]] = {}
        self._ready: deque[Hashable] = deque()
        """Groups that have a place, once for each place, and an item aside."""
        self._num_aside = 0

    def draw(self) -> tuple[Item] | None:
        """Return the next item that may start, or None."""
        while self._ready:
            name = self._ready.popleft()
            if name in self._aside:
                return (self._begin(name, self._take(name)),)
        while self._num_aside < self._look_ahead:
            try:
                item = next(self._items)
            except StopIteration:
                return None
            name = self._group(item)
            if name is None or self._under_way[name] < self._per_group:
                return (self._begin(name, item),)
            self._aside.setdefault(name, deque()).append(item)
            self._num_aside += 1
        return None

    def finish(self, item: Item) -> None:
        """Mark a drawn item as done."""
        name = self._group(item)
        if name is None:
            return
        self._under_way[name] -= 1
        if name in self._aside:
            self._ready.append(name)
        elif not self._under_way[name]:
            del self._under_way[name]

    def _begin(self, name: Hashable | None, item: Item) -> Item:
        if name is not None:
            self._under_way[name] += 1
        return item

    def _take(self, name: Hashable) -> Item:
        queue = self._aside[name]
        item = queue.popleft()
        self._num_aside -= 1
        if not queue:
            del self._aside[name]
        return item


def usable_cores() -> int:
    """Return how many cores this process may use: its CPU affinity or its container's CPU limit."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = _CGROUP_LIMIT.read_text(encoding="ascii").split()
        cores = min(cores, max(1, round(int(quota) / int(period))))  # "max" means no limit
    return cores
