"""The worker of one queue: `python -m pika_kit.worker QUEUE`.

RQ's spawning worker, extended to survive outages of the queue server. Its child (`pika_kit.horse`) reads the
connection from the environment, so that no password appears on a command line. SIGTERM is forwarded to the
child, which writes a checkpoint and requeues its job. `orphans` finds what dead workers left behind.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import rq
from redis.exceptions import RedisError
from rq.executions import Execution
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.worker import SpawnWorker

from pika_kit import logs
from pika_kit.healthcheck import ALIVE_FILE
from pika_kit.orphans import ALIVE_SECONDS, OrphanWatch, birth, place
from pika_kit.outages import patiently
from pika_kit.queue import RESULT_TTL_SECONDS, SERIALIZER
from pika_kit.settings import Settings, SettingsError
from pika_kit.stages import QueueName
from pika_kit.storage import Store
from pika_kit.store_errors import StoreUnavailable
from pika_kit.valkey import connect_valkey, is_queue_outage

MAX_DEATHS = 3
"""So often a job is tried whose process is killed, as by the kernel for want of memory."""
SETTINGS_EXIT_STATUS = 78
"""How the child ends where the settings cannot be read: EX_CONFIG of sysexits.h."""
MONITORING_SECONDS = 5
_SWEEP_SECONDS = 10
_LISTEN_SECONDS = 3

log = logging.getLogger("pika_kit.worker")


class PatientJob(Job):
    """A job whose end is not lost when the queue server is down at that moment."""

    def get_status(self, refresh: bool = True) -> Any:
        """See Job."""
        return patiently(lambda: super(PatientJob, self).get_status(refresh), "tell a job's status")


class PikaWorker(SpawnWorker):
    """Run one job at a time, each in a new interpreter."""

    job_class = PatientJob
    max_connection_wait_time = 5.0
    """After a long outage jobs are taken up again within seconds; RQ would let a minute pass."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lost_execution: str | None = None
        """Of a job that was given to another worker while this one was silent."""
        self.alive_file: Path | None = None
        """What `pika_kit.healthcheck` looks at."""
        self._watches = [OrphanWatch(queue, self.redis_worker_namespace_prefix) for queue in self.queues]

    # How it listens to its queue.

    @property
    def dequeue_timeout(self) -> int:
        """Wait less than the connection's time-out; otherwise an idle queue would look like an outage."""
        return _LISTEN_SECONDS

    def _set_connection(self, connection: Any) -> Any:
        """Keep the connection's own time-outs, which RQ would extend for new connections only."""
        return connection

    # What other workers need to tell whether this one is alive.

    def serialize(self) -> dict[str, Any]:
        """Register the worker, with the host of its process id and the time its process started."""
        record: dict[str, Any] = super().serialize()
        return record | {"place": place(), "process_birth": birth(os.getpid()) or ""}

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ARG002
        """Stay registered for another ALIVE_SECONDS; an outage changes nothing."""
        try:
            super().heartbeat(ALIVE_SECONDS, pipeline)
            if pipeline is None:
                self._note_life()
        except RedisError as error:
            self._note(error)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Send the heartbeats of worker and job; an outage does not affect the job."""
        try:
            super().maintain_heartbeats(job, execution)
            self._note_life()
            registry = StartedJobRegistry(job.origin, connection=self.connection, serializer=SERIALIZER)
            if self.connection.zscore(registry.key, execution.composite_key) is None:
                # This worker was silent for so long that its job was given to another one.
                log.error("job %s was taken away from this worker; its child ends", job.id)
                self._lost_execution = execution.id
                self.kill_horse()
        except RedisError as error:
            self._note(error)

    def _note_life(self) -> None:
        if self.alive_file:
            # A full disk is no reason to stop.
            with contextlib.suppress(OSError):
                self.alive_file.touch()

    def _note(self, error: RedisError) -> None:
        if not is_queue_outage(error):
            raise error
        log.warning("the job queue does not answer: %s", error)
        for watch in self._watches:
            watch.forget()

    # One job.

    def execute_job(self, job: Job, queue: rq.Queue) -> None:
        """Run a job in a child and wait for its end, whatever outages happen meanwhile."""
        execution = patiently(lambda: self.prepare_execution(job), "begin a job")
        # The child does the same. Doing it here marks the job as this worker's before the child exists.
        patiently(lambda: self.prepare_job_execution(job, True), "begin a job")
        self.fork_work_horse(job, queue)
        self.monitor_work_horse(job, queue, execution)
        patiently(lambda: self.set_state("idle"), "say that this worker is idle")

    def fork_work_horse(self, job: Job, queue: rq.Queue) -> None:
        """Start `python -m pika_kit.horse` for the job in its own process group."""
        if self.execution is None:
            raise RuntimeError("RQ prepares an execution before it starts the work horse")
        environ = os.environ | {
            "RQ_WORKER_ID": self.name,
            "RQ_JOB_ID": job.id,
            "RQ_EXECUTION_ID": self.execution.id,
            "PIKA_QUEUE": queue.name,
            "PIKA_WORKER_PID": str(os.getpid()),
        }
        self._horse_pid = os.posix_spawn(
            sys.executable, [sys.executable, "-m", "pika_kit.horse"], environ, setpgroup=0
        )
        if self._stop_requested:
            self.handle_warm_shutdown_request()

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """Count the deaths of a job's process; fail the job after MAX_DEATHS, or if settings are missing."""
        del retpid
        if self._lost_execution:
            return
        job.meta = patiently(lambda: job.get_meta(refresh=True), "read a job's record")
        job.meta["deaths"] = job.meta.get("deaths", 0) + 1
        if os.WIFEXITED(ret_val) and os.WEXITSTATUS(ret_val) == SETTINGS_EXIT_STATUS:
            job.retries_left = 0
            job.meta["error"] = f"the worker's settings cannot be used: {_settings_problem()}"
        elif job.meta["deaths"] >= MAX_DEATHS:
            job.retries_left = 0
            job.meta["error"] = (
                f"its process died {MAX_DEATHS} times, the last time {_death(ret_val, rusage)}"
            )
        patiently(job.save_meta, "record that a job's process died")

    def handle_job_failure(self, *arguments: Any, **options: Any) -> None:
        """See RQ, which loses the failure if the server does not answer; here it is waited for."""
        execution: Execution | None = options.get("execution")
        if execution is not None and execution.id == self._lost_execution:
            self._lost_execution = None  # another worker has taken over the job
            return
        patiently(self.connection.ping, "record a failure")
        super().handle_job_failure(*arguments, **options)

    def _finalize_success(self, *arguments: Any, **options: Any) -> None:
        """See RQ; runs in the child. A result that took hours is worth waiting for the server."""
        finalize = super()._finalize_success
        patiently(lambda: finalize(*arguments, **options), "record a result")

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """See RQ; runs in the child."""
        prepare = super().prepare_job_execution
        patiently(lambda: prepare(job, remove_from_intermediate_queue), "begin a job")

    # Between jobs.

    def subscribe(self) -> None:
        """Do not listen for commands from the queue server: a cancel is a mark that the job finds.

        RQ's listener would be a second thread, which could receive the alarm meant for the main one.
        """

    def check_for_suspension(self, burst: bool) -> None:
        """Workers are never suspended here."""

    def run_maintenance_tasks(self) -> None:
        """Find what dead workers left and delete expired results."""
        try:
            for watch in self._watches:
                watch.sweep()
            self.clean_registries()
        except RedisError as error:
            self._note(error)

    def clean_registries(self) -> None:
        """RQ's maintenance without its own search for abandoned jobs, which takes minutes."""
        for queue in self.queues:
            FinishedJobRegistry(queue=queue).cleanup()
            FailedJobRegistry(queue=queue).cleanup()
            queue.intermediate_queue.cleanup(self, queue)
        self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]

    def handle_warm_shutdown_request(self) -> None:
        """Forward SIGTERM to the child, which writes a checkpoint and requeues its job."""
        super().handle_warm_shutdown_request()
        if self._horse_pid:
            os.kill(self._horse_pid, signal.SIGTERM)

    def register_death(self) -> None:
        """Unregister, if the server answers."""
        try:
            super().register_death()
        except RedisError as error:
            log.warning("the job queue does not answer: %s", error)


