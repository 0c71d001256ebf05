"""Withdraw pictures: delete them from the scraper's buckets and leave a tombstone for all services.

A near duplicate that was excluded because of a withdrawn picture is prepared in its place: it is another file
that nobody asked to withdraw.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.withdrawn import withdraw
from pika_scraper.pictures.duplicates import record_key, records


@dataclass(frozen=True)
class Withdrawal:
    """The result: tombstones, id → buckets it was deleted from, near duplicates to prepare now."""

    tombstones: list[dict[str, Any]]
    removed_from: dict[str, list[str]]
    promoted: list[str]


def withdraw_pictures(store: Store, ids: Iterable[str], reason: str) -> Withdrawal:
    """Withdraw pictures by the SHA-256 of their original bytes; repeating it completes an interrupted call.

    The tombstones come first: from then on nothing brings the pictures back, whatever interrupts the rest.
    """
    wanted = sorted(set(ids))
    tombstones = [withdraw(store, picture_id, reason) for picture_id in wanted]
    removed_from: dict[str, list[str]] = {picture_id: [] for picture_id in wanted}
    for bucket in (Bucket.RAW, Bucket.IMAGES):
        pictures = PictureBucket(store, bucket)
        for picture_id in wanted:
            if pictures.has(picture_id):
                removed_from[picture_id].append(bucket.value)
            pictures.delete(picture_id)
    for picture_id in wanted:
        store.delete(Bucket.IMAGES, record_key(picture_id))
    promoted = _behind(store, set(wanted))
    for picture_id in promoted:
        store.delete(Bucket.IMAGES, record_key(picture_id))
    return Withdrawal(tombstones, removed_from, promoted)


def _behind(store: Store, gone: set[str]) -> list[str]:
    """Return the near duplicates of pictures that are gone."""
    return [record["id"] for record in records(store) if record["duplicate_of"] in gone]
