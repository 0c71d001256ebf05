"""One S3 object store, spoken to through the `minio` client; MinIO, Silo, SeaweedFS and AWS answer alike.

Only the errors that callers can act on are translated (`ObjectMissing`, `StoreUnavailable`); all others rise
as they are. `python -m pika_kit.storage` makes the buckets.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.error import S3Error, ServerError
from urllib3.exceptions import HTTPError

from pika_kit.json_objects import to_json, update_json
from pika_kit.settings import Settings
from pika_kit.stages import Bucket

_MISSING_CODES = {"NoSuchKey", "NoSuchBucket", "NoSuchObject", "ResourceNotFound"}
# The store is there and cannot serve now: full, starting, or asking for patience.
_AWAY_CODES = {
    *("XMinioStorageFull", "XMinioServerNotInitialized", "InternalError", "ServiceUnavailable"),
    *("SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout", "OperationAborted"),
}
PROBE_SECONDS = 1.5
_ALREADY_THERE = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT}
_CHANGED_OR_GONE = _ALREADY_THERE | {HTTPStatus.NOT_FOUND}


class ObjectMissing(KeyError):
    """The bucket holds no object of that key."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"{bucket}/{key}")
        self.bucket, self.key = bucket, key


class StoreUnavailable(ConnectionError):
    """The object store did not answer, or answered that it cannot serve now."""


class OtherBucket(str):
    """A bucket that is none of the stack's, by its whole name; for `list` and `get`."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object as a listing tells it; `size` in bytes."""

    key: str
    size: int
    etag: str
    modified: datetime | None


