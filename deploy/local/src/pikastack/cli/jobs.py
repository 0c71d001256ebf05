"""`pikastack jobs`: list, show, watch and cancel jobs."""

from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from pikastack.cli.describe import clock, describe_job, facts
from pikastack.cli.options import Session, group_options, session_options

SHORT = 8
WHOLE = 32


@click.group()
@group_options
def jobs() -> None:
    """List, watch and cancel jobs."""


@jobs.command("list")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@click.option("--status", help="Only queued, running, finished, failed or cancelled ones.")
@click.option("--kind", help="Only jobs of this kind, such as gan-train.")
@session_options
def list_jobs(session: Session, limit: int, status: str | None, kind: str | None) -> None:
    """List the newest jobs. A unique prefix of an id is enough wherever one is expected."""
    views = session.client.get("/jobs", limit=limit, status=status, kind=kind).json()["jobs"]
    if session.terminal.as_json:
        session.terminal.result({"jobs": views})
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "kind", "status", "started"):
        table.add_column(title, no_wrap=True)
    table.add_column("progress", no_wrap=True, overflow="ellipsis", ratio=1)
    for view in views:
        table.add_row(
            view["id"][:SHORT], view["name"], view["status"], clock(view["started_at"]), _how_far(view)
        )
    session.terminal.out.print(table if views else "no jobs yet")


def _how_far(view: dict[str, Any]) -> str:
    at = view["progress"]
    if view["error"]:
        return str(view["error"])
    if view["status"] == "finished":
        return ""
    return f"{at['done']}/{at['total']} {at['message']}" if at["total"] else str(at["message"])


def _whole_id(session: Session, job_id: str) -> str:
    """Complete a unique prefix of one of the newest jobs' ids.

    Raises:
        click.BadParameter: the prefix is ambiguous.
    """
    if len(job_id) >= WHOLE:
        return job_id
    views = session.client.get("/jobs", limit=500).json()["jobs"]
    ids = [view["id"] for view in views if view["id"].startswith(job_id)]
    if len(ids) > 1:
        raise click.BadParameter(f"{len(ids)} jobs begin with {job_id!r}; expected more of the id")
    return str(ids[0]) if ids else job_id


@jobs.command()
@click.argument("job_id")
@session_options
def show(session: Session, job_id: str) -> None:
    """Show one job with its arguments and result."""
    view = session.client.job(_whole_id(session, job_id))
    times = {name.removesuffix("_at"): clock(view[name]) for name in ("created_at", "started_at", "ended_at")}
    shown = times | {name: view[name] for name in ("arguments", "progress", "error", "result")}
    lines = [f"{view['name']} {view['id']}: {view['status']}", *facts(shown)]
    session.terminal.result(view, escape("\n".join(lines)))


@jobs.command()
@click.argument("job_id")
@session_options
def watch(session: Session, job_id: str) -> None:
    """Follow a job until it ends; exit status 1 if it fails."""
    view = session.client.job(_whole_id(session, job_id))
    view = session.terminal.watch(session.client, view, view["name"])
    session.terminal.result(view, escape(describe_job(view)))


@jobs.command()
@click.argument("job_id")
@session_options
def cancel(session: Session, job_id: str) -> None:
    """Cancel a job: immediately if it is queued, otherwise when it next reports progress."""
    view = session.client.delete(f"/jobs/{_whole_id(session, job_id)}").json()
    said = "is cancelled" if view["status"] == "cancelled" else f"is {view['status']}"
    if view["status"] == "running":
        said = "is told to stop"
    session.terminal.result(view, f"{view['name']} {said}")
