"""The stack's one long-lived process: `python -m pikastack.stack.supervisor STATE`, started by `up`.

Starts the parts level by level as they answer, restarts a part that dies, keeps the state file up to date,
and on SIGTERM stops everything in reverse order; workers get time to write a checkpoint. If it is killed
itself, the kernel ends its parts.
"""

import argparse
import logging
import os
import signal
import time
from contextlib import ExitStack
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from pika_kit.logs import JsonFormatter
from pikastack.stack.lifecycle import end_orphans, settings_digests
from pikastack.stack.parts import build_parts
from pikastack.stack.ports import choose_ports, reserve
from pikastack.stack.process import PartProcess
from pikastack.stack.state import StateFolder, identity

log = logging.getLogger("pikastack.stack.supervisor")

_TICK_SECONDS = 0.1
_ROTATE_SECONDS = 10.0


class Supervisor:
    """Run the parts of one stack until told to stop."""

    def __init__(self, state: StateFolder, ports: dict[str, int], scrape_roots: list[Path]) -> None:
        self._state = state
        self._ports = ports
        self._scrape_roots = scrape_roots
        self._parts = [PartProcess(part, state) for part in build_parts(state, ports, scrape_roots)]
        self._who = identity(os.getpid())
        self._status = "starting"
        self._is_stopping = False
        self._started_at = time.time()

    def run(self) -> None:
        """Start, supervise and finally stop all parts."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        self._write()
        rotated_at = time.monotonic()
        try:
            while not self._is_stopping:
                if self._advance():
                    self._write()
                if time.monotonic() - rotated_at > _ROTATE_SECONDS:
                    rotated_at = time.monotonic()
                    self._look_after_files()
                time.sleep(_TICK_SECONDS)
        finally:
            self._stop()

    def _request_stop(self, _number: int, _frame: object) -> None:
        self._is_stopping = True

    def _advance(self) -> bool:
        """Check each part, start the next level when those below answer; return whether anything did."""
        changes = [process.tick() for process in self._parts]
        waiting = [process for process in self._parts if process.status == "waiting"]
        if waiting:
            level = min(process.part.level for process in waiting)
            below = [process for process in self._parts if process.part.level < level]
            if all(process.status == "up" for process in below):
                for process in waiting:
                    if process.part.level == level:
                        process.start()
                return True
        elif self._status == "starting" and all(process.status == "up" for process in self._parts):
            self._status = "ready"
            log.info("ready after %.1f s", time.time() - self._started_at)
            return True
        return any(changes)

    def _look_after_files(self) -> None:
        if not self._state.run.is_dir():
            log.error("the state folder is gone; stopping")
            self._is_stopping = True
            return
        for process in self._parts:
            try:
                process.rotate_log()
            except OSError as error:
                log.warning("cannot look after the log of %s: %s", process.part.name, error)

    def _stop(self) -> None:
        """Stop the parts first and record it afterwards: a failing write must not prevent stopping."""
        self._status = "stopping"
        for level in sorted({process.part.level for process in self._parts}, reverse=True):
            group = [process for process in self._parts if process.part.level == level]
            for process in group:
                process.terminate()
            self._write()
            deadline = time.monotonic() + max(process.part.grace_seconds for process in group)
            while any(process.is_running for process in group) and time.monotonic() < deadline:
                time.sleep(0.05)
            for process in group:
                if process.is_running:
                    log.warning("%s did not end in time and is killed", process.part.name)
                    process.kill()
                process.has_stopped()
        self._status = "stopped"
        self._write()

    def _write(self) -> None:
        state: dict[str, Any] = {
            "status": self._status,
            "url": f"http://127.0.0.1:{self._ports['front']}",
            "supervisor": self._who,
            "started_at": self._started_at,
            "ports": self._ports,
            "scrape_roots": [str(root) for root in self._scrape_roots],
            "settings": settings_digests(),
            "parts": {process.part.name: process.view() for process in self._parts},
        }
        if not self._state.run.is_dir():
            return
        try:
            self._state.write(state)
        except OSError as error:
            log.error("cannot write the state, the parts go on: %s", error)


def _reserve_ports(
    state: StateFolder, saved: dict[str, int], front: int | None
) -> tuple[dict[str, int], ExitStack]:
    """Reserve ports for all parts."""
    of_others: set[int] = set()
    while True:
        ports = choose_ports(state.root, saved, front, of_others)
        with ExitStack() as placeholders:
            kept = {port: reserve(port) for port in ports.values()}
            for placeholder in kept.values():
                if placeholder is not None:
                    placeholders.enter_context(placeholder)
            if None not in kept.values():
                return ports, placeholders.pop_all()
        of_others |= {port for port, placeholder in kept.items() if placeholder is None}


def main() -> int:
    """Run the stack of the state folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m pikastack.stack.supervisor", description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("--port", type=int, help="the wished port of the gateway")
    parser.add_argument("--scrape-root", type=Path, action="append", default=[])
    options = parser.parse_args()
    state = StateFolder(options.state)
    state.create()
    handler = RotatingFileHandler(state.logs / "supervisor.log", maxBytes=5 * 2**20, backupCount=1)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    lock = state.lock()
    if lock is None:
        log.info("another supervisor has this state folder")
        return 0
    with lock:
        last = state.read()
        end_orphans(last)
        # The demo's own drawings and what the operator names: never the clone or the state folder, which
        # contain keys (`stack.may_be_scraped`).
        roots = [root.resolve() for root in (state.demo_pictures, *options.scrape_root)]
        try:
            ports, placeholders = _reserve_ports(state, (last or {}).get("ports", {}), options.port)
            with placeholders:
                Supervisor(state, ports, roots).run()
        except Exception:
            log.exception("the supervisor failed")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
