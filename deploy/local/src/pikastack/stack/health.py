"""Health checks of the stack's parts. Each is quick and returns what is wrong, or None."""

import http.client
import socket
from collections.abc import Callable
from pathlib import Path

import redis
from redis.exceptions import RedisError

Check = Callable[[int], str | None]
"""Takes the part's pid."""

_TIMEOUT_SECONDS = 2.0


def http_check(port: int, path: str) -> Check:
    """Healthy if GET `path` on 127.0.0.1:`port` returns 2xx."""

    def check(_pid: int) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(300).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return f"GET {path}: {error}"
        finally:
            connection.close()
        return None if 200 <= answer.status < 300 else f"GET {path}: {answer.status} {body}"

    return check


def valkey_check(url_file: Path) -> Check:
    """Healthy if the server answers PING, which it refuses while loading its data."""

    def check(_pid: int) -> str | None:
        try:
            _client(url_file).ping()
        except (RedisError, OSError) as error:
            return f"PING: {error}"
        return None

    return check


def worker_check(url_file: Path, queue: str) -> Check:
    """Healthy if the worker has registered with the queue server."""

    def check(pid: int) -> str | None:
        # pika_kit.worker names itself QUEUE-HOST-PID-TIME.
        wanted = f"rq:worker:{queue}-{socket.gethostname()}-{pid}-"
        try:
            members = _client(url_file).smembers("rq:workers")
        except (RedisError, OSError) as error:
            return f"workers: {error}"
        names = {member.decode() for member in members}  # type: ignore[union-attr]
        return None if any(name.startswith(wanted) for name in names) else "not registered yet"

    return check


def _client(url_file: Path) -> redis.Redis:
    url = url_file.read_text(encoding="utf-8").strip()
    return redis.Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS)
