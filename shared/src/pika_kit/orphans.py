"""Jobs whose worker died: found within a minute wherever it ran, and put back on their queue once.

A worker's record in the queue's server expires ALIVE_SECONDS after its last heartbeat. On the same host, and
in the same container, a process id tells more: a worker that is gone there is known to be dead at once. A
worker elsewhere that is silent is looked at again CONFIRM_SECONDS later; meanwhile a living one has written
its record anew, also after the server was away and all records have expired.
"""

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import rq
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import StartedJobRegistry

from pika_kit.queue import SERIALIZER

ALIVE_SECONDS = 25
CONFIRM_SECONDS = 12.0
_LOCK_SECONDS = 20

log = logging.getLogger("pika_kit.worker")


def place() -> str:
    """Where process ids mean the same: this boot of this machine, and this container."""
    boot = namespace = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{boot} {namespace}"


def birth(pid: int) -> str | None:
    """When the process with this id was started; None where there is none. The kernel uses an id again."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


class OrphanWatch:
    """Watches the running jobs of one queue, for one worker."""

    def __init__(self, queue: rq.Queue, worker_prefix: str) -> None:
        self._queue = queue
        self._prefix = worker_prefix
        self._silent_since: dict[str, float] = {}
        """Registry entry → when its worker was first seen to be silent, since the server last was away."""

    def forget(self) -> None:
        """The queue's server was away: what was silent then proves nothing."""
        self._silent_since.clear()

    def sweep(self) -> list[str]:
        """Put the jobs of dead workers back on the queue, or fail them after too many; returns their ids."""
        registry = StartedJobRegistry(queue=self._queue)
        entries: list[Any] = self._queue.connection.zrange(registry.key, 0, -1)
        orphans = [entry for entry in entries if self._is_orphan(entry.decode())]
        known = {entry.decode() for entry in entries}
        self._silent_since = {entry: when for entry, when in self._silent_since.items() if entry in known}
        if not orphans:
            return []
        # Of several workers that sweep one acts: RQ's cleanup would queue a job once for each of them.
        lock = f"pika:sweep:{self._queue.name}"
        if not self._queue.connection.set(lock, "1", nx=True, ex=_LOCK_SECONDS):
            return []
        try:
            # xx: another sweep may have taken an entry away since.
            self._queue.connection.zadd(registry.key, dict.fromkeys(orphans, 1), xx=True)
            registry.cleanup(timestamp=2)
        finally:
            self._queue.connection.delete(lock)
        ids = [registry.parse_job_id(entry.decode()) for entry in orphans]
        log.warning("their workers died, so they are run again: %s", ", ".join(ids))
        return ids

    def _is_orphan(self, entry: str) -> bool:
        try:
            job = Job.fetch(
                StartedJobRegistry.parse_job_id(entry),
                connection=self._queue.connection,
                serializer=SERIALIZER,
            )
        except NoSuchJobError:
            return False
        if not job.worker_name:
            return False
        verdict = self._lives(job.worker_name)
        if verdict is not None:
            self._silent_since.pop(entry, None)
            return not verdict
        since = self._silent_since.setdefault(entry, time.monotonic())
        return time.monotonic() - since >= CONFIRM_SECONDS

    def _lives(self, worker_name: str) -> bool | None:
        """Whether a worker lives; None where it has been silent, and only time can tell."""
        found: list[Any] = self._queue.connection.hmget(
            self._prefix + worker_name, "last_heartbeat", "death", "place", "pid", "process_birth"
        )
        heartbeat, death, where, pid, born = (value.decode() if value else None for value in found)
        if death is not None:
            return False
        if heartbeat is None:
            return None
        if where == place() and pid is not None:
            return birth(int(pid)) == born
        return True
