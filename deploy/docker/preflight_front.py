"""Whether .env makes sense, and whether the front door can open where it says: ports, keys, HTTPS."""

from __future__ import annotations

import difflib
import errno
import ipaddress
import json
import socket
from collections.abc import Mapping
from pathlib import Path

from preflight_findings import OK, PROBLEM, WARNING, Finding, Run, compose_files, names_in, read_env
from preflight_secrets import ADD_KEY

DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = "8080"
TLS_OVERLAY = "compose.tls.yaml"
"""It publishes 80 and 443 in the place of PIKA_PORT."""

_OF_COMPOSE = {
    *("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "COMPOSE_BAKE"),
    *("COMPOSE_PARALLEL_LIMIT", "COMPOSE_ANSI", "COMPOSE_PROGRESS", "COMPOSE_MENU", "COMPOSE_IGNORE_ORPHANS"),
    *("COMPOSE_REMOVE_ORPHANS", "COMPOSE_CONVERT_WINDOWS_PATHS", "COMPOSE_DISABLE_ENV_FILE"),
    *("COMPOSE_ENV_FILES", "COMPOSE_STATUS_STDOUT", "COMPOSE_EXPERIMENTAL"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
}
"""Variables that Compose itself reads from .env."""
_PROBE_SECONDS = 1.0
_FRONT = "front door"


def check_env_file(env: Path, example: Path) -> Finding:
    """There is a .env."""
    if env.is_file():
        return Finding(".env", OK, f"{len(read_env(env))} variables set")
    message = f"expected the file {env}, found none, so that every setting has its default"
    return Finding(".env", WARNING, message, f"cp {example.name} {env.name}, then look through it")


def check_names(env: Path, example: Path) -> Finding:
    """Every variable in .env is one that .env.example names, so that no setting is lost to a typing error."""
    name = "names in .env"
    if not example.is_file():
        message = f"expected the file {example}, which names all variables, found none"
        return Finding(name, WARNING, message, f"git checkout {example.name}")
    known = names_in(example) | _OF_COMPOSE
    unknown = sorted(set(read_env(env)) - known)
    if not unknown:
        return Finding(name, OK, f"all are names that {example.name} knows")
    described = [f"{found}{_suggestion(found, known)}" for found in unknown]
    message = f"expected names that {example.name} has, received {', '.join(described)}"
    return Finding(name, WARNING, message, "correct or remove them in .env: nothing reads them")


def _suggestion(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (meant {near[0]}?)" if near else ""


def check_ports(settings: Mapping[str, str], run: Run) -> list[Finding]:
    """The ports that the front door publishes can be had."""
    if TLS_OVERLAY in compose_files(settings):
        return [check_port(settings, port, run) for port in ("80", "443")]
    return [check_port(settings, settings.get("PIKA_PORT", DEFAULT_PORT), run)]


def check_port(settings: Mapping[str, str], port: str, run: Run) -> Finding:
    """One port of the front door is free, or this stack has it already."""
    address = settings.get("PIKA_BIND_ADDRESS", DEFAULT_ADDRESS)
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        message = f"PIKA_PORT: expected a number from 1 to 65535, received {port!r}"
        return Finding(_FRONT, PROBLEM, message, "correct it in .env")
    refusal = _bind_refusal(address, int(port))
    if refusal is None:
        return Finding(_FRONT, OK, f"{address} port {port} is free")
    if refusal.errno in (errno.EADDRINUSE, errno.EACCES):
        return _check_holder(address, int(port), refusal, run)
    message = f"PIKA_BIND_ADDRESS: expected an address of this machine in numbers, received {address!r}"
    return Finding(_FRONT, PROBLEM, message, "correct it in .env; 0.0.0.0 means all that `ip address` lists")


def _check_holder(address: str, port: int, refusal: OSError, run: Run) -> Finding:
    """A port that this script could not bind: whether somebody has it, and who."""
    place = f"{address} port {port}"
    # The engine may bind what an ordinary user may not.
    if refusal.errno == errno.EACCES and not _answers(address, port):
        return Finding(_FRONT, OK, f"nobody listens on {place}")
    if port in published_ports(run):
        return Finding(_FRONT, OK, f"{place} is this stack's own already")
    message = f"expected {place} to be free, but another program has it"
    remedy = f"see who has it: sudo ss -ltnp 'sport = :{port}'; or set PIKA_PORT in .env to another one"
    return Finding(_FRONT, PROBLEM, message, remedy)


def _bind_refusal(address: str, port: int) -> OSError | None:
    """Why `port` cannot be had at `address`; None when it can."""
    try:
        numeric = socket.AI_NUMERICHOST
        found = socket.getaddrinfo(_bare(address), port, type=socket.SOCK_STREAM, flags=numeric)
        family, kind, protocol, _name, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        return error
    return None


def _answers(address: str, port: int) -> bool:
    """Whether somebody accepts connections there; asked on loopback where `address` means every interface."""
    bare = _bare(address)
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bare, bare)  # noqa: S104 — compared, not bound
    try:
        with socket.create_connection((target, port), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False


def published_ports(run: Run) -> set[int]:
    """The ports of this machine that the running stack has."""
    ports = set()
    # One object a line; a list of them in older versions.
    for line in run(["docker", "compose", "ps", "--format", "json"]).out.splitlines():
        try:
            rows = json.loads(line)
        except ValueError:
            continue
        for row in rows if isinstance(rows, list) else [rows]:
            ports |= {publisher.get("PublishedPort", 0) for publisher in row.get("Publishers") or []}
    return ports - {0}


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    try:
        return ipaddress.ip_address(_bare(address)).is_loopback
    except ValueError:
        return False


def _bare(address: str) -> str:
    """An IPv6 address without the brackets that Compose wants around it."""
    return address[1:-1] if address.startswith("[") and address.endswith("]") else address


def check_keys(settings: Mapping[str, str], keys_file: Path) -> Finding:
    """There are keys, or the operator's word that none are meant."""
    address = settings.get("PIKA_BIND_ADDRESS", DEFAULT_ADDRESS)
    try:
        has_keys = bool(keys_file.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        has_keys = False
    is_open = settings.get("PIKA_OPEN_ACCESS", "false").lower() in {"true", "1", "yes", "on"}
    if has_keys:
        return Finding("API keys", OK, "every call needs one")
    if not is_open:
        message = "expected API keys, received none: the services do not start without them"
        return Finding("API keys", PROBLEM, message, f"{ADD_KEY}; or set PIKA_OPEN_ACCESS=true in .env")
    if is_loopback(address):
        return Finding("API keys", OK, f"none, as PIKA_OPEN_ACCESS says; only this machine reaches {address}")
    message = f"expected API keys, since others reach {address}; without them everybody may do everything"
    return Finding("API keys", WARNING, message, ADD_KEY)


def check_tls(settings: Mapping[str, str]) -> Finding:
    """A front door that others reach has HTTPS."""
    address = settings.get("PIKA_BIND_ADDRESS", DEFAULT_ADDRESS)
    site, overlay = settings.get("PIKA_SITE"), TLS_OVERLAY in compose_files(settings)
    name_it = "set PIKA_SITE in .env to the name by which others reach this machine"
    use_it = f"append :{TLS_OVERLAY} to COMPOSE_FILE in .env"
    if site and overlay:
        return Finding("HTTPS", OK, f"for {site}")
    if overlay:
        message = f"expected PIKA_SITE, since COMPOSE_FILE has {TLS_OVERLAY}; it is not set"
        return Finding("HTTPS", PROBLEM, message, name_it)
    if site:
        message = f"expected {TLS_OVERLAY} in COMPOSE_FILE, since PIKA_SITE is {site}; so far without HTTPS"
        return Finding("HTTPS", WARNING, message, use_it)
    if is_loopback(address):
        return Finding("HTTPS", OK, f"none, and only this machine reaches {address}")
    message = f"expected PIKA_SITE, since others reach {address}; without HTTPS keys travel in the clear"
    return Finding("HTTPS", WARNING, message, f"{name_it}, and {use_it}")
