"""Decode untrusted bytes in child processes, so that one hostile picture costs one picture.

A decoder may hang, take a gigabyte or crash, and crafted bytes may execute code. It therefore runs in a
process without keys or files, with memory and CPU limits enforced by the kernel and a time limit enforced by
this side. A child that exceeds them is killed, and the next picture gets a new one.

    with Decoders(num=usable_cores()) as decoders:
        examined = decoders.examine(data)      # raises PictureError
"""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

from pika_kit.images import PictureError
from pika_scraper.config import DecodeLimits, PrepareConfig
from pika_scraper.intake import frames
from pika_scraper.pictures.pipeline import Examined, Prepared

# Keep freed memory in the process, which needs as much again a moment later.
_QUICK_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
_START_SECONDS = 60.0
_MAX_STARTS = 3
_PASSED_ON = ("PYTHONPATH", "LD_LIBRARY_PATH", "LANG")


class DecodersClosed(RuntimeError):
    """The decoders were closed while a picture was waiting for one."""


class DecoderUnusable(RuntimeError):
    """The decoder does not start: not the picture's fault, so none is rejected for it."""


class _Child:
    """One decoding process and the socket to it."""

    def __init__(self, limits: DecodeLimits, turn: int) -> None:
        self._limits = limits
        self.num_asked = 0
        self.channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    __package__ + ".decoder",
                    json.dumps({"limits": asdict(limits), "turn": turn}),
                ],
                stdin=theirs.fileno(),
                pass_fds=(turn,),
                # No keys: the code that runs there may be a stranger's.
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
                | _QUICK_MEMORY
                | {"OPENBLAS_NUM_THREADS": "1"},
            )

    def is_ready(self) -> bool:
        """Wait until it has started; return whether it has."""
        try:
            return frames.receive(self.channel, time.monotonic() + _START_SECONDS) is not None
        except (OSError, ValueError):
            return False

    def ask(self, words: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the child's answer. Raises PictureError, after which the child is unusable."""
        self.num_asked += 1
        deadline = time.monotonic() + self._limits.wall_seconds
        try:
            frames.send(self.channel, words, data, deadline)
            answer = frames.receive(self.channel, deadline)
        except TimeoutError as error:
            detail = f"it was not decoded within {self._limits.wall_seconds:.0f} s"
            raise PictureError("too_slow", detail) from error
        except (OSError, ValueError) as error:
            raise self._died() from error
        if answer is None:
            raise self._died()
        return answer

    def _died(self) -> PictureError:
        try:
            status = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            status = 0
        if status == -signal.SIGXCPU:
            return PictureError("too_slow", f"decoding took more than {self._limits.cpu_seconds} s of a core")
        return PictureError("decoder_crashed", f"the decoder ended with status {status}")

    def close(self) -> None:
        """Kill the process; it holds nothing that could be lost."""
        self.channel.close()
        self._process.kill()
        self._process.wait()


class Decoders:
    """Up to `num` children, each started when it is first needed. Thread-safe."""

    def __init__(self, num: int, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._turn = os.memfd_create("turn")
        self._places: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._num, self._is_closed = num, False
        for _ in range(num):
            self._places.put(None)

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all children after the pictures in progress, whose time is limited."""
        self._is_closed = True
        for child in [self._places.get() for _ in range(self._num)]:
            if child is not None:
                child.close()
        for _ in range(self._num):  # tells waiting threads that there will be no child
            self._places.put(None)
        os.close(self._turn)

    def examine(self, data: bytes, config: PrepareConfig | None = None) -> Examined:
        """Run `pipeline.examine` in a child.

        Raises:
            PictureError: also "too_slow", "too_much_memory" and "decoder_crashed".
        """
        words = {"config": asdict(config) if config else None}
        answer, square = self._ask(words, data)
        if "code" in answer:
            raise PictureError(answer["code"], answer["detail"])
        prepared = answer.pop("prepared", None)
        return Examined(**answer, prepared=Prepared(square=square, **prepared) if prepared else None)

    def _start(self) -> _Child:
        """Return a running child. Raises DecoderUnusable if none starts."""
        for _ in range(_MAX_STARTS):
            child = _Child(self._limits, self._turn)
            if child.is_ready():
                return child
            child.close()  # killed for lack of memory, or unable to start
        raise DecoderUnusable(f"the decoder did not start {_MAX_STARTS} times; its messages are in this log")

    def _ask(self, words: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        child = self._places.get()
        try:
            if self._is_closed:
                raise DecodersClosed
            child = child or self._start()
            answer = child.ask(words, data)
            if child.num_asked >= self._limits.pictures_per_child:
                child.close()
                child = None
            return answer
        except BaseException:
            if child is not None:
                child.close()
            child = None
            raise
        finally:
            self._places.put(child)
