"""A distributed lock in the queue server, kept alive while its job runs.

For work that two jobs must not do at once, such as making one bucket match two different decisions.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

LEASE_SECONDS = 60.0
RENEW_SECONDS = 10.0
ASK_SECONDS = 0.5

log = logging.getLogger(__name__)


@contextmanager
def exclusively(
    connection: Redis, name: str, owner: str, on_wait: Callable[[], None], on_lost: Callable[[], None]
) -> Iterator[None]:
    """Hold the lock `name` for the duration of a `with` block.

    Args:
        owner: the job's id; a job that runs again gets its lock back immediately.
        on_wait: called repeatedly while another job holds the lock; an exception ends the wait.
        on_lost: called from another thread when the lock has expired and another job may hold it, as after a
            long outage.

    Raises:
        RedisError: the queue server does not answer when the lock is requested.
    """
    lock = connection.lock(f"pika:exclusive:{name}", timeout=LEASE_SECONDS, thread_local=False)
    pause = threading.Event()
    while not _take(lock, owner):
        on_wait()
        pause.wait(ASK_SECONDS)
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lock, owner, over, on_lost), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join(2 * ASK_SECONDS)
        # A lock that cannot be released now expires with its lease.
        with suppress(LockError, RedisError):
            lock.release()


def _take(lock: Lock, owner: str) -> bool:
    """Take the lock if it is free or was left by an earlier run of the same job."""
    if lock.acquire(blocking=False, token=owner):
        return True
    lock.local.token = owner.encode()
    try:
        return bool(lock.reacquire())
    except LockError:
        return False


def _keep(lock: Lock, owner: str, over: threading.Event, on_lost: Callable[[], None]) -> None:
    while not over.wait(RENEW_SECONDS):
        try:
            if not _take(lock, owner):
                log.error("the lock %s was lost to another job", lock.name)
                on_lost()
                return
        except RedisError as error:
            log.warning("the lock %s cannot be renewed now: %s", lock.name, error)
