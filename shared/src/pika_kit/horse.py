"""The child process in which a worker runs one job: `python -m pika_kit.horse`, started by `pika_kit.worker`.

The environment carries everything it needs: the settings and the ids of worker, job and execution.
"""

import ctypes
import os
import signal
import sys
from typing import Any

from rq.executions import Execution
from rq.job import Job

from pika_kit import logs
from pika_kit.outages import patiently
from pika_kit.queue import PERFORM, SERIALIZER
from pika_kit.settings import Settings, SettingsError
from pika_kit.valkey import connect_valkey
from pika_kit.worker import SETTINGS_EXIT_STATUS, PikaWorker

_PR_SET_PDEATHSIG = 1


def die_with_worker() -> None:
    """Ask the kernel to kill this process with its worker: the job then has one writer elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["PIKA_WORKER_PID"]):
        sys.exit("horse: the worker died before its child began")


def main() -> int:
    """Fetch the job named by the environment and perform it; the exit status is RQ's."""
    die_with_worker()
    logs.configure(lambda: {"job_id": os.environ["RQ_JOB_ID"]})
    try:
        connection = connect_valkey(Settings.from_environment())
    except SettingsError as error:
        print(f"horse: {error}", file=sys.stderr)
        return SETTINGS_EXIT_STATUS
    patiently(lambda: _perform(connection), "begin a job")
    return 0


def _perform(connection: Any) -> None:
    """Never returns: RQ ends the process."""
    # Not read from the queue server, where the worker's record may have expired during an outage.
    worker = PikaWorker(
        [os.environ["PIKA_QUEUE"]],
        name=os.environ["RQ_WORKER_ID"],
        connection=connection,
        serializer=SERIALIZER,
        prepare_for_work=False,
    )
    (queue,) = worker.queues
    job = Job.fetch(os.environ["RQ_JOB_ID"], connection=connection, serializer=SERIALIZER)
    if job.func_name != PERFORM:
        # RQ would import and call any function; only known ones may run, even if the queue is compromised.
        sys.exit(f"horse: job {job.id} asks for {job.func_name}; expected {PERFORM}")
    execution = Execution.fetch(os.environ["RQ_EXECUTION_ID"], job.id, connection=connection)
    execution._job = job
    worker.execution = execution
    worker.main_work_horse(job, queue)


if __name__ == "__main__":
    sys.exit(main())