class Store:
    """All of the stack's buckets in one object store. Safe to share between threads."""

    def __init__(self, client: Minio, pool: urllib3.PoolManager, prefix: str, probe: Minio) -> None:
        self._client = client
        self._pool = pool
        self._prefix = prefix
        self._probe = probe

    @classmethod
    def connect(cls, settings: Settings) -> "Store":
        """A store with bounded retries and time-outs; nothing is sent until the first call."""
        pool = urllib3.PoolManager(
            num_pools=4,
            maxsize=32,
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=urllib3.Retry(total=4, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        # Of its own: a store that hangs shall not keep those who ask whether it answers.
        probe = urllib3.PoolManager(
            maxsize=1, timeout=urllib3.Timeout(connect=PROBE_SECONDS, read=PROBE_SECONDS), retries=False
        )
        return cls(_client(settings, pool), pool, settings.bucket_prefix, _client(settings, probe))

    def ensure_buckets(self) -> None:
        """Make every bucket of the flow that does not exist yet; may run at the same time elsewhere."""
        for bucket in Bucket:
            name = self.name(bucket)
            with _translate(name, ""):
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
            # A bucket that is not there would have been told; this one is, and others may use it.
            if error.code == "AccessDenied":
                return True
            raise

    def probe(self) -> None:
        """Raise StoreUnavailable or an S3Error unless the store answers, with our rights, within seconds."""
        with _translate(self._prefix, ""):
            # All services may list; behind the last key there is nothing to find.
            next(iter(self._probe.list_objects(self.name(Bucket.RAW), start_after="~")), None)

    def name(self, bucket: Bucket | OtherBucket) -> str:
        """The bucket's name in the store."""
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
    ) -> bool:
        """Write one object whole.

        Args:
            only_if_absent: False, and nothing written, where the key exists.
            only_if_etag: False, and nothing written, unless the object still has this ETag.
        """
        condition: dict[str, str] = {}
        lost: set[HTTPStatus] = set()
        if only_if_absent:
            condition, lost = {"If-None-Match": "*"}, _ALREADY_THERE
        elif only_if_etag is not None:
            condition, lost = {"If-Match": f'"{only_if_etag}"'}, _CHANGED_OR_GONE
        # `put_object` cannot send a condition; a presigned PUT can, and the store evaluates it. It also takes
        # less time, as the bytes are not hashed for a signature.
        url = self._client.get_presigned_url("PUT", self.name(bucket), key, expires=timedelta(minutes=5))
        with _translate(self.name(bucket), key):
            response = self._pool.request(
                "PUT", url, body=data, headers={**condition, "Content-Type": content_type}
            )
            if response.status in lost:
                return False
            if response.status != HTTPStatus.OK:
                raise _refusal(response)
        return True

    def put_file(
        self, bucket: Bucket, key: str, path: Path, content_type: str = "application/octet-stream"
    ) -> None:
        """Upload a file; large ones go in parts."""
        with _translate(self.name(bucket), key):
            self._client.fput_object(self.name(bucket), key, str(path), content_type=content_type)

    def get(self, bucket: Bucket | OtherBucket, key: str) -> bytes:
        """The object's bytes.

        Raises:
            ObjectMissing: there is none of that key.
        """
        with _translate(self.name(bucket), key):
            response = self._client.get_object(self.name(bucket), key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def get_file(self, bucket: Bucket, key: str, path: Path) -> None:
        """Download to `path`, which appears only when it is whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with _translate(self.name(bucket), key):
            self._client.fget_object(self.name(bucket), key, str(partial))
        partial.replace(path)

    def stat(self, bucket: Bucket, key: str) -> ObjectInfo:
        """Size, ETag and time of one object; raises ObjectMissing."""
        with _translate(self.name(bucket), key):
            found = self._client.stat_object(self.name(bucket), key)
        return ObjectInfo(key, found.size or 0, found.etag or "", found.last_modified)

    def exists(self, bucket: Bucket, key: str) -> bool:
        """Whether the bucket holds the key."""
        try:
            self.stat(bucket, key)
        except ObjectMissing:
            return False
        return True

    def list(
        self, bucket: Bucket | OtherBucket, prefix: str = "", *, start_after: str = ""
    ) -> Iterator[ObjectInfo]:
        """All objects below `prefix`, in key order, from the first key after `start_after`."""
        with _translate(self.name(bucket), prefix):
            for found in self._client.list_objects(
                self.name(bucket), prefix=prefix, recursive=True, start_after=start_after or None
            ):
                if not found.is_dir:
                    yield ObjectInfo(
                        str(found.object_name), found.size or 0, found.etag or "", found.last_modified
                    )

    def delete(self, bucket: Bucket, key: str) -> None:
        """Remove one object; removing what is not there is no error."""
        with _translate(self.name(bucket), key):
            self._client.remove_object(self.name(bucket), key)

    def copy(self, source: Bucket, key: str, target: Bucket, target_key: str | None = None) -> None:
        """Copy inside the store; raises ObjectMissing where the source has no such key."""
        with _translate(self.name(source), key):
            self._client.copy_object(self.name(target), target_key or key, CopySource(self.name(source), key))

    def put_json(self, bucket: Bucket, key: str, value: Any, *, only_if_absent: bool = False) -> bool:
        """Write `value` as UTF-8 JSON."""
        return self.put(
            bucket, key, to_json(value), content_type="application/json", only_if_absent=only_if_absent
        )

    def get_json(self, bucket: Bucket, key: str) -> Any:
        """Read a JSON object; raises ObjectMissing."""
        return json.loads(self.get(bucket, key))

    def read_json(self, bucket: Bucket, key: str, default: Any) -> tuple[Any, str | None]:
        """A JSON object with its ETag; `(default, None)` where there is none."""
        try:
            with _translate(self.name(bucket), key):
                response = self._client.get_object(self.name(bucket), key)
                try:
                    return json.loads(response.read()), str(response.headers["ETag"]).strip('"')
                finally:
                    response.close()
                    response.release_conn()
        except ObjectMissing:
            return default, None

    def update_json(self, bucket: Bucket, key: str, change: Callable[[Any], Any], default: Any) -> Any:
        """Compare-and-swap: change a JSON object so that no other writer's change is lost; the new value.

        Args:
            change: old value → new value; called again where somebody else was faster. What it raises rises.
            default: the old value where there is no object.
        """
        return update_json(self, bucket, key, change, default)


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    """What the store says, as the client would have raised it."""
    try:
        return S3Error.fromxml(response)
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError):
        return StoreUnavailable(f"the object store refused to write: {response.status}")


def _client(settings: Settings, pool: urllib3.PoolManager) -> Minio:
    url = urlsplit(settings.s3_url)
    return Minio(
        endpoint=url.netloc,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=url.scheme == "https",
        # With a region the client never asks for the bucket's, which needs one more right.
        region=settings.s3_region,
        http_client=pool,
    )


class _translate:  # noqa: N801 — reads as a statement
    """Turn the client's two errors that callers act on into ours; a class, so that generators may use it."""

    def __init__(self, bucket: str, key: str) -> None:
        self.bucket, self.key = bucket, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, S3Error) and error.code in _MISSING_CODES:
            raise ObjectMissing(self.bucket, self.key) from error
        if isinstance(error, S3Error) and error.code in _AWAY_CODES:
            raise StoreUnavailable(f"the object store cannot serve now: {error.code}") from error
        if isinstance(error, ServerError | HTTPError | ConnectionError) and not isinstance(
            error, StoreUnavailable
        ):
            raise StoreUnavailable(f"the object store does not answer: {type(error).__name__}") from error


if __name__ == "__main__":  # python -m pika_kit.storage: make the buckets
    Store.connect(Settings.from_environment()).ensure_buckets()
