"""Jobs whose worker died are found within a minute, wherever it ran, and requeued exactly once.

A worker's record in the queue server expires ALIVE_SECONDS after its last heartbeat. On the same host and in
the same container, its process id tells more: a worker whose process is gone is known to be dead at once. A
silent worker elsewhere is checked again CONFIRM_SECONDS later; a living one has renewed its record by then,
even after an outage in which all records expired.
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
    """Identify where process ids are comparable: this boot of this machine, and this container."""
    boot = namespace = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{boot} {namespace}"


def birth(pid: int) -> str | None:
    """Return when the process with this id started, or None; needed because the kernel reuses ids."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


class OrphanWatch:
    """Watch the running jobs of one queue on behalf of one worker."""

    def __init__(self, queue: rq.Queue, worker_prefix: str) -> None:
        self._queue = queue
        self._prefix = worker_prefix
        self._silent_since: dict[str, float] = {}
        """Registry entry → when its worker was first seen to be silent, since the server last was away."""

    def forget(self) -> None:
        """Forget all suspicions: silence during an outage of the queue server proves nothing."""
        self._silent_since.clear()

    def sweep(self) -> list[str]:
        """Requeue the jobs of dead workers, or fail them after too many deaths; return their ids."""
        registry = StartedJobRegistry(queue=self._queue)
        entries: list[Any] = self._queue.connection.zrange(registry.key, 0, -1)
        orphans = [entry for entry in entries if self._is_orphan(entry.decode())]
        known = {entry.decode() for entry in entries}
        self._silent_since = {entry: when for entry, when in self._silent_since.items() if entry in known}
        if not orphans:
            return []
        # Only one of several sweeping workers acts: RQ's cleanup would requeue a job once for each of them.
        lock = f"pika:sweep:{self._queue.name}"
        if not self._queue.connection.set(lock, "1", nx=True, ex=_LOCK_SECONDS):
            return []
        try:
            # xx: another sweep may have removed an entry in the meantime.
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
        """Return whether a worker is alive, or None if it is silent and only time can tell."""
        record: list[Any] = self._queue.connection.hmget(
            self._prefix + worker_name, "last_heartbeat", "death", "place", "pid", "process_birth"
        )
        heartbeat, death, where, pid, born = (value.decode() if value else None for value in record)
        if death is not None:
            return False
        if heartbeat is None:
            return None
        if where == place() and pid is not None:
            return birth(int(pid)) == born
        return True
