"""Whether the process beside this one works: `python -m pika_kit.healthcheck service|worker`.

For containers, whose engine runs it every few seconds: exit status 0 is healthy, 1 not, with a line that says
why. `service` asks the service on PIKA_BIND's port, `worker` asks the queue's server for a worker that
lives here.
"""

import http.client
import os
import socket
import sys

import redis

from pika_kit.settings import Settings, SettingsError

TIMEOUT_SECONDS = 3.0


def service_problem(port: int) -> str | None:
    """What keeps the service on 127.0.0.1:`port` from being ready, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read(500).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {port}: {error}"
    finally:
        connection.close()
    return None if answer.status == http.HTTPStatus.OK else f"{answer.status} {body.strip()}"


def worker_problem(valkey: redis.Redis, hostname: str) -> str | None:
    """What is wrong with the worker of this host, or None: it is registered, and its process lives."""
    try:
        # pika_kit.worker names itself QUEUE-HOST-PID-TIME; a record goes when its heartbeats stop.
        members = [name.decode() for name in valkey.smembers("rq:workers")]  # type: ignore[union-attr]
        here = [name for name in members if f"-{hostname}-" in name and valkey.exists(name)]
    except redis.exceptions.RedisError as error:
        return f"the queue's server does not answer: {error}"
    if any(_lives(int(name.rsplit("-", 2)[1])) for name in here):
        return None
    return f"no living worker of {hostname} is registered"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(arguments: list[str]) -> int:
    """0 when healthy."""
    if arguments not in (["service"], ["worker"]):
        print("usage: python -m pika_kit.healthcheck service|worker", file=sys.stderr)
        return 2
    if arguments == ["service"]:
        problem = service_problem(int(os.environ.get("PIKA_BIND", "127.0.0.1:8000").rsplit(":", 1)[1]))
    else:
        try:
            url = Settings.from_environment().valkey_url.get_secret_value()
        except SettingsError as error:
            print(f"healthcheck: {error}", file=sys.stderr)
            return 2
        valkey = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        problem = worker_problem(valkey, socket.gethostname())
    if problem:
        print(f"healthcheck: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
