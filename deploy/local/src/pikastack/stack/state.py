"""The state folder of one stack: everything it keeps, in one place that can be moved or deleted as a whole.

data/      the buckets and the queue (SeaweedFS, Valkey) secrets/   generated keys and passwords, readable by
their owner only logs/      one file for each part run/       what only exists while the stack runs: its
state, its lock, rendered settings scratch/   caches of the services and workers; may be lost at any time
demo/      what `pikastack demo` drew
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import psutil  # type: ignore[import-untyped]


def find_clone(here: Path, folder: Path) -> Path:
    """Return the clone that contains this code; for installed code, the one around `folder`.

    Without either, `folder` itself: then only stacks named by their URL can be found.
    """
    around = (folder, *folder.parents)
    return next((path for path in (here, *around) if (path / "deploy/docker/preflight.py").exists()), folder)


CLONE = find_clone(Path(__file__).resolve().parents[5], Path.cwd())
DEFAULT_STATE = CLONE / ".pikastack"
_CLOCK_TOLERANCE_SECONDS = 2.0


class StateError(Exception):
    """The state folder is unusable; the message says why."""


class StateFolder:
    """Paths and small files of one stack."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.data = self.root / "data"
        self.secrets = self.root / "secrets"
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.scratch = self.root / "scratch"
        self.demo = self.root / "demo"
        self.demo_pictures = self.demo / "pictures"

    def create(self) -> None:
        """Create the folders, accessible to their owner only."""
        try:
            for folder in (self.root, self.data, self.secrets, self.logs, self.run, self.scratch):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"cannot make the state folder {self.root}: {error}") from error

    def secret(self, name: str) -> str:
        """Return the secret of that name, generated on first use."""
        path = self.secrets / name
        if not path.exists():
            write_private(path, secrets.token_hex(24))
        return path.read_text(encoding="utf-8").strip()

    def read(self) -> dict[str, Any] | None:
        """Return the state written by the running (or last) supervisor; None if there never was one."""
        try:
            saved: dict[str, Any] = json.loads((self.run / "state.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise StateError(f"cannot read {self.run / 'state.json'}: {error}") from error
        return saved

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the state atomically."""
        write_private(self.run / "state.json", json.dumps(state, indent=1))

    def running(self) -> dict[str, Any] | None:
        """Return the state if its supervisor is alive, otherwise None."""
        state = self.read()
        return state if state and is_alive(state["supervisor"]) else None

    def lock(self) -> TextIO | None:
        """Take the stack's lock, held while the returned file is open; None if another process holds it."""
        file = (self.run / "lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file


def write_private(path: Path, text: str) -> None:
    """Write a file atomically that only its owner may read."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def identity(pid: int) -> dict[str, float]:
    """Identify a process by (pid, start time), because the kernel reuses pids."""
    return {"pid": pid, "create_time": psutil.Process(pid).create_time()}


def find_process(who: Mapping[str, float]) -> psutil.Process | None:
    """Return the process of an `identity`, or None if it is gone, even if its pid was reused."""
    try:
        process = psutil.Process(int(who["pid"]))
        is_same = abs(process.create_time() - who["create_time"]) < _CLOCK_TOLERANCE_SECONDS
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def is_alive(who: Mapping[str, float]) -> bool:
    """Return whether the process of an `identity` still runs."""
    return find_process(who) is not None
