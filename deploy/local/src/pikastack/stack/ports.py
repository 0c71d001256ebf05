"""Loopback ports of one stack: those of its last run, or free ones near a start of its own.

Chosen below the kernel's ephemeral range (32768 and up), where any program's outgoing connection could take a
port between our check and our bind.
"""

import hashlib
import os
import socket
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

FRONT = "front"
DEFAULT_FRONT_PORT = 8080
PORT_NAMES = (
    FRONT,
    "scraper",
    "classifier",
    "gan",
    "valkey",
    "s3",
    "s3_grpc",
    "master",
    "master_grpc",
    "volume",
    "volume_grpc",
    "filer",
    "filer_grpc",
    "admin",
    "admin_grpc",
)
_FIRST, _LAST = 20_000, 31_900
_FRONT_TRIES = 20


class NoFreePort(OSError):
    """Every port that was tried is taken."""


def is_free(port: int) -> bool:
    """Return whether 127.0.0.1:`port` can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    # SeaweedFS creates a Unix socket of this name for each gRPC port; it can replace its own user's old
    # socket but not another user's.
    sockets = Path("/tmp").glob(f"seaweedfs-*-{port}.sock")  # noqa: S108 — SeaweedFS has no option for it
    return all(path.stat().st_uid == os.getuid() for path in sockets)


def reserve(port: int) -> socket.socket | None:
    """Reserve 127.0.0.1:`port` among stacks until the returned socket is closed; None if another has it.

    Stacks that start at the same time find the same ports free, and since Caddy shares its port
    (SO_REUSEPORT), both would even get the same gateway. What is reserved is therefore not the port but a
    name in the same network namespace (an abstract socket, which disappears with it). A port bound without
    sharing would stay refused for a minute after a restart, while the kernel remembers its old connections.
    """
    placeholder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if sys.platform != "linux":
        return placeholder
    try:
        placeholder.bind(f"\0pikastack-{port}")
    except OSError:
        placeholder.close()
        return None
    return placeholder


def choose_ports(
    state_root: Path, saved: Mapping[str, int], front: int | None = None, skip: AbstractSet[int] = frozenset()
) -> dict[str, int]:
    """Choose a free port for every name in `PORT_NAMES`.

    Args:
        state_root: the stack's state folder; its path determines where the search starts, so that stacks that
            start at the same time do not try the same ports.
        saved: the ports of the last run, kept if they are free.
        front: the preferred gateway port; if None, the last run's, then 8080. The next free port above it is
            used if it is taken.
        skip: ports that other stacks have reserved, even if they seem free.

    Raises:
        NoFreePort: nothing is free in the range that was tried.
    """
    wished = front if front is not None else saved.get(FRONT, DEFAULT_FRONT_PORT)
    ports = {FRONT: _first_free(range(wished, min(wished + _FRONT_TRIES, 65_536)), skip)}
    digest = hashlib.sha256(str(state_root).encode()).digest()
    start = _FIRST + int.from_bytes(digest[:4], "big") % (_LAST - _FIRST)
    search = [*range(start, _LAST), *range(_FIRST, start)]
    for name in PORT_NAMES[1:]:
        taken = {*ports.values(), *skip}
        last = saved.get(name)
        if last is not None and last not in taken and is_free(last):
            ports[name] = last
        else:
            ports[name] = _first_free(search, taken)
    return ports


def _first_free(candidates: range | list[int], taken: AbstractSet[int]) -> int:
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise NoFreePort(f"expected a free port in {candidates[0]}..{candidates[-1]}, found them all taken")
