"""Withdrawn pictures: each has a tombstone that every service respects.

    raw bucket: withdrawn/<id>.json     {"id", "reason", "at"}

The scraper writes the tombstone and deletes the picture from its own buckets; the other services ignore
withdrawn pictures everywhere and delete them from theirs. No later scrape brings one back. Anyone who may
list the bucket can see which pictures are withdrawn from the keys alone.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pika_kit.pictures import PictureBucket, is_picture_id
from pika_kit.stages import Bucket
from pika_kit.storage import Store

_PREFIX = "withdrawn/"


def withdraw(store: Store, picture_id: str, reason: str) -> dict[str, Any]:
    """Write a tombstone unless there is one; return it. Raises ValueError for an invalid id."""
    if not is_picture_id(picture_id):
        raise ValueError(f"expected a picture's id, received {picture_id!r}")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    tombstone = {"id": picture_id, "reason": reason, "at": at}
    if store.put_json(Bucket.RAW, _key(picture_id), tombstone, only_if_absent=True):
        return tombstone
    stored: dict[str, Any] = store.get_json(Bucket.RAW, _key(picture_id))
    return stored


def readmit(store: Store, picture_id: str) -> bool:
    """Remove a tombstone: the picture may be collected again. Return False if there is none."""
    if not is_withdrawn(store, picture_id):
        return False
    store.delete(Bucket.RAW, _key(picture_id))
    return True


def withdrawn_ids(store: Store, start_after: str = "", limit: int | None = None) -> list[str]:
    """List at most `limit` withdrawn ids in order, starting after `start_after`, in one request."""
    ids: list[str] = []
    for entry in store.list(Bucket.RAW, _PREFIX, start_after=_key(start_after) if start_after else ""):
        if limit is not None and len(ids) >= limit:
            break
        ids.append(entry.key.removeprefix(_PREFIX).removesuffix(".json"))
    return ids


def tombstone(store: Store, picture_id: str) -> dict[str, Any]:
    """Return why and when a picture was withdrawn. Raises ObjectMissing."""
    tombstone: dict[str, Any] = store.get_json(Bucket.RAW, _key(picture_id))
    return tombstone


def is_withdrawn(store: Store, picture_id: str) -> bool:
    """Return whether a picture has a tombstone."""
    return any(True for _ in store.list(Bucket.RAW, _key(picture_id)))


def remove(pictures: PictureBucket, gone: Iterable[str]) -> list[str]:
    """Delete withdrawn pictures from a bucket and return their ids."""
    wanted = set(gone)
    present = sorted(wanted.intersection(pictures.ids())) if wanted else []
    for picture_id in present:
        pictures.delete(picture_id)
    return present


def _key(picture_id: str) -> str:
    return f"{_PREFIX}{picture_id}.json"
