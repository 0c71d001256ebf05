"""What the user sees: results on stdout (JSON with --json); messages and progress bars on stderr."""

import json
import re
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from pikastack.client import OVER, Client
from pikastack.typed import command

PLAIN_SECONDS = 10.0
"""Where stderr is no terminal, a line of progress is written so often."""


class JobFailed(Exception):
    """A watched job failed or was cancelled; carries its view."""

    def __init__(self, view: dict[str, Any]) -> None:
        super().__init__(view.get("error") or f"job {view['id']} was {view['status']}")
        self.view = view


class JobLeft(Exception):
    """The user stopped watching; the job continues."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"the job goes on. Watch it again: {command()} jobs watch {job_id}; "
            f"end it: {command()} jobs cancel {job_id}"
        )


class Terminal:
    """The two streams of one command."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False)
        self.err = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Print a message for the user on stderr."""
        self.err.print(text, soft_wrap=True)

    def result(self, data: Any, text: str | None = None) -> None:
        """Print the command's result: `data` with --json, otherwise `text` (nothing if None)."""
        if self.as_json:
            print(json.dumps(data, ensure_ascii=False))
        elif text:
            self.out.print(text, soft_wrap=True)

    def watch(self, client: Client, view: dict[str, Any], title: str) -> dict[str, Any]:
        """Show a job's progress until it ends; return its last view.

        Raises:
            JobFailed: it failed or was cancelled.
            JobLeft: the user pressed Ctrl-C; the job continues.
        """
        try:
            if view["status"] not in OVER:
                shown = self._bar if self.err.is_terminal else self._lines
                view = shown(client, view["id"], title)
        except KeyboardInterrupt:
            raise JobLeft(view["id"]) from None
        if view["status"] != "finished":
            raise JobFailed(view)
        return view

    def _bar(self, client: Client, job_id: str, title: str) -> dict[str, Any]:
        view: dict[str, Any] = {}
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            # Truncated, so that one line stays one line.
            TextColumn(
                "{task.fields[details]}",
                style="dim",
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
        )
        with Progress(*columns, console=self.err, transient=True, expand=True) as progress:
            task = progress.add_task(title, total=None, details="")
            for view in client.watch(job_id):
                at = view["progress"]
                progress.update(
                    task,
                    description=f"{title}: {_state(view)}",
                    completed=at["done"],
                    total=at["total"],
                    details=describe(at["details"]),
                )
        return view

    def _lines(self, client: Client, job_id: str, title: str) -> dict[str, Any]:
        view: dict[str, Any] = {}
        written_at, message = 0.0, ""
        for view in client.watch(job_id):
            at = view["progress"]
            now = time.monotonic()
            # Its numbers change constantly.
            new_message = re.sub(r"[\d.:]+", "#", _state(view))
            if new_message == message and now - written_at < PLAIN_SECONDS:
                continue
            written_at, message = now, new_message
            count = f" {at['done']}/{at['total']}" if at["total"] else ""
            self.say(f"{title}: {_state(view)}{count} {describe(at['details'])}".rstrip())
        return view


def _state(view: dict[str, Any]) -> str:
    if view["status"] == "running":
        return view["progress"]["message"] or "running"
    return str(view["status"])


def describe(details: dict[str, Any]) -> str:
    """Format figures in one line: `name value` pairs; lists, nested ones and ids are left out."""
    words = []
    for name, value in details.items():
        if isinstance(value, float):
            words.append(f"{name.replace('_', ' ')} {value:.4g}")
        elif isinstance(value, int | str) and not name.endswith("id"):
            words.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(words)
