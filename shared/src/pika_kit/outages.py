"""What counts as an outage: the store, the queue or the disk cannot serve now but will later.

An outage is neither the user's nor the program's mistake, so it is waited out and never ends a job.
Everything else is an error.
"""

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from redis.exceptions import RedisError

from pika_kit.store_errors import StoreUnavailable
from pika_kit.valkey import QueueUnavailable, is_queue_outage

OBJECT_STORE = "the object store"
JOB_QUEUE = "the job queue"
DISK_SPACE = "free space on the disk"

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LONGEST_PAUSE_SECONDS = 3.0

log = logging.getLogger(__name__)
T = TypeVar("T")


def outage_behind(error: BaseException) -> str | None:
    """Name what is unavailable, such as "the object store", from the error or its causes; otherwise None."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, StoreUnavailable):
            return OBJECT_STORE
        if isinstance(current, QueueUnavailable) or is_queue_outage(current):
            return JOB_QUEUE
        if isinstance(current, OSError) and current.errno in _FULL:
            return DISK_SPACE
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return None


def patiently(call: Callable[[], T], what: str) -> T:
    """Repeat a call until the queue server answers; other errors propagate immediately.

    For the few records that a worker must not lose: that a job began and how it ended. A call may be repeated
    although it reached the server the first time, so it must be idempotent.
    """
    pause = 0.1
    while True:
        try:
            return call()
        except RedisError as error:
            if not is_queue_outage(error):
                raise
            log.warning("waiting for the job queue to %s: %s", what, error)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
