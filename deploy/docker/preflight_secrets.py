"""The secrets that Compose gives to the containers: whether they are good, and how they are made.

They are files in deploy/docker/secrets, one secret in each, and never variables: those show in `docker
inspect` and in every child process. Compose bind-mounts each file with the owner and mode that it has here,
and the containers run as other users than the one who made it. So everybody may read the files (0444), and
the folder around them lets only its owner in (0700): on this machine nobody else gets past the folder, and a
container gets the file alone. The engine mounts them as root, which the folder does not hinder.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import urllib.parse
from pathlib import Path

from preflight_findings import OK, PROBLEM, SCRIPT, WARNING, Finding

FOLDER = "deploy/docker/secrets"
USERS = ("s3-root-user", "s3-access-key")
PASSWORDS = ("s3-root-password", "s3-secret-key", "valkey-password")
VALKEY_PASSWORD, VALKEY_URL = "valkey-password", "valkey-url"
API_KEYS = "api-keys"
NAMES = (*USERS, *PASSWORDS, VALKEY_URL, API_KEYS)
"""A password stands before the URL that is made from it."""

SHORTEST_USER, SHORTEST = 8, 16
# S3 servers of the MinIO family take no longer ones for service accounts: 20 and 40 characters.
_USER_BYTES, _SECRET_BYTES = 10, 30
_FEWEST_DIFFERENT = 5
# The servers' set-up puts secrets into URLs, JSON and configuration files, where others have a meaning.
_PLAIN = re.compile(r"[A-Za-z0-9._~][A-Za-z0-9._~-]*")
_NOT_PLAIN = "expected letters, digits, dots, dashes and underscores, no dash in front; received others too"
_EXAMPLES = (
    *("minioadmin", "changeme", "change-me", "change_me", "password", "passw0rd", "example", "secret"),
    *("admin123", "12345678", "87654321", "abcdefgh", "qwerty", "letmein", "hunter2", "your-", "your_"),
)
_FOLDER_MODE, _FILE_MODE = 0o700, 0o444
_MAKE = f"{SCRIPT} --secrets"
_RESTART = "containers that run still have the old one: docker compose up -d --force-recreate"
ADD_KEY = (
    f"chmod u+w {FOLDER}/{API_KEYS}; "
    f"""python3 -c 'import secrets; print("NAME:" + secrets.token_urlsafe(30))' >> {FOLDER}/{API_KEYS}"""
)


def check_secrets(folder: Path) -> list[Finding]:
    """A finding on the folder, and one on each secret in it."""
    if not folder.is_dir():
        message = f"expected the folder {folder}, found none"
        return [Finding("secrets", PROBLEM, message, _MAKE)]
    return [_check_folder(folder), *(check_secret(folder, name) for name in NAMES)]


def _check_folder(folder: Path) -> Finding:
    """Nobody but its owner gets into the folder."""
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        message = f"expected mode 700, received {mode:o}: others on this machine can read the secrets"
        return Finding("secrets", PROBLEM, message, f"chmod 700 {FOLDER}")
    return Finding("secrets", OK, f"{folder} lets only its owner in")


def check_secret(folder: Path, name: str) -> Finding:
    """One secret is there, is no example, and can be read inside a container."""
    try:
        fault = fault_in(folder, name)
        mode = (folder / name).stat().st_mode & 0o777 if fault is None else _FILE_MODE
    except PermissionError:
        message = "cannot be read: it belongs to another user"
        return Finding(f"secret {name}", PROBLEM, message, f"sudo chown -R $(id -u) {FOLDER}")
    if fault:
        return Finding(f"secret {name}", PROBLEM, fault, _remedy(folder, name))
    if not mode & 0o004:
        message = f"has mode {mode:o}; containers run as another user and could not read it"
        return Finding(f"secret {name}", PROBLEM, message, f"chmod 444 {FOLDER}/{name}")
    return Finding(f"secret {name}", OK, "good")


def _remedy(folder: Path, name: str) -> str:
    if name == API_KEYS and (folder / name).is_file():
        return f"write NAME:KEY lines into {FOLDER}/{name}, or empty it and set PIKA_OPEN_ACCESS=true in .env"
    return _MAKE


def fault_in(folder: Path, name: str) -> str | None:
    """What is wrong with the secret `name`; None when it is good.

    Raises:
        PermissionError: it cannot be read.
    """
    path = folder / name
    if path.is_dir():
        # Older engines make a folder where a file that they should mount is missing.
        return "expected a file, found a folder"
    if not path.exists():
        return f"expected the file {FOLDER}/{name}, found none"
    try:
        value = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        return "expected text, found something else"
    if name == API_KEYS:
        return _fault_in_keys(value)
    if name == VALKEY_URL:
        return _fault_in_url(value, folder)
    fault = weakness(value, SHORTEST_USER if name in USERS else SHORTEST)
    return fault if fault or _PLAIN.fullmatch(value) else _NOT_PLAIN


def weakness(value: str, shortest: int) -> str | None:
    """Why `value` is no good secret, telling no more of it than an example it contains; None if it is."""
    if len(value) < shortest:
        return f"expected {shortest} characters or more, received {len(value)}"
    example = next((word for word in _EXAMPLES if word in value.lower()), None)
    if example:
        return f"expected a secret of your own, received one that contains {example!r}"
    if len(set(value)) < _FEWEST_DIFFERENT:
        return f"expected {_FEWEST_DIFFERENT} different characters or more, received {len(set(value))}"
    return None


def _fault_in_keys(text: str) -> str | None:
    """As `pika_kit.settings` reads them: `name:key` pairs between commas or new lines; none is good too."""
    pairs = [pair.strip() for pair in text.replace("\n", ",").split(",") if pair.strip()]
    keys = dict(pair.split(":", 1) for pair in pairs if ":" in pair)
    if len(keys) != len(pairs) or not all(keys):
        return f"expected NAME:KEY pairs with different names, received {len(pairs)} of which some are not"
    faults = ((name, weakness(key, SHORTEST)) for name, key in keys.items())
    return next((f"the key of {name!r}: {fault}" for name, fault in faults if fault), None)


def _fault_in_url(url: str, folder: Path) -> str | None:
    """The queue's URL is good, and has the password that the stack's own server gets."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        # The error itself may hold the password.
        return "expected redis://:PASSWORD@valkey:6379/0"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        return "expected redis://:PASSWORD@valkey:6379/0"
    fault = weakness(urllib.parse.unquote(parts.password or ""), SHORTEST)
    if fault:
        return f"its password: {fault}"
    # A server elsewhere has a password of its own.
    if parts.hostname == "valkey" and url != _url_with_password(folder):
        return f"expected redis://:PASSWORD@valkey:6379/0 with the password that {VALKEY_PASSWORD} has"
    return None


