"""One S3 object store through the `minio` client; MinIO, Silo, SeaweedFS and AWS behave alike.

Only errors that callers can act on are translated (`ObjectMissing`, `StoreUnavailable`); all others propagate
unchanged. `python -m pika_kit.storage` creates the buckets.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.credentials import StaticProvider
from minio.error import S3Error

from pika_kit.json_objects import to_json, update_json
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing, translated
from pika_kit.uploads import METADATA_PREFIX, Uploader

PROBE_SECONDS = 1.5


class OtherBucket(str):
    """A bucket outside the stack, by its full name; for `list` and `get`."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object in a listing; `size` in bytes. Only `stat` tells its metadata, with names in lower case."""

    key: str
    size: int
    etag: str
    modified: datetime | None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Store:
    """All of the stack's buckets in one object store. Thread-safe."""

    def __init__(self, client: Minio, uploader: Uploader, prefix: str, probe: Minio) -> None:
        self._client = client
        self._uploader = uploader
        self._prefix = prefix
        self._probe = probe

    @classmethod
    def connect(cls, settings: Settings) -> "Store":
        """Create a store with bounded retries and time-outs; nothing is sent until the first call."""
        pool = urllib3.PoolManager(
            num_pools=4,
            maxsize=32,
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=urllib3.Retry(total=4, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        # A separate connection pool: a hanging store must not block those who check whether it answers.
        probe = urllib3.PoolManager(
            maxsize=1, timeout=urllib3.Timeout(connect=PROBE_SECONDS, read=PROBE_SECONDS), retries=False
        )
        client = _client(settings, pool)
        uploader = Uploader(client, pool, _credentials(settings), settings.s3_region)
        return cls(client, uploader, settings.bucket_prefix, _client(settings, probe))

    def ensure_buckets(self) -> None:
        """Create every bucket of the flow that does not exist; safe to run concurrently."""
        for bucket in Bucket:
            name = self.name(bucket)
            with translated(name, ""):
                if self._exists(name):
                    continue
                try:
                    self._client.make_bucket(name)
                except S3Error as error:
                    if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                        raise

    def _exists(self, name: str) -> bool:
        try:
            return bool(self._client.bucket_exists(name))
        except S3Error as error:
            # The error does not mean that the bucket is missing, so it exists and others may use it.
            if error.code == "AccessDenied":
                return True
            raise

    def probe(self) -> None:
        """Raise StoreUnavailable or an S3Error unless the store accepts our credentials in seconds."""
        with translated(self._prefix, ""):
            # Every service may list buckets; after the last key there is nothing to return.
            next(iter(self._probe.list_objects(self.name(Bucket.RAW), start_after="~")), None)

    def name(self, bucket: Bucket | OtherBucket) -> str:
        """Return the bucket's name in the store."""
        return str(bucket) if isinstance(bucket, OtherBucket) else f"{self._prefix}{bucket.value}"

    def put(
        self,
        bucket: Bucket,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        only_if_absent: bool = False,
        only_if_etag: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Write one object atomically; return False, with nothing written, if a condition does not hold.

        See `Uploader.put`.
        """
        with translated(self.name(bucket), key):
            return self._uploader.put(
                self.name(bucket),
                key,
                data,
                content_type=content_type,
                only_if_absent=only_if_absent,
                only_if_etag=only_if_etag,
                metadata=metadata,
            )

    def put_file(
        self, bucket: Bucket, key: str, path: Path, content_type: str = "application/octet-stream"
    ) -> None:
        """Upload a file; large ones are split into parts."""
        with translated(self.name(bucket), key):
            self._client.fput_object(self.name(bucket), key, str(path), content_type=content_type)

    def get(self, bucket: Bucket | OtherBucket, key: str) -> bytes:
        """Return the object's bytes.

        Raises:
            ObjectMissing: there is no such key.
        """
        with translated(self.name(bucket), key):
            response = self._client.get_object(self.name(bucket), key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def get_file(self, bucket: Bucket, key: str, path: Path) -> None:
        """Download to `path`, which appears only when complete."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with translated(self.name(bucket), key):
            self._client.fget_object(self.name(bucket), key, str(partial))
        partial.replace(path)

    def stat(self, bucket: Bucket, key: str) -> ObjectInfo:
        """Return size, ETag, time and metadata of one object. Raises ObjectMissing."""
        with translated(self.name(bucket), key):
            stat = self._client.stat_object(self.name(bucket), key)
        metadata = {
            name.lower().removeprefix(METADATA_PREFIX): value
            for name, value in (stat.metadata or {}).items()
            if name.lower().startswith(METADATA_PREFIX)
        }
        return ObjectInfo(key, stat.size or 0, stat.etag or "", stat.last_modified, metadata)

    def exists(self, bucket: Bucket, key: str) -> bool:
        """Return whether the bucket contains the key."""
        try:
            self.stat(bucket, key)
        except ObjectMissing:
            return False
        return True

    def list(
        self, bucket: Bucket | OtherBucket, prefix: str = "", *, start_after: str = ""
    ) -> Iterator[ObjectInfo]:
        """Iterate over all objects under `prefix` in key order, starting after the key `start_after`."""
        with translated(self.name(bucket), prefix):
            for entry in self._client.list_objects(
                self.name(bucket), prefix=prefix, recursive=True, start_after=start_after or None
            ):
                if not entry.is_dir:
                    yield ObjectInfo(
                        str(entry.object_name), entry.size or 0, entry.etag or "", entry.last_modified
                    )

    def delete(self, bucket: Bucket, key: str) -> None:
        """Remove one object; removing a missing one is not an error."""
        with translated(self.name(bucket), key):
            self._client.remove_object(self.name(bucket), key)

    def copy(self, source: Bucket, key: str, target: Bucket, target_key: str | None = None) -> None:
        """Copy inside the store. Raises ObjectMissing if the source does not exist."""
        with translated(self.name(source), key):
            self._client.copy_object(self.name(target), target_key or key, CopySource(self.name(source), key))

    def put_json(self, bucket: Bucket, key: str, value: Any, *, only_if_absent: bool = False) -> bool:
        """Write `value` as UTF-8 JSON."""
        return self.put(
            bucket, key, to_json(value), content_type="application/json", only_if_absent=only_if_absent
        )

    def get_json(self, bucket: Bucket, key: str) -> Any:
        """Read a JSON object. Raises ObjectMissing."""
        return json.loads(self.get(bucket, key))

    def read_json(self, bucket: Bucket, key: str, default: Any) -> tuple[Any, str | None]:
        """Return a JSON object with its ETag, or `(default, None)` if there is none."""
        try:
            with translated(self.name(bucket), key):
                response = self._client.get_object(self.name(bucket), key)
                try:
                    return json.loads(response.read()), str(response.headers["ETag"]).strip('"')
                finally:
                    response.close()
                    response.release_conn()
        except ObjectMissing:
            return default, None

    def update_json(self, bucket: Bucket, key: str, change: Callable[[Any], Any], default: Any) -> Any:
        """Change a JSON object by compare-and-swap, losing no other writer's change.

        Args:
            change: old value → new value; called again if another writer was faster. Its exceptions
                propagate.
            default: the old value if there is no object.
        """
        return update_json(self, bucket, key, change, default)


def _client(settings: Settings, pool: urllib3.PoolManager) -> Minio:
    url = urlsplit(settings.s3_url)
    return Minio(
        endpoint=url.netloc,
        credentials=_credentials(settings),
        secure=url.scheme == "https",
        # With a region set the client never asks for the bucket's region, which needs an extra permission.
        region=settings.s3_region,
        http_client=pool,
    )


def _credentials(settings: Settings) -> StaticProvider:
    return StaticProvider(
        settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    )


if __name__ == "__main__":  # python -m pika_kit.storage: create the buckets
    Store.connect(Settings.from_environment()).ensure_buckets()
