"""Which picture each address gave, remembered across jobs, so that nothing is fetched twice in a month.

The memory consists of a few objects in the raw bucket, by the address's hash, each read on first use.
Concurrent jobs' notes are merged. It only saves work: what it loses is fetched again.
"""

import hashlib
import threading
import time
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import Store

KEPT_SECONDS = 30 * 86_400
"""An address may show another picture by then."""
_SAVED_EVERY_SECONDS = 60.0
_DIGITS = 1  # sixteen objects

Shard = dict[str, list[Any]]
"""Hash of an address → [picture id, when it was fetched, in whole seconds since 1970]."""


class Seen:
    """Thread-safe.

    Args:
        store: holds the raw bucket.
        clock: seconds since 1970; replaced in tests.
    """

    def __init__(self, store: Store, clock: Any = time.time) -> None:
        self._store, self._clock = store, clock
        self._shards: dict[str, Shard] = {}
        self._new: dict[str, Shard] = {}
        self._lock = threading.Lock()
        self._saved_at = time.monotonic()

    def find(self, url: str) -> str | None:
        """Return the id of the picture that the address gave, unless that was too long ago."""
        key = _hash(url)
        with self._lock:
            entry = self._shard(key[:_DIGITS]).get(key)
        if entry is None or self._clock() - entry[1] > KEPT_SECONDS:
            return None
        return str(entry[0])

    def note(self, url: str, picture_id: str) -> None:
        """Remember what an address gave; written from time to time, and by `save`."""
        key = _hash(url)
        with self._lock:
            entry = [picture_id, int(self._clock())]
            self._shard(key[:_DIGITS])[key] = entry
            self._new.setdefault(key[:_DIGITS], {})[key] = entry
            is_due = time.monotonic() - self._saved_at > _SAVED_EVERY_SECONDS
        if is_due:
            self.save()

    def save(self) -> None:
        """Write new entries, merged with those that other jobs have written meanwhile."""
        with self._lock:
            new, self._new = self._new, {}
            self._saved_at = time.monotonic()
        oldest = self._clock() - KEPT_SECONDS
        for name, shard in new.items():

            def merged(old: Shard, shard: Shard = shard) -> Shard:
                return {key: entry for key, entry in (old | shard).items() if entry[1] > oldest}

            self._store.update_json(Bucket.RAW, _key(name), merged, {})

    def _shard(self, name: str) -> Shard:
        if name not in self._shards:
            self._shards[name], _ = self._store.read_json(Bucket.RAW, _key(name), {})
        return self._shards[name]


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:32]


def _key(name: str) -> str:
    return f"seen/{name}.json"
