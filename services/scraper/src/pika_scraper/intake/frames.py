"""The messages between parent and child processes: a JSON object and bytes, over a socket."""

import json
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("!II")
MAX_BLOB = 64 * 2**20


def send(channel: socket.socket, words: dict[str, Any], blob: bytes, deadline: float | None = None) -> None:
    """Send one frame. Raises TimeoutError at `deadline` (`time.monotonic`), OSError without a peer."""
    text = json.dumps(words).encode()
    _limit(channel, deadline)
    channel.sendall(_HEAD.pack(len(text), len(blob)) + text)
    if blob:
        _limit(channel, deadline)
        channel.sendall(blob)


def receive(channel: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], bytes] | None:
    """Receive one frame, or None if the peer is gone. Raises TimeoutError, OSError, ValueError."""
    head = _exactly(channel, _HEAD.size, deadline)
    if head is None:
        return None
    text_size, blob_size = _HEAD.unpack(head)
    if text_size > 2**20 or blob_size > MAX_BLOB:
        raise ValueError(f"expected a frame of at most {MAX_BLOB:,} bytes, received {blob_size:,}")
    text, blob = _exactly(channel, text_size, deadline), _exactly(channel, blob_size, deadline)
    if text is None or blob is None:
        return None
    words = json.loads(text)
    if not isinstance(words, dict):
        raise ValueError("expected a JSON object")
    return words, blob


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes | None:
    received = bytearray(size)
    view = memoryview(received)
    while view:
        _limit(channel, deadline)
        count = channel.recv_into(view)
        if not count:
            return None
        view = view[count:]
    return bytes(received)


def _limit(channel: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    channel.settimeout(left)
