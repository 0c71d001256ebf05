"""Local files with the squares that a scrape job has made and that `prepare` will need a moment later.

A picture is thus decoded once for both. The spool is bounded and may disappear at any time: what is missing
is read from the raw bucket and decoded again, with the same result.
"""

import json
import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pika_scraper.pictures.pipeline import Prepared

_PREFIX = "squares-"
_ABANDONED_SECONDS = 86_400.0
_FREE_SHARE = 4
"""A quarter of what the disk has free, at most."""

log = logging.getLogger(__name__)


class Spool:
    """Picture id → its square, for one job; kept for a killed job that continues.

    Thread-safe for different ids.

    Args:
        folder: where it creates a folder of its own.
        max_bytes: beyond this nothing is kept.
    """

    def __init__(self, folder: Path, job_id: str, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        self._folder = folder / f"{_PREFIX}{job_id}"
        self._folder.mkdir(exist_ok=True)
        self._outdated: set[str] = set()
        used = sum(path.stat().st_size for path in self._folder.iterdir())
        self._left = min(max_bytes, shutil.disk_usage(folder).free // _FREE_SHARE) - used

    def put(self, picture_id: str, prepared: Prepared, provenance: dict[str, Any]) -> None:
        """Keep a picture's square and its raw provenance, if there is room."""
        if self._left <= 0 or picture_id in self._outdated:
            return
        path = self._folder / picture_id
        words = json.dumps({"facts": prepared.facts(), "provenance": provenance}).encode()
        self._left -= len(words) + len(prepared.square)
        try:
            # Renamed when complete: a partial file is never read.
            part = path.with_suffix(".part")
            part.write_bytes(words + b"\n" + prepared.square)
            part.rename(path)
            if picture_id in self._outdated:  # in the meantime
                self._unlink(picture_id)
        except OSError as error:
            log.warning("a square could not be kept for later, and will be made again: %s", error)

    def provenance(self, picture_id: str) -> dict[str, Any] | None:
        """Return a kept picture's raw provenance, or None."""
        try:
            with (self._folder / picture_id).open("rb") as file:
                provenance: dict[str, Any] = json.loads(file.readline())["provenance"]
                return provenance
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def take(self, picture_id: str) -> Prepared | None:
        """Remove and return what was kept, or None."""
        path = self._folder / picture_id
        try:
            words, _, square = path.read_bytes().partition(b"\n")
            return Prepared(square=square, **json.loads(words)["facts"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        finally:
            self._unlink(picture_id)

    def forget(self, picture_id: str) -> None:
        """Drop a picture whose provenance has changed, even if a thread is about to keep it."""
        self._outdated.add(picture_id)
        self._unlink(picture_id)

    def _unlink(self, picture_id: str) -> None:
        with suppress(OSError):
            os.unlink(self._folder / picture_id)

    def delete(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Delete spools of jobs that never continued here."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
