"""Start, find and stop a stack from outside: `pikastack up`, `down`, `status` and `logs`."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pikastack.stack.state import CLONE, StateFolder, find_process

START_SECONDS = 180.0
STOP_SECONDS = 90.0
RECOVERY_SECONDS = 45.0
"""How long `up` waits for a part of a running stack that is just being started again."""
_OF_THE_CLIENT = {"PIKA_API_KEY", "PIKA_PORT"}
_GIVE_UP_RESTARTS = 3

Report = Callable[[dict[str, Any]], None]


class StackError(Exception):
    """The stack could not be started or stopped; `log` is the end of the relevant log."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def up(
    state: StateFolder,
    *,
    port: int | None = None,
    scrape_roots: Sequence[Path] = (),
    report: Report = lambda _state: None,
) -> tuple[dict[str, Any], bool]:
    """Start the stack unless it runs, and wait until all of it answers.

    Args:
        state: the stack's folder.
        port: preferred port of the gateway; the next free one is used if it is taken.
        scrape_roots: folders that the scraper may read.
        report: called with the state whenever it may have changed.

    Returns:
        The stack's state, and whether it was already running.

    Raises:
        StackError: a part does not start, or not all of them answer in time; or a scrape root contains the
            stack's own files.
    """
    for root in scrape_roots:
        if not may_be_scraped(state, root):
            raise StackError(
                f"--scrape-root {root}: expected a folder of pictures, received one that holds the clone or "
                "the state folder, or lies in it: whoever may scrape could read the stack's keys there"
            )
    state.create()
    running = state.running()
    if running and _is_whole(running):
        return running, True
    supervisor = None if running else _spawn(state, port, scrape_roots)
    deadline = time.monotonic() + (
        RECOVERY_SECONDS if running and running["status"] == "ready" else START_SECONDS
    )
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = state.running()
        if now:
            report(now)
            if _is_whole(now):
                return now, running is not None
            _give_up_on_failing(state, now)
        elif supervisor is None:
            # The one we found was shutting down.
            supervisor = _spawn(state, port, scrape_roots)
        elif supervisor.poll() == 0:
            # Another `up` was faster: its supervisor holds the folder's lock and will write its state soon.
            supervisor = None
            time.sleep(0.5)
        elif supervisor.poll() is not None:
            raise StackError("the supervisor ended while it started", tail(state, "supervisor"))
    slow = _not_up(state.read() or {})
    log = tail(state, slow[0]) if slow else ""
    if running:
        raise StackError(f"the stack runs, but not all of it: {_problems(state.read() or {})}", log)
    down(state)
    raise StackError(f"not ready after {START_SECONDS:.0f} s: {', '.join(slow)}", log)


def _is_whole(now: dict[str, Any]) -> bool:
    return now["status"] == "ready" and not _not_up(now)


def _not_up(now: dict[str, Any]) -> list[str]:
    return [name for name, part in now.get("parts", {}).items() if part["status"] != "up"]


def _problems(now: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {now['parts'][name]['problem']}" for name in _not_up(now))


def settings_digests() -> dict[str, str]:
    """Return the PIKA_ variables of this process, each with a digest to detect changes."""
    return {
        name: hashlib.sha256(value.encode()).hexdigest()[:16]
        for name, value in sorted(os.environ.items())
        if name.startswith("PIKA_") and name not in _OF_THE_CLIENT
    }


def different_settings(running: dict[str, Any], scrape_roots: Sequence[Path] = ()) -> list[str]:
    """Name the settings of this process with which the running stack was not started."""
    theirs, ours = running.get("settings", {}), settings_digests()
    names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    known = [Path(root) for root in running.get("scrape_roots", [])]
    roots = [str(root) for root in scrape_roots if not any(root.resolve().is_relative_to(k) for k in known)]
    return names + [f"--scrape-root {root}" for root in roots]


def may_be_scraped(state: StateFolder, root: Path) -> bool:
    """Return whether the scraper may read this folder: it neither contains nor lies in the stack's files."""
    folder, own = root.resolve(), state.root.resolve()
    holds_ours = any(ours.is_relative_to(folder) for ours in (own, CLONE.resolve()))
    lies_inside = folder.is_relative_to(own) and not folder.is_relative_to(own / "demo" / "pictures")
    return not holds_ours and not lies_inside


def _spawn(state: StateFolder, port: int | None, scrape_roots: Sequence[Path]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pikastack.stack.supervisor", str(state.root)]
    command += ["--port", str(port)] if port is not None else []
    command += [word for root in scrape_roots for word in ("--scrape-root", str(root))]
    with (state.logs / "supervisor.log").open("ab") as output:
        # A session of its own: it outlives this terminal, and Ctrl-C here does not reach it.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=state.root,
            start_new_session=True,
        )


def _give_up_on_failing(state: StateFolder, now: dict[str, Any]) -> None:
    """Name a part that keeps dying; a stack that was never ready is stopped again."""
    for name in _not_up(now):
        part = now["parts"][name]
        if part["restarts"] >= _GIVE_UP_RESTARTS and part["problem"]:
            log = tail(state, name)
            if now["status"] == "starting":
                down(state)
                raise StackError(f"{name} does not start: {part['problem']}", log)
            raise StackError(f"{name} does not run: {part['problem']}", log)


def down(state: StateFolder, report: Report = lambda _state: None) -> bool:
    """Stop the stack and wait until all its processes are gone; False if none was running.

    Raises:
        StackError: it could not be stopped.
    """
    last = state.read()
    supervisor = find_process(last["supervisor"]) if last else None
    if last is None or supervisor is None:
        end_orphans(last)
        return False
    supervisor.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while supervisor.is_running() and find_process(last["supervisor"]):
        if time.monotonic() > deadline:
            raise StackError(f"process {supervisor.pid} does not end", tail(state, "supervisor"))
        if now := state.read():
            report(now)
        time.sleep(0.1)
    return True


def end_orphans(last: dict[str, Any] | None) -> None:
    """Wait for, then kill, the parts that a killed supervisor left; only processes it has recorded."""
    views = (last or {}).get("parts", {}).values()
    orphans = [process for view in views if view.get("pid") and (process := find_process(view))]
    deadline = time.monotonic() + 10
    for process in orphans:
        while process.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)
        if process.is_running():
            process.kill()


def tail(state: StateFolder, part: str, num_lines: int = 20) -> str:
    """Return the last lines of a part's log."""
    path = state.logs / f"{part}.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-num_lines:])
