"""The child in which a worker runs one job: `python -m pika_kit.horse`, started by `pika_kit.worker` only.

Everything it needs comes in the environment: the settings, and which worker, job and execution it is for.
"""

import ctypes
import logging
import os
import signal
import sys

from rq.executions import Execution
from rq.job import Job

from pika_kit.jobs import SERIALIZER, connect_valkey
from pika_kit.settings import Settings

_PR_SET_PDEATHSIG = 1


def die_with_worker() -> None:
    """Be killed when the worker dies, so that the job, which then runs again elsewhere, has one writer."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["PIKA_WORKER_PID"]):
        sys.exit("horse: the worker died before its child began")


def main() -> None:
    """Fetch the job that the environment names and perform it; the exit status is RQ's."""
    from pika_kit.worker import PikaWorker

    die_with_worker()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    connection = connect_valkey(Settings.from_environment())
    name = os.environ["RQ_WORKER_ID"]
    worker = PikaWorker.find_by_key(
        PikaWorker.redis_worker_namespace_prefix + name, connection=connection, serializer=SERIALIZER
    )
    if worker is None:
        sys.exit(f"horse: worker {name} is not registered")
    job = Job.fetch(os.environ["RQ_JOB_ID"], connection=connection, serializer=SERIALIZER)
    queue = worker.queue_class(os.environ["PIKA_QUEUE"], connection=connection, serializer=SERIALIZER)
    execution = Execution.fetch(os.environ["RQ_EXECUTION_ID"], job.id, connection=connection)
    execution._job = job
    worker.execution = execution
    worker.main_work_horse(job, queue)


if __name__ == "__main__":
    main()