def _settings_problem() -> str:
    try:
        Settings.from_environment()
    except SettingsError as error:
        return str(error)
    return "its child could not read them; they can be read now"


def _death(status: int, rusage: Any) -> str:
    """Describe how a process ended and how much memory it had, for the person who may have to add more."""
    megabytes = f"with {rusage.ru_maxrss / 1024:.0f} MB of memory" if rusage else "of unknown size"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.strsignal(number) or str(number)
        hint = ": the system kills what takes too much memory" if number == signal.SIGKILL else ""
        return f"by {name}, {megabytes}{hint}"
    return f"with exit status {os.waitstatus_to_exitcode(status)}, {megabytes}"


def main(arguments: list[str]) -> int:
    """Wait for the queue server, then work until told to stop."""
    logs.configure()
    if len(arguments) != 1 or arguments[0] not in set(QueueName):
        print(f"usage: python -m pika_kit.worker {'|'.join(QueueName)}", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    alive_file = settings.state_dir / ALIVE_FILE
    alive_file.unlink(missing_ok=True)  # left by an earlier worker
    connection = connect_valkey(settings)
    _wait_for_servers(connection, Store.connect(settings))
    worker = PikaWorker(
        [arguments[0]],
        name=f"{arguments[0]}-{socket.gethostname()}-{os.getpid()}-{int(time.time())}",
        connection=connection,
        serializer=SERIALIZER,
        default_result_ttl=RESULT_TTL_SECONDS,
        worker_ttl=ALIVE_SECONDS,
        job_monitoring_interval=MONITORING_SECONDS,
        maintenance_interval=_SWEEP_SECONDS,
    )
    worker.alive_file = alive_file
    worker.work(with_scheduler=False, logging_level="INFO")
    return 0


def _wait_for_servers(connection: Any, store: Store) -> None:
    while True:
        try:
            connection.ping()
            store.ensure_buckets()
        except (RedisError, StoreUnavailable) as error:
            log.warning("waiting for queue and object store: %s", error)
            time.sleep(1)
        else:
            return


if __name__ == "__main__":
    # Imported by name, because RQ rejects worker classes that live in __main__.
    from pika_kit.worker import main as run

    sys.exit(run(sys.argv[1:]))
