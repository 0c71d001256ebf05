"""Jobs as their users see them: enqueue by name, look up, watch, cancel. `runner` executes them."""

import hashlib
import itertools
import json
import logging
import re
import time
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import rq
from redis import Redis
from redis.exceptions import WatchError
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus

from pika_kit.settings import Settings
from pika_kit.stages import JOBS
from pika_kit.valkey import connect_valkey, outages_as_unavailable

SERIALIZER = "json"
PROBE_SECONDS = 1.0
RESULT_TTL_SECONDS = 30 * 86_400
"""How long a finished or failed job can be looked up; after that it is told to be expired."""
INDEX_TTL_SECONDS = 180 * 86_400
ONCE_SECONDS = 86_400
"""How long a request is remembered by its idempotency key."""
MAX_RECOVERIES = 50
"""How often a job whose worker died is run again before it counts as failed."""

PERFORM = "pika_kit.runner.perform"
"""The one function that RQ is asked to call; what it does stands in the job's arguments."""
_INDEX_KEY = "pika:jobs"
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LISTED_AT_ONCE = 200
CANCEL_KEY = "pika:cancel:{}"

log = logging.getLogger(__name__)


class JobUnknown(KeyError):
    """No job with that id was ever enqueued here."""


class JobExpired(KeyError):
    """The job existed, and its record has expired."""


class OnceConflict(ValueError):
    """An idempotency key was reused for a different request."""


@dataclass(frozen=True)
class Progress:
    """A job's progress: `done` of `total` (None if unknown), a sentence, and figures for display."""

    done: int = 0
    total: int | None = None
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class OnProgress(Protocol):
    """The callback with which long work reports progress; an exception that it raises ends the work.

    `runner.JobContext.progress` is one.
    """

    def __call__(self, done: int, total: int | None, message: str, **details: Any) -> None: ...


@dataclass(frozen=True)
class JobView:
    """A job as its user sees it. `status`: queued, running, finished, failed or cancelled."""

    id: str
    name: str
    status: str
    arguments: dict[str, Any]
    progress: Progress
    result: dict[str, Any] | None
    error: str | None
    created_at: str | None
    started_at: str | None
    ended_at: str | None
    error_kind: str | None = None
    """Of a failed job: "user" (the message says what to do), "outage", "killed", or "bug"."""

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.status in {"finished", "failed", "cancelled"}

    def to_json(self) -> dict[str, Any]:
        """The view as JSON-able data."""
        return asdict(self)


@dataclass(frozen=True)
class Once:
    """A repeatable request: the client's name for it (`key`), the client, and what it asks for."""

    key: str
    client: str
    fingerprint: str

    @classmethod
    def of(cls, key: str, client: str, request: Any) -> "Once":
        """Fingerprint a JSON-able `request`; equal requests have equal fingerprints."""
        text = json.dumps(request, sort_keys=True)
        return cls(key, client, hashlib.sha256(text.encode()).hexdigest())

    @property
    def record(self) -> str:
        """The key under which the queue server remembers the request."""
        return f"pika:once:{hashlib.sha256(f'{self.client} {self.key}'.encode()).hexdigest()}"


