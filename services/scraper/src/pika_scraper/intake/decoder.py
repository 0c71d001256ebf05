"""The child process that decodes untrusted pictures: `python -m pika_scraper.intake.decoder`.

It has no secrets, no environment and no files; its standard input is a socket to the parent (`verify`), which
carries pictures in and results out. The kernel limits its memory, and its CPU time for each picture.
"""

import fcntl
import json
import os
import resource
import socket
import sys
from typing import Any

from pika_kit.images import PictureError
from pika_scraper.config import DecodeLimits, PrepareConfig
from pika_scraper.intake import frames
from pika_scraper.pictures.pipeline import examine


class Turn:
    """A lock on a file that all children inherit; it is released when its holder's process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_error: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def main() -> None:
    """Answer requests until the parent closes the socket."""
    start = json.loads(sys.argv[1])
    limits = DecodeLimits(**start["limits"])
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    turn = Turn(start["turn"])
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as channel:
        frames.send(channel, {"is_ready": True}, b"")
        while (received := frames.receive(channel)) is not None:
            words, data = received
            _allow_cpu(limits.cpu_seconds)
            frames.send(channel, *_answer(words, data, turn))


def _answer(words: dict[str, Any], data: bytes, turn: Turn) -> tuple[dict[str, Any], bytes]:
    config = PrepareConfig(**words["config"]) if words["config"] else None
    try:
        examined = examine(data, config, turn)
    except PictureError as error:
        return {"code": error.code, "detail": error.detail}, b""
    except MemoryError:
        return {"code": "too_much_memory", "detail": "the picture takes too much memory"}, b""
    facts = {"format": examined.format, "width": examined.width, "height": examined.height}
    if examined.prepared is None:
        return facts, b""
    return facts | {"prepared": examined.prepared.facts()}, examined.prepared.square


def _allow_cpu(seconds: int) -> None:
    """Allow this many seconds of CPU time from now on; then the kernel sends SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _limit(what: int, value: int) -> None:
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    main()
