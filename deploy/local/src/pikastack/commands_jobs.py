"""`pikastack jobs`: list, show, watch and cancel the long work."""

from datetime import datetime

import click
from rich.table import Table

from pikastack.options import Session, session_options
from pikastack.terminal import describe


@click.group()
def jobs() -> None:
    """See and stop long work."""


@jobs.command("list")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@session_options
def list_jobs(session: Session, limit: int) -> None:
    """The newest jobs."""
    found = session.client.get("/jobs", limit=limit).json()["jobs"]
    if session.terminal.as_json:
        session.terminal.result({"jobs": found})
        return
    table = Table()
    table.add_column("id", no_wrap=True, min_width=32)
    for title in ("what", "status", "progress", "started"):
        table.add_column(title)
    for view in found:
        at = view["progress"]
        count = f"{at['done']}/{at['total']} " if at["total"] else ""
        table.add_row(
            view["id"], view["name"], view["status"], f"{count}{at['message']}", _clock(view["started_at"])
        )
    session.terminal.out.print(table if found else "no jobs yet")


def _clock(moment: str | None) -> str:
    """A job's ISO time on this machine's clock."""
    return datetime.fromisoformat(moment).astimezone().strftime("%b %d %H:%M:%S") if moment else ""


@jobs.command()
@click.argument("job_id")
@session_options
def show(session: Session, job_id: str) -> None:
    """One job with its arguments and result."""
    view = session.client.job(job_id)
    lines = [f"{view['name']} {view['id']}: [bold]{view['status']}[/]"]
    for name in ("arguments", "progress", "result", "error", "created_at", "started_at", "ended_at"):
        if view[name]:
            lines.append(f"  {name}: {view[name]}")
    session.terminal.result(view, "\n".join(lines))


@jobs.command()
@click.argument("job_id")
@session_options
def watch(session: Session, job_id: str) -> None:
    """Follow a job until it is over; exit status 1 when it fails."""
    view = session.client.job(job_id)
    view = session.terminal.watch(session.client, view, view["name"])
    session.terminal.result(view, f"{view['name']}: finished. {describe(view['result'] or {})}")


@jobs.command()
@click.argument("job_id")
@session_options
def cancel(session: Session, job_id: str) -> None:
    """End a job: at once while it queues, else as soon as it next reports progress."""
    view = session.client.delete(f"/jobs/{job_id}").json()
    said = "is cancelled" if view["status"] == "cancelled" else f"is {view['status']}"
    if view["status"] == "running":
        said = "is told to stop"
    session.terminal.result(view, f"{view['name']} {said}")
