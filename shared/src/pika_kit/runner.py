"""Runs one job's function inside the worker's child process and interprets how it ends.

A job function is `def train(context: JobContext, **arguments) -> dict`. Arguments, progress and result are
JSON. An interrupted or killed job runs again with the same id and arguments, so job functions resume their
work by `context.job_id`.

How a function ends, and what follows:

    returns                     finished, with its result
    JobError                    failed; the message is for the user, and a retry would not help
    JobCancelled                cancelled
    JobInterrupted              requeued at once: the worker is shutting down
    an outage (`outages`)       shown as "waiting for the object store"; requeued when it answers
    anything else               failed: a bug, with its trace in the log
"""

import importlib
import logging
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import rq
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job

from pika_kit.exclusive import exclusively
from pika_kit.outages import DISK_SPACE, OBJECT_STORE, outage_behind, patiently
from pika_kit.queue import CANCEL_KEY, SERIALIZER, Progress
from pika_kit.settings import Settings
from pika_kit.stages import JOBS
from pika_kit.storage import Store
from pika_kit.store_errors import StoreUnavailable
from pika_kit.valkey import connect_valkey

_PROGRESS_INTERVAL_SECONDS = 0.4
_SILENT_SECONDS = 2.0
"""So long a job does not try to report again after the queue did not answer."""
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_PROBE_SECONDS = 15.0
_CALM_SECONDS = 600.0
"""A job that ran so long since its last outage has recovered: the pauses begin anew."""
_ENOUGH_DISK_BYTES = 64 * 2**20
_FOREVER = 1_000_000

log = logging.getLogger(__name__)


class JobCancelled(Exception):
    """The user cancelled the running job; a job function may clean up and must re-raise."""


class JobInterrupted(Exception):
    """The worker is shutting down; a job function may write a checkpoint and must re-raise."""


class JobError(Exception):
    """A job's error that its user can act on: the message is shown as it is, without a trace."""


class JobContext:
    """What a running job function receives: settings, store, and how to report and be stopped."""

    def __init__(
        self,
        job_id: str,
        settings: Settings,
        store: Store,
        publish: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
        *,
        connection: Redis | None = None,
    ) -> None:
        self.job_id = job_id
        self.settings = settings
        self.store = store
        self._connection = connection
        self.stop_requested = False
        self._publish = publish
        self._is_cancelled = is_cancelled
        self._published_at = 0.0

    def progress(self, done: int, total: int | None, message: str, **details: Any) -> None:
        """Report progress; cheap enough to call for every item (it is sent 2.5 times a second).

        A report that is lost is not an error: the next one may arrive.

        Raises:
            JobCancelled: the user cancelled this job.
            JobInterrupted: the worker is shutting down; the job will run again later.
        """
        if self.stop_requested:
            raise JobInterrupted
        now = time.monotonic()
        if now - self._published_at < _PROGRESS_INTERVAL_SECONDS and done != total:
            return
        self._published_at = now
        self._publish(Progress(done, total, message, details))
        if self._is_cancelled():
            raise JobCancelled

    @contextmanager
    def exclusive(self, what: str) -> Iterator[None]:
        """Be the only job that does `what`, such as "filter"; wait while another one does, and show that.

        Raises:
            JobCancelled, JobInterrupted: during the wait.
        """
        if self._connection is None:  # unit tests run a single job
            yield
            return

        def wait() -> None:
            self.progress(0, None, f"waiting for another job to end its {what}")

        with exclusively(self._connection, what, self.job_id, wait, self._request_stop):
            yield

    def _request_stop(self) -> None:
        self.stop_requested = True


class Line:
    """The child's own connection to the queue server, for what may be lost: progress and the cancel mark."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.last = Progress()
        # One attempt and a short time-out: a job must not stall because its progress cannot be reported.
        connection = connect_valkey(settings, seconds=1.0, num_retries=0)
        self._job = Job(job.id, connection=connection, serializer=SERIALIZER)
        self.meta = self._job.meta = job.meta
        self._silent_until = 0.0

    def publish(self, progress: Progress) -> None:
        """Publish the job's progress."""
        self.last = progress
        self.meta["progress"] = asdict(progress)
        self._try(self._job.save_meta)

    def is_cancelled(self) -> bool:
        """Return whether the user has cancelled; False while it cannot be known."""
        key = CANCEL_KEY.format(self._job.id)
        return bool(self._try(lambda: self._job.connection.exists(key)))

    def _try(self, call: Callable[[], Any]) -> Any:
        if time.monotonic() < self._silent_until:
            return None
        try:
            return call()
        except RedisError as error:
            log.warning("job %s: the job queue does not answer: %s", self._job.id, error)
            self._silent_until = time.monotonic() + _SILENT_SECONDS
            return None


