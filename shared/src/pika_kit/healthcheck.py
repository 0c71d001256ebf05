"""Check the health of the process beside this one: `python -IS healthcheck.py service|worker`.

For containers, whose engine runs it periodically: exit status 0 is healthy, 1 is not, with one line that
explains why. `service` queries the service on PIKA_BIND's port; `worker` checks when the worker in
PIKA_STATE_DIR last reached the queue server. Imports only the standard library and none of our modules, so
that a check takes a few milliseconds.
"""

import os
import sys
import time

ALIVE_FILE = "worker.alive"
"""A worker touches it in its state folder at each heartbeat that reached the queue's server."""
SILENT_SECONDS = 60.0
TIMEOUT_SECONDS = 3.0


def service_problem(port: int) -> str | None:
    """Return why the service on 127.0.0.1:`port` is not ready, or None if it is."""
    import socket  # imported here, because the worker's check does not need it

    request = b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n"
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            connection.sendall(request)
            while received := connection.recv(4096):
                answer += received
    except OSError as error:
        return f"no answer on port {port}: {error}"
    head, _, body = answer.decode("utf-8", "replace").partition("\r\n\r\n")
    status = head.split(" ", 2)[1:2]
    return None if status == ["200"] else f"{' '.join(status) or 'no HTTP'} {body.strip()[:500]}"


def worker_problem(state_dir: str) -> str | None:
    """Return what is wrong with the worker of this state folder, or None if its last heartbeat is recent."""
    try:
        silent = time.time() - os.stat(os.path.join(state_dir, ALIVE_FILE)).st_mtime
    except OSError:
        return "the worker has not reached the queue's server yet"
    if silent <= SILENT_SECONDS:
        return None
    return f"the worker reached the queue's server {silent:.0f} s ago; expected {SILENT_SECONDS:.0f} at most"


def main(arguments: list[str]) -> int:
    """Return 0 if healthy."""
    if arguments == ["service"]:
        problem = service_problem(int(os.environ.get("PIKA_BIND", "127.0.0.1:8000").rsplit(":", 1)[1]))
    elif arguments == ["worker"]:
        problem = worker_problem(os.environ.get("PIKA_STATE_DIR", ".pikastack/scratch"))
    else:
        print("usage: healthcheck.py service|worker", file=sys.stderr)
        return 2
    if problem:
        print(f"healthcheck: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
