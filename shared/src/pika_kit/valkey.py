"""The queue server, Valkey or Redis: a client with time-outs, and which of its errors are outages."""

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)
from redis.retry import Retry

from pika_kit.settings import Settings


class QueueUnavailable(ConnectionError):
    """The queue server does not answer."""


def connect_valkey(settings: Settings, *, seconds: float = 5.0, num_retries: int = 2) -> Redis:
    """Create a client with time-outs, so that a dead server is an error and not a hang.

    Args:
        settings: the server's address and credentials.
        seconds: time-out for connecting and for each response.
        num_retries: how often a call is repeated, within about a second, after a broken connection.
    """
    password = settings.valkey_password
    return Redis.from_url(
        settings.valkey_url.get_secret_value(),
        username=settings.valkey_user,
        password=password.get_secret_value() if password else None,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), num_retries),
    )


def is_queue_outage(error: BaseException) -> bool:
    """Return whether the server is down, still loading, or cannot write for lack of memory or disk."""
    if isinstance(error, RedisConnectionError | RedisTimeoutError | OutOfMemoryError | ReadOnlyError):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(("MISCONF", "LOADING", "MASTERDOWN"))


class outages_as_unavailable:  # noqa: N801 — reads as a statement
    """Translate a dead or refusing server into QueueUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError) and is_queue_outage(error):
            raise QueueUnavailable(f"the job queue does not answer: {type(error).__name__}") from error