def perform(name: str, arguments: dict[str, Any]) -> Any:
    """Run one job inside the worker's child process; RQ calls this by its dotted path.

    Returns the job function's result, None if the user cancelled it, or `rq.Retry`, which puts the job back
    at the head of its queue.
    """
    job = rq.get_current_job()
    if job is None:
        raise RuntimeError("perform() runs inside an RQ worker only")
    settings = Settings.from_environment()
    line = Line(job, settings)
    store = Store.connect(settings)
    context = JobContext(job.id, settings, store, line.publish, line.is_cancelled, connection=job.connection)
    _stop_with_worker(context)
    module, _, function = JOBS[name].function.rpartition(".")
    began = time.time()
    try:
        context.progress(0, None, "starting")
        return getattr(importlib.import_module(module), function)(context, **arguments)
    except JobCancelled:
        return _cancelled(job)
    except JobInterrupted:
        return _back_on_the_queue(job, "the worker is told to stop")
    except Exception as error:
        away = outage_behind(error)
        if away is None or isinstance(error, JobError):
            if isinstance(error, JobError):
                _fail(job, str(error), "user")
            else:
                _fail(job, f"{type(error).__name__}: {error}", "bug")
            raise
        log.warning("job %s: %s is away: %s", job.id, away, error)
        return _wait_out(job, context, line, away, began)


def _wait_out(job: Job, context: JobContext, line: Line, away: str, began: float) -> Any:
    """Wait for the end of an outage, then requeue the job, to begin again in a new process.

    The pauses grow with each consecutive outage, so that a store that answers but cannot serve is not asked
    constantly. After `Settings.outage_seconds` of one outage the job fails.
    """
    now = time.time()
    series = job.meta.get("outage") or {}
    if not series or now - began > _CALM_SECONDS:
        series = {"since": now, "times": 0}
    series["times"] += 1
    job.meta["outage"] = series
    pause = min(_LONGEST_PAUSE_SECONDS, 2.0 ** (series["times"] - 1))
    while True:
        until = time.monotonic() + pause
        while time.monotonic() < until:
            line.publish(replace(line.last, message=f"waiting for {away}"))
            if line.is_cancelled():
                return _cancelled(job)
            if context.stop_requested:
                return _back_on_the_queue(job, "the worker is told to stop")
            time.sleep(0.5)
        if _answers(away, context):
            return _back_on_the_queue(job, f"{away} answers again")
        waited = time.time() - series["since"]
        if waited > context.settings.outage_seconds:
            message = f"waited {_duration(waited)} for {away}, which did not come back"
            _fail(job, message, "outage")
            raise JobError(message)
        pause = min(_LONGEST_PROBE_SECONDS, 2 * pause)


def _answers(away: str, context: JobContext) -> bool:
    if away == OBJECT_STORE:
        try:
            context.store.probe()
        except StoreUnavailable:
            return False
    if away == DISK_SPACE:
        return shutil.disk_usage(context.settings.state_dir).free > _ENOUGH_DISK_BYTES
    return True


def _back_on_the_queue(job: Job, why: str) -> rq.Retry:
    log.info("job %s goes back on its queue: %s", job.id, why)
    patiently(job.save_meta, "hand the job back")
    return rq.Retry(max=_FOREVER, enqueue_at_front=True)


def _cancelled(job: Job) -> None:
    job.meta["cancelled"] = True
    patiently(job.save_meta, "record that the job is cancelled")


def _fail(job: Job, message: str, kind: str) -> None:
    """Record the message; the job is not retried. `kind`: see `JobView.error_kind`."""
    job.retries_left = 0
    job.meta |= {"error": message, "error_kind": kind}
    patiently(job.save_meta, "record why the job failed")


def _stop_with_worker(context: JobContext) -> None:
    def request_stop(_signum: int, _frame: object) -> None:
        context.stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
