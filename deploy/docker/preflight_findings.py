"""What the checks of preflight.py share: findings, answers of other programs, settings in env files."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OK, WARNING, PROBLEM = "ok", "warning", "problem"
SCRIPT = "python3 deploy/docker/preflight.py"
"""How remedies name the script; they are meant for the clone's root."""

_NO_PROGRAM = 127
_TOO_SLOW = 124
_RUN_SECONDS = 30.0

# NAME=value as Compose reads it: quotes and a comment behind the value are no part of it.
_ENTRY = re.compile(
    r"""^\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=[ \t]*"""
    r"""(?P<value>"[^"]*"|'[^']*'|.*?)(?P<rest>[ \t]+\#.*|[ \t]*)$"""
)
_OFFERED = re.compile(r"^\s*#?\s*(?:export\s+)?([A-Za-z_]\w*)\s*=")


@dataclass(frozen=True)
class Finding:
    """What one check has found, and what to do about it."""

    name: str
    level: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Answer:
    """What a program answered: exit status, stdout and stderr."""

    status: int
    out: str = ""
    error: str = ""

    @property
    def said(self) -> str:
        """The first line that it wrote, on stderr if it wrote there."""
        lines = (self.error.strip() or self.out.strip()).splitlines()
        return lines[0].strip() if lines else f"nothing, with exit status {self.status}"

    @property
    def no_program(self) -> bool:
        """Whether there is no such program."""
        return self.status == _NO_PROGRAM


Run = Callable[[Sequence[str]], Answer]
"""Runs a command; never raises."""


def run_in(folder: Path) -> Run:
    """A `Run` whose commands start in `folder`."""

    def run(command: Sequence[str]) -> Answer:
        try:
            done = subprocess.run(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(_TOO_SLOW, error=f"{command[0]} gave no answer in {_RUN_SECONDS:.0f} seconds")
        except OSError as error:
            return Answer(_NO_PROGRAM, error=f"{command[0]} cannot be started: {error.strerror}")
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def version_in(text: str) -> tuple[int, int] | None:
    """The first two numbers of the first version in `text`: v2.40.3-3 → (2, 40)."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def entry(line: str) -> re.Match[str] | None:
    """A line of an env file as name, value (with its quotes) and rest; None for any other line."""
    return _ENTRY.match(line)


def unquoted(value: str) -> str:
    """A value of an env file without the quotes around it."""
    return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else value


def read_env(path: Path) -> dict[str, str]:
    """The variables in an env file; none where the file is missing. Of two with one name the last holds."""
    if not path.is_file():
        return {}
    matches = map(entry, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return {match["name"]: unquoted(match["value"]) for match in matches if match}


def names_in(path: Path) -> set[str]:
    """The names of variables in an env file, also of those that are commented out."""
    matches = map(_OFFERED.match, path.read_text(encoding="utf-8", errors="replace").splitlines())
    return {match[1] for match in matches if match}


def settings_of(env_path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables as Compose sees them: the environment wins over .env; an empty one means the default."""
    return {name: value for name, value in {**read_env(env_path), **environ}.items() if value}


def separator(settings: Mapping[str, str]) -> str:
    """What stands between the files in COMPOSE_FILE."""
    return settings.get("COMPOSE_PATH_SEPARATOR") or os.pathsep


def compose_files(settings: Mapping[str, str]) -> set[str]:
    """The names of the files in COMPOSE_FILE, without their folders."""
    return {Path(file.strip()).name for file in settings.get("COMPOSE_FILE", "").split(separator(settings))}
