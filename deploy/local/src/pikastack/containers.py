"""Finds the stack that Docker Compose runs from this clone, by its front door's port."""

import http.client
import json
import os
from pathlib import Path

from pikastack.state import CLONE

DEFAULT_PORT = "8080"
_KEYS = CLONE / "deploy" / "docker" / "secrets" / "api-keys"
_TIMEOUT_SECONDS = 2.0


def front_door_url(env_file: Path = CLONE / ".env") -> str:
    """Where Compose publishes the front door: PIKA_PORT in the environment, else in .env, else 8080."""
    port = os.environ.get("PIKA_PORT") or _in_env_file(env_file, "PIKA_PORT") or DEFAULT_PORT
    return f"http://127.0.0.1:{port}"


def find_front_door(env_file: Path = CLONE / ".env") -> str | None:
    """The address of a front door of ours that answers there, else None."""
    url = front_door_url(env_file)
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/")
        document = json.loads(connection.getresponse().read(10_000))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    # Something else may answer on the same port.
    is_ours = isinstance(document, dict) and document.get("services") == ["scraper", "classifier", "gan"]
    return url if is_ours else None


def find_api_key(keys_file: Path = _KEYS) -> str | None:
    """The first of that stack's keys, which `preflight.py --secrets` made, where this user may read it."""
    try:
        first = keys_file.read_text(encoding="utf-8").replace("\n", ",").partition(",")[0]
    except (OSError, UnicodeDecodeError):
        return None
    return first.partition(":")[2].strip() or None


def _in_env_file(path: Path, name: str) -> str | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = [line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == name]
    return values[-1].strip("\"'") if values else None
