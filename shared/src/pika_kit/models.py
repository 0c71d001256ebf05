"""The model registry in the MODELS bucket: versions, the current alias, model cards and rollback.

    <name>/current.json              {"version": "v3", "history": ["v1", "v3"], "change": a unique id}
    <name>/runs/<run id>.json        {"version": "v3", "is_done": true}: the version that a run published
    <name>/v3/card.json              written last, so that only complete versions are visible
    <name>/v3/files/model.onnx       and saved_model/…, whatever was published
    <name>/v3/pictures.json          the ids of the pictures it was trained on

A version is immutable. `current.json` changes by compare-and-swap, so that concurrent publications and
rollbacks lose nothing.
"""

import mimetypes
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.withdrawn import withdrawn_ids

_VERSION = re.compile(r"v([1-9][0-9]*)")
_NO_ALIAS: dict[str, Any] = {"version": None, "history": []}


class NoModel(LookupError):
    """No version is active: nothing has been trained yet."""


class UnknownVersion(LookupError):
    """There is no such version."""


class Registry:
    """The versions of one model (`"classifier"` or `"gan"`). Thread-safe."""

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store
        self._cards: dict[tuple[str, str], dict[str, Any]] = {}
        """(version, ETag) → card: a card never changes, but a store may be emptied and begun anew."""
        self._pictures: dict[tuple[str, str], set[str]] = {}
        self._fetch_lock = threading.Lock()

    def publish(
        self,
        folder: Path,
        card: dict[str, Any],
        *,
        run_id: str | None = None,
        activate: bool = True,
        faults: Sequence[str] = (),
        pictures: Iterable[str] = (),
    ) -> str:
        """Upload all files of `folder` as the next version and return its name ("v1", "v2", …).

        Args:
            folder: what serving needs (`model.onnx`, `saved_model/`) and what the card refers to.
            card: JSON-able facts about the version; `version`, `published_at` and `gate` are added.
            run_id: publishing again for the same run returns the same version and completes an upload that
                was interrupted.
            activate: make it the current version unless it has faults.
            faults: why this version should not be served, such as "its pictures are all alike". It is still
                published, so that it can be inspected and activated by hand.
            pictures: ids of the pictures it was trained on; `versions` reports those withdrawn since.
        """
        run_id = run_id or uuid.uuid4().hex
        note = self._note(run_id)
        if note["is_done"]:
            return str(note["version"])
        version = str(note["version"])
        if not self._store.exists(Bucket.MODELS, self._key(version, "card.json")):
            self._upload(version, folder)
            self._store.put_json(Bucket.MODELS, self._key(version, "pictures.json"), sorted(pictures))
            gate = {"passed": not faults, "faults": list(faults)}
            published_at = datetime.now(UTC).isoformat(timespec="seconds")
            card = card | {"version": version, "published_at": published_at, "gate": gate, "run_id": run_id}
            self._store.put_json(Bucket.MODELS, self._key(version, "card.json"), card)
        if activate and not faults:
            self.activate(version)
        self._store.put_json(
            Bucket.MODELS, f"{self.name}/runs/{run_id}.json", {"version": version, "is_done": True}
        )
        return version

    def published_by(self, run_id: str) -> str | None:
        """Return the version that a run has finished publishing, or None."""
        try:
            note = self._store.get_json(Bucket.MODELS, f"{self.name}/runs/{run_id}.json")
        except ObjectMissing:
            return None
        return str(note["version"]) if note["is_done"] else None

    def versions(self) -> list[dict[str, Any]]:
        """Return the cards of all versions, oldest first, each with `is_current`.

        `withdrawn`, if present, lists pictures it was trained on that have been withdrawn since.
        """
        current, gone = self.current(), set(withdrawn_ids(self._store))
        cards = [
            (parts[1], info.etag)
            for info in self._store.list(Bucket.MODELS, f"{self.name}/v")
            if len(parts := info.key.split("/")) == 3 and parts[2] == "card.json"
        ]
        return [
            self._card(version, etag)
            | {"is_current": version == current}
            | self._withdrawn(version, etag, gone)
            for version, etag in sorted(cards, key=lambda item: _number(item[0]))
        ]

    def card(self, version: str) -> dict[str, Any]:
        """Return one version's card. Raises UnknownVersion."""
        try:
            card: dict[str, Any] = self._store.get_json(Bucket.MODELS, self._key(version, "card.json"))
        except ObjectMissing:
            raise UnknownVersion(version) from None
        return card

    def _card(self, version: str, etag: str) -> dict[str, Any]:
        key = (version, etag)
        if key not in self._cards:
            self._cards[key] = self.card(version)
        return self._cards[key]

    def _withdrawn(self, version: str, etag: str, gone: set[str]) -> dict[str, Any]:
        if not gone:
            return {}
        if (version, etag) not in self._pictures:
            self._pictures[version, etag] = self.pictures(version)
        withdrawn = gone & self._pictures[version, etag]
        return {"withdrawn": sorted(withdrawn)} if withdrawn else {}

    def pictures(self, version: str) -> set[str]:
        """Return the ids of the pictures that a version was trained on."""
        return set(self._store.read_json(Bucket.MODELS, self._key(version, "pictures.json"), [])[0])

    def current(self) -> str | None:
        """Return the current version, or None before the first."""
        alias = self._store.read_json(Bucket.MODELS, self._alias_key, _NO_ALIAS)[0]
        return None if alias["version"] is None else str(alias["version"])

    def activate(self, version: str) -> None:
        """Make `version` the current one. Raises UnknownVersion."""
        self.card(version)

        def change(alias: dict[str, Any]) -> dict[str, Any]:
            history = [*(known for known in alias["history"] if known != version), version]
            return {"version": version, "history": history, "change": uuid.uuid4().hex}

        self._store.update_json(Bucket.MODELS, self._alias_key, change, _NO_ALIAS)

    def rollback(self) -> str:
        """Return to the previously current version and return its name.

        Raises:
            NoModel: there is no earlier version.
        """

        def change(alias: dict[str, Any]) -> dict[str, Any]:
            history = alias["history"]
            if len(history) < 2:
                raise NoModel(f"no {self.name} version was current before this one")
            return {"version": history[-2], "history": history[:-1], "change": uuid.uuid4().hex}

        alias = self._store.update_json(Bucket.MODELS, self._alias_key, change, _NO_ALIAS)
        return str(alias["version"])

    def file(self, version: str, relative: str) -> bytes:
        """Return one published file's bytes. Raises UnknownVersion if version or file is missing."""
        try:
            return self._store.get(Bucket.MODELS, self._key(version, f"files/{relative}"))
        except ObjectMissing:
            raise UnknownVersion(f"{version}: {relative}") from None

    def fetch(self, version: str | None, cache: Path, only: str = "") -> tuple[str, Path, dict[str, Any]]:
        """Return a local copy of a version's files, downloaded once: `(version, folder, card)`.

        Args:
            version: None for the current one.
            cache: a folder that processes may share and that may be lost at any time.
            only: prefixes of the files to download: "model.onnx", "saved_model/".

        Raises:
            NoModel: None was given and there is no current version.
            UnknownVersion: there is no such version.
        """
        version = version or self.current()
        if version is None:
            raise NoModel(f"no {self.name} model is published yet")
        card = self.card(version)
        # Version numbers restart in another store; the publication time distinguishes equal numbers.
        stamp = re.sub(r"[^0-9]", "", card["published_at"])
        what = re.sub(r"[^a-z_]", "", only)
        folder = cache / self.name / f"{version}-{stamp}-{what}"
        with self._fetch_lock:
            if folder.exists():
                os.utime(folder)  # marks it as in use: see `following.evict`
            else:
                self._download(version, folder, only)
        return version, folder, card

    def _download(self, version: str, folder: Path, only: str) -> None:
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        prefix = self._key(version, "files/")
        for info in self._store.list(Bucket.MODELS, prefix + only):
            self._store.get_file(Bucket.MODELS, info.key, partial / info.key.removeprefix(prefix))
        if not partial.exists():
            raise UnknownVersion(f"{version}: {only}")
        try:
            partial.rename(folder)
        except OSError:
            # Another process was faster; its copy is identical.
            shutil.rmtree(partial, ignore_errors=True)
            if not folder.exists():
                raise

    def _upload(self, version: str, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                relative = path.relative_to(folder).as_posix()
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                self._store.put_file(Bucket.MODELS, self._key(version, f"files/{relative}"), path, kind)

    def _note(self, run_id: str) -> dict[str, Any]:
        """Return the version that a run publishes and whether it is done; reserve one at first."""
        key = f"{self.name}/runs/{run_id}.json"
        try:
            note: dict[str, Any] = self._store.get_json(Bucket.MODELS, key)
        except ObjectMissing:
            note = {"version": self._reserve(run_id), "is_done": False}
            if not self._store.put_json(Bucket.MODELS, key, note, only_if_absent=True):
                note = self._store.get_json(Bucket.MODELS, key)
        return note

    def _reserve(self, run_id: str) -> str:
        """Reserve the next free number; a conditional write gives each trainer its own."""
        keys = (info.key.split("/") for info in self._store.list(Bucket.MODELS, f"{self.name}/v"))
        taken = [_number(parts[1]) for parts in keys if _VERSION.fullmatch(parts[1])]
        number = max(taken, default=0) + 1
        while not self._store.put_json(
            Bucket.MODELS, self._key(f"v{number}", "reserved.json"), {"run_id": run_id}, only_if_absent=True
        ):
            number += 1
        return f"v{number}"

    @property
    def _alias_key(self) -> str:
        return f"{self.name}/current.json"

    def _key(self, version: str, rest: str) -> str:
        if not _VERSION.fullmatch(version):
            raise UnknownVersion(version)
        return f"{self.name}/{version}/{rest}"


def _number(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match.group(1)) if match else 0
