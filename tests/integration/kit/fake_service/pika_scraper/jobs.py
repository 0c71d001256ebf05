"""A job function that records each start, counts steps, and can fail or die on request."""

import errno
import os
import signal
import time
from typing import Any

from pika_kit.runner import JobContext, JobError, JobInterrupted
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing


def scrape(
    context: JobContext,
    *,
    steps: int,
    seconds: float = 0.05,
    fail: str = "",
    die_at: int = -1,
    write_always: bool = False,
) -> dict[str, Any]:
    """Count `steps`, continuing from the checkpoint of an earlier run of the same job."""
    key = f"fake/{context.job_id}.json"
    try:
        state = context.store.get_json(Bucket.RUNS, key)
    except ObjectMissing:
        state = {"step": 0, "starts": 0}
    state["starts"] += 1
    context.store.put_json(Bucket.RUNS, key, state)
    _fail(fail, state["starts"])
    try:
        for step in range(state["step"], steps):
            state["step"] = step
            context.progress(step, steps, "counting", square=step * step, starts=state["starts"])
            if step == die_at and state["starts"] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(seconds)
            if step % 5 == 0 or write_always:
                context.store.put_json(Bucket.RUNS, key, state)
    except JobInterrupted:
        context.store.put_json(Bucket.RUNS, key, state)
        raise
    return {"steps": steps, "starts": state["starts"]}


def _fail(how: str, starts: int) -> None:
    if how == "error":
        raise JobError("the fake was asked to fail")
    if how == "bug":
        raise ZeroDivisionError("division by zero")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "disk" and starts == 1:
        raise OSError(errno.ENOSPC, "No space left on device")
