"""A run's folder in the RUNS bucket: what the worker writes there and the front end reads. No TensorFlow.

gan/<run_id>/run.json            status, step, preset: written with each checkpoint
gan/<run_id>/config.json         preset, seed, budget
gan/<run_id>/manifest.json       the ids of the pictures it saw
gan/<run_id>/log.jsonl           the curves; the same for TensorBoard in tensorboard/
gan/<run_id>/samples/step-….png  sample sheets; of the chosen generator best.png; all of them film.webp
gan/<run_id>/preferred.png       of each of best.png's seeds the first candidate that the judge accepts
gan/<run_id>/checkpoints/…       the last few; the chosen generator's weights in best.npz
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing

PREFIX = "gan/"
CHECKPOINTS = "checkpoints/"
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHEET = re.compile(r"samples/step-(\d+)\.png")


class RunMissing(LookupError):
    """There is no such run, or it has no such file."""


def is_run_id(text: str) -> bool:
    """Return whether the text has the form of a run's id."""
    return _RUN_ID.fullmatch(text) is not None


class RunFolder:
    """One run's objects."""

    def __init__(self, store: Store, run_id: str) -> None:
        if not is_run_id(run_id):
            raise RunMissing(run_id)
        self.store, self.run_id, self.prefix = store, run_id, f"{PREFIX}{run_id}/"
        self._uploaded: dict[str, tuple[int, int]] = {}

    def upload(self, folder: Path) -> None:
        """Upload what is new or changed in `folder`, then delete checkpoints that no longer exist there."""
        present = set()
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not path.is_file() or path.name.startswith("."):
                continue
            present.add(name)
            stamp = (path.stat().st_mtime_ns, path.stat().st_size)
            if self._uploaded.get(name) == stamp:
                continue
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            self.store.put_file(Bucket.RUNS, self.prefix + name, path, kind)
            self._uploaded[name] = stamp
        for name in self.names(CHECKPOINTS):
            if name not in present:
                self.store.delete(Bucket.RUNS, self.prefix + name)

    def download(self, folder: Path) -> None:
        """Download everything except TensorBoard's logs, for a worker without a local copy."""
        for name in self.names():
            if not name.startswith("tensorboard/"):
                self.store.get_file(Bucket.RUNS, self.prefix + name, folder / name)

    def names(self, under: str = "") -> list[str]:
        """List file names below the run's folder, in order."""
        return [
            entry.key.removeprefix(self.prefix) for entry in self.store.list(Bucket.RUNS, self.prefix + under)
        ]

    def read(self, name: str) -> bytes:
        """Read one file. Raises RunMissing."""
        try:
            return self.store.get(Bucket.RUNS, self.prefix + name)
        except ObjectMissing:
            raise RunMissing(f"{self.run_id}: {name}") from None

    def status(self) -> dict[str, Any] | None:
        """Return what `set_status` last wrote, or None."""
        try:
            status: dict[str, Any] = self.store.get_json(Bucket.RUNS, self.prefix + "run.json")
        except ObjectMissing:
            return None
        return status

    def set_status(self, **values: Any) -> None:
        """Update fields of the run's status."""
        self.store.put_json(Bucket.RUNS, self.prefix + "run.json", (self.status() or {}) | values)

    def sheet_steps(self) -> list[int]:
        """List the steps that have a sample sheet, ascending."""
        matches = (_SHEET.fullmatch(name) for name in self.names("samples/"))
        return sorted(int(match.group(1)) for match in matches if match)


def list_runs(store: Store) -> list[tuple[str, dict[str, Any]]]:
    """List (run id, status) of all runs, most recent first."""
    suffix = "/run.json"
    ids = [
        entry.key.removeprefix(PREFIX).removesuffix(suffix)
        for entry in store.list(Bucket.RUNS, PREFIX)
        if entry.key.endswith(suffix)
    ]
    runs = [(run_id, RunFolder(store, run_id).status() or {}) for run_id in ids]
    return sorted(runs, key=lambda run: str(run[1].get("started_at", "")), reverse=True)
