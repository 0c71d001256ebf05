"""Pictures that somebody wants out: a tombstone each, which every service keeps to.

    raw bucket: withdrawn/<id>.json     {"id", "reason", "at"}

The scraper writes a tombstone and empties its own buckets; the other services leave withdrawn pictures out
of everything they do, and empty theirs. No later scrape brings one back. Who may list a bucket sees which
pictures are withdrawn: the keys tell.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pika_kit.pictures import PictureBucket, is_picture_id
from pika_kit.stages import Bucket
from pika_kit.storage import Store

_PREFIX = "withdrawn/"


def withdraw(store: Store, picture_id: str, reason: str) -> dict[str, Any]:
    """Write the tombstone, unless it is there; gives the one that holds. Raises ValueError for no id."""
    if not is_picture_id(picture_id):
        raise ValueError(f"expected a picture's id, received {picture_id!r}")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    tombstone = {"id": picture_id, "reason": reason, "at": at}
    if store.put_json(Bucket.RAW, _key(picture_id), tombstone, only_if_absent=True):
        return tombstone
    found: dict[str, Any] = store.get_json(Bucket.RAW, _key(picture_id))
    return found


def readmit(store: Store, picture_id: str) -> bool:
    """Take the tombstone away: the picture may be collected again. False where there is none."""
    if not is_withdrawn(store, picture_id):
        return False
    store.delete(Bucket.RAW, _key(picture_id))
    return True


def withdrawn_ids(store: Store, start_after: str = "", limit: int | None = None) -> list[str]:
    """The ids in order, at most `limit`, from the first after `start_after`; one listing."""
    ids: list[str] = []
    for found in store.list(Bucket.RAW, _PREFIX, start_after=_key(start_after) if start_after else ""):
        if limit is not None and len(ids) >= limit:
            break
        ids.append(found.key.removeprefix(_PREFIX).removesuffix(".json"))
    return ids


def tombstone(store: Store, picture_id: str) -> dict[str, Any]:
    """Why and when a picture was withdrawn; raises ObjectMissing."""
    found: dict[str, Any] = store.get_json(Bucket.RAW, _key(picture_id))
    return found


def is_withdrawn(store: Store, picture_id: str) -> bool:
    """Whether there is a tombstone for it."""
    return any(True for _ in store.list(Bucket.RAW, _key(picture_id)))


def remove(pictures: PictureBucket, gone: Iterable[str]) -> list[str]:
    """Delete those of the withdrawn pictures that a bucket holds, and name them."""
    wanted = set(gone)
    found = sorted(wanted.intersection(pictures.ids())) if wanted else []
    for picture_id in found:
        pictures.delete(picture_id)
    return found


def _key(picture_id: str) -> str:
    return f"{_PREFIX}{picture_id}.json"
