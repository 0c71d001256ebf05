"""For unit tests: an in-memory object store with `Store`'s interface, and settings without servers.

Integration tests use real servers; both stores pass the same tests.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pika_kit.json_objects import update_json
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.storage import ObjectInfo, OtherBucket
from pika_kit.store_errors import ObjectMissing


class _Object(NamedTuple):
    data: bytes
    modified: datetime
    metadata: Mapping[str, str]


class MemoryStore:
    """A dictionary that behaves like `pika_kit.storage.Store`."""

    def __init__(self) -> None:
        self._objects: dict[tuple[Bucket, str], _Object] = {}
        self._lock = threading.Lock()

    def ensure_buckets(self) -> None:
        """Do nothing: every bucket exists."""

    def probe(self) -> None:
        """Do nothing: it always answers."""

    def name(self, bucket: Bucket | OtherBucket) -> str:
        """See Store."""
        return str(bucket) if isinstance(bucket, OtherBucket) else f"memory-{bucket.value}"

    def put(
        self,
        bucket: Bucket,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",  # noqa: ARG002 — the same interface as Store
        only_if_absent: bool = False,
        only_if_etag: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """See Store."""
        with self._lock:
            if only_if_absent and (bucket, key) in self._objects:
                return False
            existing = self._objects.get((bucket, key))
            if only_if_etag is not None and (existing is None or _etag(existing.data) != only_if_etag):
                return False
            self._objects[bucket, key] = _Object(bytes(data), datetime.now(UTC), dict(metadata or {}))
            return True

    def put_file(
        self, bucket: Bucket, key: str, path: Path, content_type: str = "application/octet-stream"
    ) -> None:
        """See Store."""
        self.put(bucket, key, path.read_bytes(), content_type=content_type)

    def age(self, bucket: Bucket, key: str, seconds: float) -> None:
        """Make an object older by the given time."""
        kept = self._objects[bucket, key]
        self._objects[bucket, key] = kept._replace(modified=kept.modified - timedelta(seconds=seconds))

    def get(self, bucket: Bucket, key: str) -> bytes:
        """See Store."""
        try:
            return self._objects[bucket, key].data
        except KeyError:
            raise ObjectMissing(self.name(bucket), key) from None

    def get_file(self, bucket: Bucket, key: str, path: Path) -> None:
        """See Store."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.get(bucket, key))

    def stat(self, bucket: Bucket, key: str) -> ObjectInfo:
        """See Store."""
        try:
            kept = self._objects[bucket, key]
        except KeyError:
            raise ObjectMissing(self.name(bucket), key) from None
        return ObjectInfo(key, len(kept.data), _etag(kept.data), kept.modified, kept.metadata)

    def exists(self, bucket: Bucket, key: str) -> bool:
        """See Store."""
        return (bucket, key) in self._objects

    def list(self, bucket: Bucket, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """See Store."""
        keys = sorted(key for owner, key in list(self._objects) if owner == bucket)
        for key in keys:
            if key.startswith(prefix) and key > start_after:
                yield MemoryStore.stat(self, bucket, key)

    def delete(self, bucket: Bucket, key: str) -> None:
        """See Store."""
        self._objects.pop((bucket, key), None)

    def copy(self, source: Bucket, key: str, target: Bucket, target_key: str | None = None) -> None:
        """See Store."""
        metadata = self.stat(source, key).metadata
        self.put(target, target_key or key, self.get(source, key), metadata=metadata)

    def put_json(self, bucket: Bucket, key: str, value: Any, *, only_if_absent: bool = False) -> bool:
        """See Store."""
        return self.put(bucket, key, json.dumps(value).encode(), only_if_absent=only_if_absent)

    def get_json(self, bucket: Bucket, key: str) -> Any:
        """See Store."""
        return json.loads(self.get(bucket, key))

    def read_json(self, bucket: Bucket, key: str, default: Any) -> tuple[Any, str | None]:
        """See Store."""
        try:
            data = self.get(bucket, key)
        except ObjectMissing:
            return default, None
        return json.loads(data), _etag(data)

    def update_json(self, bucket: Bucket, key: str, change: Callable[[Any], Any], default: Any) -> Any:
        """See Store."""
        return update_json(self, bucket, key, change, default)


class VanishingStore(MemoryStore):
    """A copy of a store in which some objects are deleted between listing and reading.

    Args:
        store: the original.
        prefixes: what the deleted objects' keys begin with.
        only: the way of reading before which they are deleted, "get" or "stat"; None means either.
    """

    def __init__(self, store: MemoryStore, *prefixes: str, only: str | None = None) -> None:
        super().__init__()
        self._objects = dict(store._objects)
        self._prefixes, self._only = prefixes, only

    def get(self, bucket: Bucket, key: str) -> bytes:
        """See Store; deleted objects are missing."""
        self._vanish(bucket, key, "get")
        return super().get(bucket, key)

    def stat(self, bucket: Bucket, key: str) -> ObjectInfo:
        """See Store; deleted objects are missing."""
        self._vanish(bucket, key, "stat")
        return super().stat(bucket, key)

    def _vanish(self, bucket: Bucket, key: str, way: str) -> None:
        if key.startswith(self._prefixes) and self._only in (None, way):
            self.delete(bucket, key)
            raise ObjectMissing(self.name(bucket), key)


class CountingStore(MemoryStore):
    """A copy of a store that counts its calls: `num_calls` by method name."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._objects = dict(store._objects)
        self.num_calls: Counter[str] = Counter()

    def get(self, bucket: Bucket, key: str) -> bytes:
        """See Store."""
        self.num_calls["get"] += 1
        return super().get(bucket, key)

    def put(self, *arguments: Any, **options: Any) -> bool:
        """See Store."""
        self.num_calls["put"] += 1
        return super().put(*arguments, **options)

    def list(self, bucket: Bucket, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """See Store; counts pages of a thousand, as a real store returns them."""
        for number, info in enumerate(super().list(bucket, prefix, start_after=start_after)):
            if number % 1000 == 0:
                self.num_calls["list"] += 1
            yield info


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def settings_for_tests(state_dir: Path, **changes: Any) -> Settings:
    """Settings for testing views without servers."""
    defaults: dict[str, Any] = {
        "s3_url": "http://127.0.0.1:9",
        "s3_access_key": "test",
        "s3_secret_key": "test-secret",
        "valkey_url": "redis://127.0.0.1:9/0",
        "state_dir": state_dir,
    }
    return Settings(**(defaults | changes))
