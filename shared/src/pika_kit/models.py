"""The model registry: versions, a current alias, model cards and rollback, in the MODELS bucket.

    <name>/current.json              {"version": "v3", "history": ["v1", "v3"]}
    <name>/v3/card.json              written last, so that a version is seen only when it is whole
    <name>/v3/files/model.onnx       and saved_model/…, whatever was published

A version is immutable; only `current.json` ever changes.
"""

import json
import mimetypes
import os
import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing, Store

_VERSION = re.compile(r"v([1-9][0-9]*)")


class NoModel(LookupError):
    """No version is current: nothing was trained yet."""


class UnknownVersion(LookupError):
    """There is no such version."""


class Registry:
    """The versions of one model (`"classifier"` or `"gan"`). Safe to share between threads."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._fetch_lock = threading.Lock()

    def publish(self, folder: Path, card: dict[str, Any], *, activate: bool = True) -> str:
        """Upload all files of `folder` as the next version and return it ("v1", "v2", …).

        Args:
            folder: what serving needs (`model.onnx`, `saved_model/`) and what the card refers to.
            card: JSON-able facts about the version; `version` and `published_at` are added.
            activate: make it the current version.
        """
        version = self._reserve()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                relative = path.relative_to(folder).as_posix()
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                self._store.put_file(Bucket.MODELS, self._key(version, f"files/{relative}"), path, kind)
        published_at = datetime.now(UTC).isoformat(timespec="seconds")
        card = card | {"version": version, "published_at": published_at}
        self._store.put_json(Bucket.MODELS, self._key(version, "card.json"), card)
        if activate:
            self.activate(version)
        return version

    def versions(self) -> list[dict[str, Any]]:
        """The cards of all versions, oldest first; each also tells whether it `is_current`."""
        found = (info.key.split("/") for info in self._store.list(Bucket.MODELS, f"{self._name}/"))
        names = {parts[1] for parts in found if len(parts) == 3 and parts[2] == "card.json"}
        current = self.current()
        return [
            self.card(version) | {"is_current": version == current} for version in sorted(names, key=_number)
        ]

    def card(self, version: str) -> dict[str, Any]:
        """One version's card; raises UnknownVersion."""
        try:
            card: dict[str, Any] = self._store.get_json(Bucket.MODELS, self._key(version, "card.json"))
        except ObjectMissing:
            raise UnknownVersion(version) from None
        return card

    def current(self) -> str | None:
        """The version in use, or None before the first."""
        return self._alias()["version"]

    def activate(self, version: str) -> None:
        """Make `version` the current one; raises UnknownVersion."""
        self.card(version)
        history = [known for known in self._alias()["history"] if known != version]
        self._write_alias([*history, version])

    def rollback(self) -> str:
        """Return to the version that was current before, and name it.

        Raises:
            NoModel: there is no earlier version to return to.
        """
        history = self._alias()["history"]
        if len(history) < 2:
            raise NoModel(f"no {self._name} version was current before this one")
        self._write_alias(history[:-1])
        return str(history[-2])

    def file(self, version: str, relative: str) -> bytes:
        """One published file's bytes; raises UnknownVersion where the version or the file is not there."""
        try:
            return self._store.get(Bucket.MODELS, self._key(version, f"files/{relative}"))
        except ObjectMissing:
            raise UnknownVersion(f"{version}: {relative}") from None

    def fetch(self, version: str | None, cache: Path) -> tuple[str, Path]:
        """A local copy of a version's files, downloaded once: `(version, folder)`.

        Args:
            version: None for the current one.
            cache: a folder that may be shared by processes and lost at any time.

        Raises:
            NoModel: None was asked for and there is no current version. UnknownVersion: no such version.
        """
        version = version or self.current()
        if version is None:
            raise NoModel(f"no {self._name} model is published yet")
        card = self.card(version)
        # Version numbers begin again in another store: the time keeps its models apart from this one's.
        stamp = re.sub(r"[^0-9]", "", card["published_at"])
        folder = cache / self._name / f"{version}-{stamp}"
        with self._fetch_lock:
            if not folder.exists():
                self._download(version, folder)
        return version, folder

    def _download(self, version: str, folder: Path) -> None:
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        prefix = self._key(version, "files/")
        for info in self._store.list(Bucket.MODELS, prefix):
            self._store.get_file(Bucket.MODELS, info.key, partial / info.key.removeprefix(prefix))
        try:
            partial.rename(folder)
        except OSError:
            # Another process was faster; its copy is the same.
            shutil.rmtree(partial, ignore_errors=True)
            if not folder.exists():
                raise

    def _reserve(self) -> str:
        """Take the next free number; a conditional write lets two trainers never take the same one."""
        keys = (info.key.split("/") for info in self._store.list(Bucket.MODELS, f"{self._name}/"))
        taken = [_number(parts[1]) for parts in keys if _VERSION.fullmatch(parts[1])]
        number = max(taken, default=0) + 1
        while not self._store.put_json(
            Bucket.MODELS, self._key(f"v{number}", "reserved.json"), {}, only_if_absent=True
        ):
            number += 1
        return f"v{number}"

    def _alias(self) -> dict[str, Any]:
        try:
            alias: dict[str, Any] = self._store.get_json(Bucket.MODELS, f"{self._name}/current.json")
        except ObjectMissing:
            return {"version": None, "history": []}
        return alias

    def _write_alias(self, history: list[str]) -> None:
        alias = {"version": history[-1], "history": history}
        self._store.put(
            Bucket.MODELS,
            f"{self._name}/current.json",
            json.dumps(alias).encode(),
            content_type="application/json",
        )

    def _key(self, version: str, rest: str) -> str:
        if not _VERSION.fullmatch(version):
            raise UnknownVersion(version)
        return f"{self._name}/{version}/{rest}"


def _number(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match.group(1)) if match else 0