class JobQueue:
    """The queues of all services. Thread-safe."""

    def __init__(self, connection: Redis, probe: Redis) -> None:
        self.connection = connection
        self._probe = probe

    @classmethod
    def connect(cls, settings: Settings) -> "JobQueue":
        """Create queues on the configured Valkey or Redis server; nothing is sent until the first call."""
        return cls(connect_valkey(settings), connect_valkey(settings, seconds=PROBE_SECONDS, num_retries=0))

    def probe(self) -> None:
        """Raise QueueUnavailable unless the server answers within PROBE_SECONDS."""
        with outages_as_unavailable():
            self._probe.ping()

    def enqueue(self, name: str, arguments: dict[str, Any]) -> JobView:
        """Enqueue a job of kind `name`, a key of `stages.JOBS`."""
        job_id = uuid.uuid4().hex
        with outages_as_unavailable(), self.connection.pipeline() as pipe:
            pipe.multi()
            self._put(pipe, job_id, name, arguments)
            pipe.execute()
        return self.get(job_id)

    def enqueue_once(self, name: str, arguments: dict[str, Any], once: Once) -> tuple[JobView, bool]:
        """Like `enqueue`, but a repeated request returns the job that the first one started.

        Returns:
            The job, and whether it existed already.

        Raises:
            OnceConflict: the key was used for a different request.
        """
        job_id = uuid.uuid4().hex
        with outages_as_unavailable(), self.connection.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(once.record)
                    earlier = self.find(once)
                    if earlier is not None:
                        return earlier, True
                    # Key and job in one transaction: of two simultaneous requests only one starts it.
                    pipe.multi()
                    pipe.set(once.record, json.dumps([job_id, once.fingerprint]), ex=ONCE_SECONDS)
                    self._put(pipe, job_id, name, arguments)
                    pipe.execute()
                    break
                except WatchError:
                    continue
        return self.get(job_id), False

    def find(self, once: Once) -> JobView | None:
        """Return the job that a request with this key started, or None. Raises OnceConflict."""
        with outages_as_unavailable():
            stored: Any = self.connection.get(once.record)
        if stored is None:
            return None
        job_id, fingerprint = json.loads(stored)
        if fingerprint != once.fingerprint:
            raise OnceConflict(once.key)
        return self.get(job_id)

    def _put(self, pipe: Any, job_id: str, name: str, arguments: dict[str, Any]) -> None:
        """Add the commands that enqueue a job to a transaction."""
        kind = JOBS[name]
        pipe.zadd(_INDEX_KEY, {job_id: time.time()})
        queue = rq.Queue(kind.queue.value, connection=self.connection, serializer=SERIALIZER)
        queue.enqueue(
            PERFORM,
            kwargs={"name": name, "arguments": arguments},
            job_id=job_id,
            job_timeout=kind.timeout_seconds,
            result_ttl=RESULT_TTL_SECONDS,
            failure_ttl=RESULT_TTL_SECONDS,
            retry=rq.Retry(max=MAX_RECOVERIES),
            description=f"{name} {job_id}",
            pipeline=pipe,
        )

    def get(self, job_id: str) -> JobView:
        """Return one job.

        Raises:
            JobUnknown: there never was such a job.
            JobExpired: its record has expired.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise JobUnknown(job_id[:80])
        with outages_as_unavailable():
            try:
                return _view(self._fetch(job_id))
            except NoSuchJobError:
                if self.connection.zscore(_INDEX_KEY, job_id) is not None:
                    raise JobExpired(job_id) from None
                raise JobUnknown(job_id) from None

    def get_many(self, job_ids: Collection[str]) -> dict[str, JobView]:
        """Return the views of those jobs that exist, in one call."""
        with outages_as_unavailable():
            jobs = Job.fetch_many(sorted(job_ids), connection=self.connection, serializer=SERIALIZER)
        return {job.id: _view(job) for job in jobs if job is not None}

    def list(self, limit: int = 50, *, status: str | None = None, kind: str | None = None) -> list[JobView]:
        """List at most `limit` jobs, newest first, without expired ones.

        Args:
            limit: the largest number of jobs.
            status, kind: only jobs with this status and of this kind (`JobView.name`).
        """
        chosen: list[JobView] = []
        with outages_as_unavailable():
            self.connection.zremrangebyscore(_INDEX_KEY, 0, time.time() - INDEX_TTL_SECONDS)
            for start in itertools.count(0, _LISTED_AT_ONCE):
                listed: Any = self.connection.zrevrange(_INDEX_KEY, start, start + _LISTED_AT_ONCE - 1)
                ids = [job_id.decode() for job_id in listed]
                jobs = Job.fetch_many(ids, connection=self.connection, serializer=SERIALIZER)
                views = [_view(job) for job in jobs if job is not None]
                chosen += [
                    view for view in views if status in (None, view.status) and kind in (None, view.name)
                ]
                if len(chosen) >= limit or len(ids) < _LISTED_AT_ONCE:
                    break
        return chosen[:limit]

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job: at once if it is queued, otherwise when it next reports progress."""
        view = self.get(job_id)
        if view.is_over:
            return view
        with outages_as_unavailable():
            # Set the mark first: a worker that takes the job between these lines then finds it.
            self.connection.set(CANCEL_KEY.format(job_id), "1", ex=RESULT_TTL_SECONDS)
            if view.status == "queued":
                self._fetch(job_id).cancel()
        return self.get(job_id)

    def _fetch(self, job_id: str) -> Job:
        return Job.fetch(job_id, connection=self.connection, serializer=SERIALIZER)


_STATUS = {
    JobStatus.QUEUED: "queued",
    JobStatus.DEFERRED: "queued",
    JobStatus.SCHEDULED: "queued",
    JobStatus.STARTED: "running",
    JobStatus.FINISHED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "cancelled",
    JobStatus.CANCELED: "cancelled",
}


def _view(job: Job) -> JobView:
    status = _STATUS.get(job.get_status(refresh=False), "queued")
    if job.meta.get("cancelled"):
        status = "cancelled"
    result = job.return_value() if status == "finished" else None
    error = error_kind = None
    if status == "failed":
        error = job.meta.get("error") or "the worker died while it ran this job, too often to try again"
        error_kind = job.meta.get("error_kind", "killed")
    return JobView(
        id=job.id,
        name=job.kwargs["name"],
        status=status,
        arguments=job.kwargs["arguments"],
        progress=Progress(**job.meta.get("progress", {})),
        result=result,
        error=error,
        created_at=_time(job.created_at),
        started_at=_time(job.started_at),
        ended_at=_time(job.ended_at) if status in {"finished", "failed", "cancelled"} else None,
        error_kind=error_kind,
    )


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None
