"""Server-sent events about jobs: one poller per process asks the queue server for all watchers.

Each watcher occupies a thread, so their number and their time are bounded. A browser's EventSource reconnects
by itself; our own client falls back to polling when there is no free place.
"""

import json
import logging
import threading
import time
from collections.abc import Iterator

from pika_kit.queue import JobQueue, JobView
from pika_kit.valkey import QueueUnavailable

MAX_WATCHERS = 32
LIFETIME_SECONDS = 600.0
RETRY_MILLISECONDS = 2000
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0

log = logging.getLogger(__name__)


class TooManyWatchers(RuntimeError):
    """Too many clients are watching; `args[0]` is the limit."""


class _Watcher:
    """What one watcher has not seen yet. Only the latest view is kept, because an event describes a state."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.changed = threading.Event()
        self.view: JobView | None = None
        self.is_gone = False

    def offer(self, view: JobView | None) -> None:
        """Receive a view from the poller; None means that the job no longer exists."""
        if view is None:
            self.is_gone = True
        if view != self.view or self.is_gone:
            self.view = view
            self.changed.set()


class EventHub:
    """The watchers of one process, and the poller thread that runs while there are any."""

    def __init__(self, queue: JobQueue, max_watchers: int = MAX_WATCHERS) -> None:
        self._queue = queue
        self._max_watchers = max_watchers
        self._lock = threading.Lock()
        self._watchers: set[_Watcher] = set()
        self._poller: threading.Thread | None = None

    def events(self, job_id: str, lifetime_seconds: float = LIFETIME_SECONDS) -> Iterator[str]:
        """Stream text: a `progress` event with the job's view at each change, then `end` with the last view.

        Raises:
            TooManyWatchers: immediately, before the first line.
        """
        watcher = _Watcher(job_id)
        with self._lock:
            if len(self._watchers) >= self._max_watchers:
                raise TooManyWatchers(self._max_watchers)
            self._watchers.add(watcher)
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll, name="job-events", daemon=True)
                self._poller.start()
        return _Stream(self, watcher, lifetime_seconds)

    def leave(self, watcher: _Watcher) -> None:
        """Free a watcher's place."""
        with self._lock:
            self._watchers.discard(watcher)

    def _poll(self) -> None:
        while True:
            with self._lock:
                watchers = list(self._watchers)
                if not watchers:
                    self._poller = None
                    return
            try:
                views = self._queue.get_many({watcher.job_id for watcher in watchers})
            except QueueUnavailable:
                views = None  # keep watchers waiting; they send a comment meanwhile
            except Exception:
                log.exception("the poller of job events goes on")
                views = None
            if views is not None:
                for watcher in watchers:
                    watcher.offer(views.get(watcher.job_id))
            time.sleep(POLL_SECONDS)


class _Stream(Iterator[str]):
    """One watcher's lines: a class, not a generator, so that closing it unread frees its place."""

    def __init__(self, hub: EventHub, watcher: _Watcher, lifetime_seconds: float) -> None:
        self._hub, self._watcher = hub, watcher
        self._ends_at = time.monotonic() + lifetime_seconds
        self._number = 0
        self._is_over = False

    def __next__(self) -> str:
        if self._is_over or time.monotonic() >= self._ends_at:
            self.close()
            raise StopIteration
        wait = min(HEARTBEAT_SECONDS, self._ends_at - time.monotonic())
        if not self._watcher.changed.wait(wait):
            # A comment line keeps proxies from closing an idle stream.
            return ": still here\n\n"
        self._watcher.changed.clear()
        view = self._watcher.view
        if view is None:
            self.close()
            raise StopIteration
        self._is_over = view.is_over
        self._number += 1
        head = f"retry: {RETRY_MILLISECONDS}\n" if self._number == 1 else ""
        name = "end" if view.is_over else "progress"
        return f"{head}id: {self._number}\nevent: {name}\ndata: {json.dumps(view.to_json())}\n\n"

    def close(self) -> None:
        """Free the place; the web server calls this when the client disconnects."""
        self._is_over = True
        self._hub.leave(self._watcher)
