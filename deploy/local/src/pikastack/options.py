"""Options that all commands share, and how a command finds the stack it talks to."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pikastack import containers
from pikastack.client import Client
from pikastack.state import DEFAULT_STATE, StateFolder
from pikastack.terminal import Terminal

Command = Callable[..., Any]

_STATE = click.option(
    "--state",
    "state_path",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="PIKASTACK_STATE",
    help="The stack's state folder; another folder is another stack.  [default: .pikastack in the clone]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout, for scripts.")
_URL = click.option(
    "--url",
    envvar="PIKASTACK_URL",
    help="The front door of the stack to talk to.  [default: the one that runs here]",
)
_API_KEY = click.option(
    "--api-key", envvar="PIKA_API_KEY", help="Sent as a bearer token.  [environment: PIKA_API_KEY]"
)
_AUTHORITIES = click.option(
    "--authorities",
    envvar="PIKASTACK_AUTHORITIES",
    type=click.Path(exists=True, dir_okay=False),
    help="PEM file of those who vouch for an HTTPS stack's certificate.  [default: the system's]",
)


@dataclass(frozen=True)
class Session:
    """What a command that talks to a stack works with."""

    client: Client
    terminal: Terminal
    local: dict[str, Any] | None
    """The state of the stack when it was found through its state folder on this machine."""


def stack_options(command: Command) -> Command:
    """Adds --state and --json; the command is given `state: StateFolder` and `terminal: Terminal`."""

    @_STATE
    @_JSON
    @functools.wraps(command)
    def wrapped(state_path: Path | None, as_json: bool, **arguments: Any) -> Any:
        state = StateFolder(state_path or DEFAULT_STATE)
        return command(state=state, terminal=Terminal(as_json), **arguments)

    return wrapped


def session_options(command: Command) -> Command:
    """Adds --url, --api-key, --authorities, --state and --json; the command is given `session: Session`."""

    @_URL
    @_API_KEY
    @_AUTHORITIES
    @_STATE
    @_JSON
    @functools.wraps(command)
    def wrapped(
        url: str | None,
        api_key: str | None,
        authorities: str | None,
        state_path: Path | None,
        as_json: bool,
        **arguments: Any,
    ) -> Any:
        session = open_session(state_path, Terminal(as_json), url, api_key, authorities)
        return command(session=session, **arguments)

    return wrapped


def open_session(
    state_path: Path | None,
    terminal: Terminal,
    url: str | None,
    api_key: str | None,
    authorities: str | None = None,
) -> Session:
    """The stack at `url`, or the one on the named state folder; where neither is named, the one on the
    clone's state folder, or the one in containers on this machine.

    Raises:
        click.ClickException: nothing runs there. A named stack is never replaced by another one.
    """
    if url:
        return Session(Client(url, api_key, authorities), terminal, None)
    state = StateFolder(state_path or DEFAULT_STATE)
    local = state.running()
    if local:
        return Session(Client(local["url"], api_key), terminal, local)
    if state_path is not None:
        raise click.ClickException(
            f"no stack runs on {state.root}. Start it with `pikastack up --state {state.root}`, or leave "
            "--state (and PIKASTACK_STATE) out to use the clone's own stack."
        )
    in_containers = containers.find_front_door()
    if in_containers:
        return Session(
            Client(in_containers, api_key or containers.find_api_key(), authorities), terminal, None
        )
    raise click.ClickException(
        f"no stack runs on {state.root}, and none answers at {containers.front_door_url()}. Start one with "
        "`pikastack up` or `docker compose up --wait`, or name another one with --url."
    )
