"""A local file with the squares that a scrape job has made and that `prepare` will need a moment later.

A picture is thus decoded once for both. The spool is bounded and may be lost at any time: what is missing
is read from the raw bucket and decoded again, with the same result. It is a SQLite database, because a row
costs less than a file, and because several processes can read it: of simultaneous jobs the first that
prepares does so for all, and finds the others' squares in the same folder.
"""

import json
import logging
import shutil
import sqlite3
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from pika_scraper.config import PrepareConfig
from pika_scraper.pictures.pipeline import Prepared

_PREFIX = "squares-"
_ABANDONED_SECONDS = 86_400.0
_FREE_SHARE = 4
"""A quarter of what the disk has free, at most."""

log = logging.getLogger(__name__)


class Spool:
    """Picture id → its square, for one job; kept for a killed job that continues.

    Thread-safe.

    Args:
        folder: where it creates its file.
        job_id: names the file.
        config: how the squares are made; only jobs with the same share them.
        max_bytes: beyond this nothing is kept.
    """

    def __init__(self, folder: Path, job_id: str, config: PrepareConfig, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        suffix = f"-{zlib.crc32(repr(config).encode()):08x}.sqlite"
        self._path = folder / f"{_PREFIX}{job_id}{suffix}"
        self._others = f"{_PREFIX}*{suffix}"
        self._opened: list[sqlite3.Connection] | None = None
        self._lock = threading.Lock()
        self._outdated: set[str] = set()
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            log.warning("the kept squares are unreadable, and will be made again: %s", error)
            self._remove()
            self._database = self._open()
        sizes = self._rows("SELECT length(facts) + length(square) FROM squares")
        used = sum(size for (size,) in sizes)
        self._left = min(max_bytes, shutil.disk_usage(folder).free // _FREE_SHARE) - used

    def put(self, picture_id: str, prepared: Prepared, provenance: dict[str, Any]) -> None:
        """Keep a picture's square and its raw provenance, if there is room."""
        facts = json.dumps(prepared.facts())
        row = (picture_id, json.dumps(provenance), facts, prepared.square)
        with self._lock:
            if self._left <= 0 or picture_id in self._outdated:
                return
            self._left -= len(facts) + len(prepared.square)
            try:
                self._database.execute("INSERT OR REPLACE INTO squares VALUES (?, ?, ?, ?)", row)
            except sqlite3.Error as error:
                log.warning("a square could not be kept for later, and will be made again: %s", error)

    def provenance(self, picture_id: str) -> dict[str, Any] | None:
        """Return the raw provenance of a picture that this job or a simultaneous one has kept, or None."""
        rows = self._look_up("SELECT provenance FROM squares WHERE id = ?", picture_id)
        return json.loads(rows[0][0]) if rows else None

    def prepared(self, picture_id: str) -> Prepared | None:
        """Return what this job or a simultaneous one has kept, or None."""
        rows = self._look_up("SELECT facts, square FROM squares WHERE id = ?", picture_id)
        return Prepared(square=rows[0][1], **json.loads(rows[0][0])) if rows else None

    def forget(self, picture_id: str) -> None:
        """Drop a picture whose provenance has changed, even if a thread is about to keep it."""
        with self._lock:
            self._outdated.add(picture_id)
        self._rows("DELETE FROM squares WHERE id = ?", picture_id)

    def delete(self) -> None:
        """Delete all of it."""
        with self._lock:
            for database in (self._database, *(self._opened or ())):
                database.close()
        self._remove()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        # A killed process loses nothing; what a machine's failure leaves is recognised and made again.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "CREATE TABLE IF NOT EXISTS squares"
            " (id TEXT PRIMARY KEY, provenance TEXT, facts TEXT, square BLOB)"
        )
        return database

    def _look_up(self, query: str, picture_id: str) -> list[Any]:
        if picture_id in self._outdated:
            return []
        return self._rows(query, picture_id) or next(
            filter(None, (self._rows(query, picture_id, database=other) for other in self._of_others())), []
        )

    def _of_others(self) -> list[sqlite3.Connection]:
        """Open the files of simultaneous jobs, once."""
        with self._lock:
            if self._opened is None:
                self._opened = []
                for path in sorted(self._path.parent.glob(self._others)):
                    if path != self._path:
                        with suppress(sqlite3.Error):  # deleted a moment ago
                            self._opened.append(
                                sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
                            )
            return self._opened

    def _rows(self, query: str, *values: str, database: sqlite3.Connection | None = None) -> list[Any]:
        with self._lock:
            try:
                return (database or self._database).execute(query, values).fetchall()
            except sqlite3.Error as error:
                log.warning("kept squares could not be read, and will be made again: %s", error)
                return []

    def _remove(self) -> None:
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Delete spools of jobs that never continued here."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                # Before 0.3 a spool was a folder with a file for each square.
                shutil.rmtree(path) if path.is_dir() else path.unlink()
