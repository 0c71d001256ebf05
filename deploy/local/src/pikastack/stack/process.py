"""One part's process: started, checked, restarted with back-off, stopped, its log rotated."""

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pikastack.stack.parts import Part
from pikastack.stack.state import StateFolder, identity

log = logging.getLogger("pikastack.stack.supervisor")

LOG_BYTES = 20 * 2**20
START_TIMEOUT_SECONDS = 120.0
FIRST_CHECK_SECONDS = 0.2
CHECK_SECONDS = 5.0
MAX_BACK_OFF_SECONDS = 30.0
CALM_SECONDS = 60.0
"""A part that lived so long has recovered: its next failure is a first one again."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class PartProcess:
    """A part and its process. `status`: waiting, starting, up, silent, restarting, stopped."""

    def __init__(self, part: Part, state: StateFolder) -> None:
        self.part = part
        self.status = "waiting"
        self.problem: str | None = None
        self.restarts = 0
        self._failures = 0
        self._state = state
        self._log = state.logs / f"{part.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._who: dict[str, float] | None = None
        self._is_group_ended = False
        self._started_at = 0.0
        self._next_look = 0.0

    @property
    def is_running(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.poll() is None

    def view(self) -> dict[str, Any]:
        """Return the part's entry in the stack's state file."""
        return {
            "status": self.status,
            "problem": self.problem,
            "restarts": self.restarts,
            **(self._who or {"pid": None}),
        }

    def start(self) -> None:
        """Start the process; `tick` finds out when it answers. A failed start is retried."""
        try:
            self._spawn()
        except OSError as error:
            # A full disk, a missing program: treat it as if the process had ended at once.
            self._process = self._who = None
            self.problem = f"cannot be started: {error}"
            self._try_again_later(time.monotonic())

    def _spawn(self) -> None:
        environ = environment_of(self.part)
        with self._log.open("ab") as output:
            output.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} starting {self.part.name}\n".encode())
            output.flush()
            self._process = subprocess.Popen(
                self.part.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._state.root,
                env=environ,
                # A process group, so that what it starts can be ended with it. preexec_fn is safe here: the
                # supervisor has a single thread, which the death signal requires anyway.
                process_group=0,
                preexec_fn=_die_with_parent(self.part.death_signal, os.getpid()),  # noqa: PLW1509
            )
        self._is_group_ended = False
        self._who = identity(self._process.pid)
        self._started_at = time.monotonic()
        self._next_look = self._started_at + FIRST_CHECK_SECONDS
        self.status = "starting"
        log.info("%s started, pid %d", self.part.name, self._process.pid)

    def tick(self) -> bool:
        """Check the part once; return whether its view has changed."""
        before = self.view()
        now = time.monotonic()
        if self.status in {"waiting", "stopped"}:
            return False
        if self.status == "restarting":
            if now >= self._next_look:
                self.restarts += 1
                self.start()
        elif not self.is_running:
            self._has_died(now)
        elif now >= self._next_look:
            self._look(now)
        return self.view() != before

    def _look(self, now: float) -> None:
        assert self._process is not None  # noqa: S101 — tick() calls this for a running process only
        self.problem = self.part.check(self._process.pid)
        age = now - self._started_at
        if self.problem is None:
            self.status = "up"
            self._next_look = now + CHECK_SECONDS
            if age > CALM_SECONDS:
                self._failures = 0
            return
        if self.status == "starting":
            self._next_look = now + min(2.0, FIRST_CHECK_SECONDS + age / 20)
            if age > START_TIMEOUT_SECONDS:
                log.error("%s does not answer %.0f s after its start: %s", self.part.name, age, self.problem)
                self.kill()
            return
        # It ran and does not answer now: report it but leave it alone, because training on all cores makes
        # everything slow.
        self.status = "silent"
        self._next_look = now + CHECK_SECONDS

    def _has_died(self, now: float) -> None:
        assert self._process is not None  # noqa: S101 — tick() calls this after start() only
        code = self._process.returncode
        self.problem = f"ended by itself: {_describe_exit(code)}"
        self._kill_group()
        self._try_again_later(now)

    def _try_again_later(self, now: float) -> None:
        delay = min(MAX_BACK_OFF_SECONDS, 0.5 * 2**self._failures)
        self._failures += 1
        self.status = "restarting"
        self._next_look = now + delay
        log.warning("%s %s; starting it again in %.1f s", self.part.name, self.problem, delay)

    def terminate(self) -> None:
        """Ask the process to end."""
        if self.is_running and self._process:
            log.info("stopping %s", self.part.name)
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and everything it started."""
        self._kill_group()
        if self._process:
            self._process.wait()

    def has_stopped(self) -> None:
        """Clean up after the process's end."""
        self._kill_group()
        self.status = "stopped"
        for pattern in self.part.leftovers:
            path = Path(pattern)
            for leftover in path.parent.glob(path.name):
                try:
                    leftover.unlink(missing_ok=True)
                except OSError as error:
                    log.warning("cannot remove %s: %s", leftover, error)

    def _kill_group(self) -> None:
        """Kill the process group; only once after its end, because the number may be reused."""
        if self._process is None or self._is_group_ended:
            return
        self._is_group_ended = self._process.poll() is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing may be left of it
            os.killpg(self._process.pid, signal.SIGKILL)

    def rotate_log(self) -> None:
        """Keep one older log; the part continues in the emptied file, which it has open for appending.

        If the disk is full the older log is dropped, which makes room.
        """
        if not self._log.exists() or self._log.stat().st_size <= LOG_BYTES:
            return
        older = self._log.with_suffix(".log.1")
        try:
            shutil.copyfile(self._log, older)
        except OSError as error:
            log.warning("the log of %s is not kept: %s", self.part.name, error)
            older.unlink(missing_ok=True)
        os.truncate(self._log, 0)


def environment_of(part: Part) -> dict[str, str]:
    """Return the caller's environment with the part's own settings, which take precedence.

    `PIKA_X` and `PIKA_X_FILE` mean the same: if one is set here, the caller's other one is removed.
    """
    twins = {
        name.removesuffix("_FILE") if name.endswith("_FILE") else f"{name}_FILE" for name in part.environ
    }
    return {name: value for name, value in os.environ.items() if name not in twins} | dict(part.environ)


def _die_with_parent(death_signal: int, parent: int) -> Callable[[], None]:
    """Ask the kernel, in the child, to end it together with the supervisor."""

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def _describe_exit(code: int) -> str:
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit status {code}"
