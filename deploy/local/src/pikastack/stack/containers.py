"""Find the stack that Docker Compose runs from this clone, by its gateway's settings."""

import ipaddress
import json
import os
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from pikastack.stack.state import CLONE

TLS_OVERLAY = "compose.tls.yaml"
_KEYS = CLONE / "deploy" / "docker" / "secrets" / "api-keys"
_TIMEOUT_SECONDS = 2.0
_DEFAULTS = {"PIKA_PORT": "8080", "PIKA_BIND_ADDRESS": "127.0.0.1"}


def gateway_url(env_file: Path = CLONE / ".env") -> str:
    """Return where Compose publishes the gateway: from the environment, .env, or the defaults."""
    settings = _DEFAULTS | _in_env_file(env_file)
    settings |= {name: value for name, value in os.environ.items() if value}
    files = settings.get("COMPOSE_FILE", "").split(os.pathsep)
    if any(Path(file).name == TLS_OVERLAY for file in files) and settings.get("PIKA_SITE"):
        return f"https://{settings['PIKA_SITE']}"
    return f"http://{_reachable(settings['PIKA_BIND_ADDRESS'])}:{settings['PIKA_PORT']}"


def _reachable(address: str) -> str:
    """Convert a listening address to one to connect to: loopback for all interfaces."""
    bare = address.strip("[]")
    try:
        version = ipaddress.ip_address(bare)
    except ValueError:
        return address
    if version.is_unspecified:
        bare = "127.0.0.1" if version.version == 4 else "::1"
    return f"[{bare}]" if version.version == 6 else bare


def find_gateway(env_file: Path = CLONE / ".env") -> str | None:
    """Return the URL of our gateway if one answers there, otherwise None."""
    url = gateway_url(env_file)
    # Only identifies the server: nothing is sent to it, and later requests verify the certificate.
    pool = urllib3.PoolManager(cert_reqs="CERT_NONE", timeout=_TIMEOUT_SECONDS, retries=False)
    try:
        with pool.request("GET", url, preload_content=False) as answer:
            document = json.loads(answer.read(10_000))
    except (HTTPError, ValueError):
        return None
    finally:
        pool.clear()
    # Something else may answer on the same port.
    is_ours = isinstance(document, dict) and document.get("services") == ["scraper", "classifier", "gan"]
    return url if is_ours else None


def find_api_key(keys_file: Path = _KEYS) -> str | None:
    """Return the first of that stack's keys (`preflight.py --secrets`), if this user may read it."""
    try:
        first = keys_file.read_text(encoding="utf-8").replace("\n", ",").partition(",")[0]
    except (OSError, UnicodeDecodeError):
        return None
    return first.partition(":")[2].strip() or None


def _in_env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file that have a value; the last of several wins."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): text for name, value in pairs if (text := value.strip().strip("\"'"))}