def _url_with_password(folder: Path) -> str | None:
    try:
        password = (folder / VALKEY_PASSWORD).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        return None
    return f"redis://:{password}@valkey:6379/0"


def make_secrets(folder: Path) -> list[Finding]:
    """Make what is missing or no good and leave the good ones; a finding on each says what was done."""
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
    except OSError as error:
        message = f"expected to make {folder} for its owner alone: {error.strerror}"
        return [Finding("secrets", PROBLEM, message, f"sudo chown -R $(id -u) {FOLDER}")]
    return [_make_secret(folder, name) for name in NAMES]


def _make_secret(folder: Path, name: str) -> Finding:
    path, title = folder / name, f"secret {name}"
    try:
        fault = fault_in(folder, name)
        if fault is None:
            path.chmod(_FILE_MODE)
            return Finding(title, OK, "kept")
        existed = path.exists()
        if existed and name == API_KEYS and path.is_file():
            # Its keys may be in use elsewhere.
            return Finding(title, PROBLEM, f"not replaced: {fault}", _remedy(folder, name))
        if path.is_dir():
            path.rmdir()
        _write(path, _new_value(folder, name))
    except OSError as error:
        message = f"expected to read and write {path}: {error.strerror}"
        return Finding(title, PROBLEM, message, f"sudo chown -R $(id -u) {FOLDER}")
    if existed:
        return Finding(title, WARNING, f"replaced: {fault}", _RESTART)
    return Finding(title, OK, "made")


def _new_value(folder: Path, name: str) -> str:
    if name == API_KEYS:
        return f"pikastack:{secrets.token_urlsafe(_SECRET_BYTES)}\n"  # more are appended
    if name == VALKEY_URL:
        url = _url_with_password(folder)
        if url is None:
            raise FileNotFoundError(errno.ENOENT, f"it is made from {VALKEY_PASSWORD}, which is missing")
        return url
    if name in USERS:
        return secrets.token_hex(_USER_BYTES)
    while True:
        value = secrets.token_urlsafe(_SECRET_BYTES)
        # Programs take a value that begins with a dash for an option.
        if _PLAIN.fullmatch(value) and weakness(value, SHORTEST) is None:
            return value


def _write(path: Path, value: str) -> None:
    """A file that is there with its whole content, or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(value, encoding="utf-8")
    temporary.chmod(_FILE_MODE)
    os.replace(temporary, path)
