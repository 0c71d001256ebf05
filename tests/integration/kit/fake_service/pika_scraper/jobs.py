"""A job function that records each of its beginnings, counts steps, and can fail or die on request."""

import os
import signal
import time
from typing import Any

from pika_kit.jobs import JobContext, JobError, JobInterrupted
from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing


def scrape(
    context: JobContext, *, steps: int, seconds: float = 0.05, fail: str = "", die_at: int = -1
) -> dict[str, Any]:
    """Count `steps`, going on where an earlier run of the same job wrote its checkpoint."""
    key = f"fake/{context.job_id}.json"
    try:
        state = context.store.get_json(Bucket.RUNS, key)
    except ObjectMissing:
        state = {"step": 0, "starts": 0}
    state["starts"] += 1
    context.store.put_json(Bucket.RUNS, key, state)
    if fail == "error":
        raise JobError("the fake was asked to fail")
    if fail == "bug":
        raise ZeroDivisionError("division by zero")
    try:
        for step in range(state["step"], steps):
            state["step"] = step
            context.progress(step, steps, "counting", square=step * step)
            if step == die_at and state["starts"] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(seconds)
            if step % 5 == 0:
                context.store.put_json(Bucket.RUNS, key, state)
    except JobInterrupted:
        context.store.put_json(Bucket.RUNS, key, state)
        raise
    return {"steps": steps, "starts": state["starts"]}
