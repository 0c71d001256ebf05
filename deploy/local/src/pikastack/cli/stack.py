"""`pikastack up`, `down`, `status`, `logs`: the stack on this machine."""

import subprocess
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from pikastack.cli.options import stack_options
from pikastack.cli.terminal import Terminal
from pikastack.stack import lifecycle as stack
from pikastack.stack.state import StateFolder
from pikastack.typed import command

_STYLE = {"up": "green", "starting": "yellow", "restarting": "red", "silent": "red"}


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    envvar="PIKASTACK_PORT",
    help="Port of the gateway.  [default: the last one, else 8080; the next free one when it is taken]",
)
@click.option(
    "--scrape-root",
    "scrape_roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that `scrape` may read in place; other folders are uploaded. Repeatable.",
)
@stack_options
def up(state: StateFolder, terminal: Terminal, port: int | None, scrape_roots: tuple[Path, ...]) -> None:
    """Start the whole stack on this machine and wait until it is ready.

    Object store, queue, three services, their workers and the gateway, on 127.0.0.1 only. Finds a stack
    that is already running. PIKA_ variables of the environment (PIKA_API_KEYS, PIKA_MODEL_RUNTIME, …) reach
    the services.
    """
    running, ran_already = start(state, terminal, port, scrape_roots)
    where = " (it ran already)" if ran_already else ""
    terminal.result(
        {
            "url": running["url"],
            "ran_already": ran_already,
            "other_settings": stack.different_settings(running, scrape_roots) if ran_already else [],
            "state": str(state.root),
            "ports": running["ports"],
        },
        f"pikastack is up at [bold]{running['url']}[/]{where}",
    )


def start(
    state: StateFolder, terminal: Terminal, port: int | None, scrape_roots: tuple[Path, ...] = ()
) -> tuple[dict[str, Any], bool]:
    """Start or find the stack, with a line on stderr that shows what is still starting."""
    with terminal.err.status("starting") as line:

        def report(now: dict[str, Any]) -> None:
            waiting = [name for name, part in now["parts"].items() if part["status"] != "up"]
            line.update(f"starting: waiting for {', '.join(waiting)}")

        running, ran_already = stack.up(state, port=port, scrape_roots=scrape_roots, report=report)
    others = stack.different_settings(running, scrape_roots) if ran_already else []
    if others:
        terminal.say(
            f"[yellow]it runs with other settings than asked for now: {', '.join(others)}. They take effect "
            f"after `{command()} down` and `{command()} up`[/]"
        )
    actual = running["ports"]["front"]
    if port is not None and actual != port:
        why = "runs already" if ran_already else f"port {port} is taken"
        terminal.say(f"[yellow]{why}: the gateway is at port {actual}[/]")
    return running, ran_already


@click.command()
@stack_options
def down(state: StateFolder, terminal: Terminal) -> None:
    """Stop the stack; data and models are kept. A running job saves a checkpoint and resumes after `up`."""
    with terminal.err.status("stopping") as line:

        def report(now: dict[str, Any]) -> None:
            left = [name for name, part in now["parts"].items() if part["status"] != "stopped"]
            line.update(f"stopping: {', '.join(left)}")

        did_run = stack.down(state, report)
    terminal.result({"stopped": did_run}, "pikastack is down" if did_run else "no stack was running")


@click.command()
@stack_options
def status(state: StateFolder, terminal: Terminal) -> None:
    """Show what is running and where. Exit status 1 unless every part answers."""
    now = state.running()
    if now is None:
        terminal.result({"status": "down", "state": str(state.root)}, f"no stack runs on {state.root}")
        raise SystemExit(1)
    if not terminal.as_json:
        terminal.say(f"{now['url']}   state: {state.root}")
        table = Table("part", "status", "pid", "restarts", box=None, pad_edge=False)
        for name, part in now["parts"].items():
            style = _STYLE.get(part["status"], "")
            shown = f"[{style}]{part['status']}[/]" if style else part["status"]
            table.add_row(name, shown, str(part["pid"]), str(part["restarts"]))
        terminal.out.print(table)
        for name, part in now["parts"].items():
            if part["problem"]:
                terminal.out.print(escape(f"{name}: {part['problem']}"), soft_wrap=True)
    terminal.result({**now, "state": str(state.root)})
    if any(part["status"] != "up" for part in now["parts"].values()):
        raise SystemExit(1)


@click.command()
@click.argument("part", required=False)
@click.option("-f", "--follow", is_flag=True, help="Follow the log until Ctrl-C.")
@click.option("-n", "--lines", "num_lines", default=30, show_default=True, help="Number of lines per log.")
@stack_options
def logs(state: StateFolder, terminal: Terminal, part: str | None, follow: bool, num_lines: int) -> None:
    """Show the log of one PART, or the end of every log."""
    names = sorted(path.stem for path in state.logs.glob("*.log"))
    if part is not None and part not in names:
        known = ", ".join(names) or "none: the stack has never run"
        raise click.BadParameter(f"expected one of {known}; received {part!r}", param_hint="PART")
    chosen = [part] if part else names
    if terminal.as_json:
        terminal.result({name: stack.tail(state, name, num_lines).splitlines() for name in chosen})
        return
    if follow:
        # tail(1) follows several files and survives their rotation.
        files = [str(state.logs / f"{name}.log") for name in chosen]
        subprocess.run(["tail", "-n", str(num_lines), "-F", *files], check=False)
        return
    for name in chosen:
        if len(chosen) > 1:
            terminal.out.print(f"[bold]==> {name}[/]")
        terminal.out.print(stack.tail(state, name, num_lines), markup=False, soft_wrap=True)
