"""Options that all commands share, and how a command finds the stack to talk to."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pikastack.cli.terminal import Terminal
from pikastack.client import Client
from pikastack.stack import containers
from pikastack.stack.state import DEFAULT_STATE, StateFolder
from pikastack.typed import command as typed_command

Command = Callable[..., Any]

_NAMES = ("url", "api_key", "authorities", "state_path", "as_json")
_VARIABLES = {
    "url": "PIKASTACK_URL",
    "api_key": "PIKA_API_KEY",
    "authorities": "PIKASTACK_AUTHORITIES",
    "state_path": "PIKASTACK_STATE",
}


def _options(*names: str, with_environment: bool) -> Callable[[Command], Command]:
    """Create the shared options of these names; only the program itself reads the environment."""

    def variable(name: str) -> str | None:
        return _VARIABLES[name] if with_environment else None

    known = {
        "url": click.option(
            "--url",
            envvar=variable("url"),
            help="The gateway of the stack to talk to.  [environment: PIKASTACK_URL; default: the "
            "stack on this machine]",
        ),
        "api_key": click.option(
            "--api-key",
            envvar=variable("api_key"),
            help="Sent as a bearer token.  [environment: PIKA_API_KEY]",
        ),
        "authorities": click.option(
            "--authorities",
            envvar=variable("authorities"),
            type=click.Path(exists=True, dir_okay=False),
            help="PEM file of certificate authorities to trust for an HTTPS stack.  [environment: "
            "PIKASTACK_AUTHORITIES; default: the system's]",
        ),
        "state_path": click.option(
            "--state",
            "state_path",
            type=click.Path(path_type=Path, file_okay=False),
            envvar=variable("state_path"),
            help="The stack's state folder; each folder is a separate stack.  [environment: "
            "PIKASTACK_STATE; default: .pikastack in the clone]",
        ),
        "as_json": click.option(
            "--json", "as_json", is_flag=True, help="Write one JSON object to stdout, for scripts."
        ),
    }

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = known[name](command)
        return command

    return decorate


def group_options(command: Command) -> Command:
    """Add the shared options to a group; its sub-commands fall back to them."""

    @_options(*_NAMES, with_environment=False)
    @click.pass_context
    @functools.wraps(command)
    def wrapped(context: click.Context, **arguments: Any) -> Any:
        context.find_root().obj = _merged(arguments)
        return command(**{name: value for name, value in arguments.items() if name not in _NAMES})

    return wrapped


def root_options(command: Command) -> Command:
    """Like `group_options`, for the program itself, with the environment as a fallback."""

    @_options(*_NAMES, with_environment=True)
    @click.pass_context
    @functools.wraps(command)
    def wrapped(context: click.Context, **arguments: Any) -> Any:
        context.obj = {name: arguments.pop(name) for name in _NAMES}
        return command(**arguments)

    return wrapped


def _merged(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the shared options: a sub-command's own take precedence over those before it."""
    before = click.get_current_context().find_root().obj or {}
    own = {name: arguments[name] for name in _NAMES if arguments.get(name)}
    return dict.fromkeys(_NAMES) | before | own


wait_option = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait for the job to end, or only start it.",
)


@dataclass(frozen=True)
class Session:
    """What a command that talks to a stack works with."""

    client: Client
    terminal: Terminal
    local: dict[str, Any] | None
    """The state of the stack when it was found through its state folder on this machine."""


def stack_options(command: Command) -> Command:
    """Add --state and --json; the command receives `state: StateFolder` and `terminal: Terminal`."""

    @_options("state_path", "as_json", with_environment=False)
    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        shared = _merged(arguments)
        own = {name: value for name, value in arguments.items() if name not in ("state_path", "as_json")}
        state = StateFolder(shared["state_path"] or DEFAULT_STATE)
        return command(state=state, terminal=Terminal(bool(shared["as_json"])), **own)

    return wrapped


def session_options(command: Command) -> Command:
    """Add --url, --api-key, --authorities, --state and --json; the command receives `session: Session`."""

    @_options(*_NAMES, with_environment=False)
    @functools.wraps(command)
    def wrapped(**arguments: Any) -> Any:
        shared = _merged(arguments)
        own = {name: value for name, value in arguments.items() if name not in _NAMES}
        session = open_session(
            shared["state_path"],
            Terminal(bool(shared["as_json"])),
            shared["url"],
            shared["api_key"],
            shared["authorities"],
        )
        return command(session=session, **own)

    return wrapped


def open_session(
    state_path: Path | None,
    terminal: Terminal,
    url: str | None,
    api_key: str | None,
    authorities: str | None = None,
) -> Session:
    """Find the stack at `url` or in the given state folder; otherwise the clone's, or one in containers here.

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
            f"no stack runs on {state.root}. Start it with `{typed_command()} up --state {state.root}`, or "
            "leave --state (and PIKASTACK_STATE) out to use the clone's own stack."
        )
    in_containers = containers.find_gateway()
    if in_containers:
        return Session(
            Client(in_containers, api_key or containers.find_api_key(), authorities), terminal, None
        )
    raise click.ClickException(
        f"no stack runs on {state.root}, and none answers at {containers.gateway_url()}. Start one with "
        f"`{typed_command()} up` or `docker compose up --wait`, or name another one with --url."
    )
