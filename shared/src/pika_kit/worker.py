"""The worker of one queue: `python -m pika_kit.worker QUEUE`.

RQ's spawning worker with three changes. Its child (`pika_kit.horse`) reads the connection from the
environment, so that no password stands on a command line. SIGTERM is passed on to the child, which writes a
checkpoint and goes back on the queue. And a worker that starts takes up at once what a killed worker of the
same host left, instead of waiting for that one's heartbeat to run out.
"""

import logging
import os
import signal
import socket
import sys
import time
from typing import Any

import redis.exceptions
import rq
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.worker import SpawnWorker

from pika_kit.jobs import RESULT_TTL_SECONDS, SERIALIZER, connect_valkey
from pika_kit.settings import Settings, SettingsError
from pika_kit.stages import QueueName
from pika_kit.storage import Store, StoreUnavailable

log = logging.getLogger("pika_kit.worker")


class PikaWorker(SpawnWorker):
    """Runs one job at a time in a fresh interpreter, which is thrown away after it."""

    def fork_work_horse(self, job: Job, queue: rq.Queue) -> None:
        """Start `python -m pika_kit.horse` for the job, in a process group of its own."""
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

    def handle_warm_shutdown_request(self) -> None:
        """Pass SIGTERM on to the child; it checkpoints and its job goes back on the queue."""
        super().handle_warm_shutdown_request()
        if self._horse_pid:
            os.kill(self._horse_pid, signal.SIGTERM)

    def clean_registries(self) -> None:
        """RQ's maintenance, after marking as expired what dead workers of this host left running."""
        for queue in self.queues:
            expire_orphans(queue)
        super().clean_registries()


def expire_orphans(queue: rq.Queue) -> list[str]:
    """Mark as abandoned the jobs whose worker ran on this host and is gone; RQ then runs them again.

    Returns the job ids.
    """
    registry = StartedJobRegistry(queue=queue)
    orphans = []
    entries: list[Any] = queue.connection.zrange(registry.key, 0, -1)
    for entry in entries:
        job_id = registry.parse_job_id(entry.decode())
        try:
            job = Job.fetch(job_id, connection=queue.connection, serializer=SERIALIZER)
        except rq.exceptions.NoSuchJobError:
            continue
        if job.worker_name and not _worker_lives(queue, job.worker_name):
            queue.connection.zadd(registry.key, {entry: 1})
            orphans.append(job_id)
    return orphans


def _worker_lives(queue: rq.Queue, name: str) -> bool:
    """Whether the named worker may still be running; a worker of another host is trusted to its heartbeat."""
    found: list[Any] = queue.connection.hmget(
        PikaWorker.redis_worker_namespace_prefix + name, "hostname", "pid"
    )
    hostname, pid = (value.decode() if value else None for value in found)
    if hostname != socket.gethostname() or pid is None:
        return hostname is not None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A pid is used again: the name carries the one that it was born with, and ours is never it.
    return int(pid) != os.getpid()


def main(arguments: list[str]) -> int:
    """Wait for the queue's server, then work until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if len(arguments) != 1 or arguments[0] not in set(QueueName):
        print(f"usage: python -m pika_kit.worker {'|'.join(QueueName)}", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2
    connection = connect_valkey(settings)
    store = Store.connect(settings)
    while True:
        try:
            connection.ping()
            store.ensure_buckets()
            break
        except (redis.exceptions.RedisError, StoreUnavailable) as error:
            log.warning("waiting for queue and object store: %s", error)
            time.sleep(1)
    worker = PikaWorker(
        [arguments[0]],
        name=f"{arguments[0]}-{socket.gethostname()}-{os.getpid()}-{int(time.time())}",
        connection=connection,
        serializer=SERIALIZER,
        default_result_ttl=RESULT_TTL_SECONDS,
        job_monitoring_interval=5,
        maintenance_interval=30,
    )
    worker.work(with_scheduler=False, logging_level="INFO")
    return 0


if __name__ == "__main__":
    # Imported by its own name, because RQ refuses worker classes that live in __main__.
    from pika_kit.worker import main as run

    sys.exit(run(sys.argv[1:]))
