"""Taking pictures out for good: from the scraper's buckets at once, by a tombstone that all services keep to.

A near duplicate that stood behind a withdrawn picture is prepared in its place: it is another file, which
nobody asked to withdraw.
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
    """What was done: tombstones, id → buckets that it was taken from, near duplicates to be prepared now."""

    tombstones: list[dict[str, Any]]
    removed_from: dict[str, list[str]]
    promoted: list[str]


def withdraw_pictures(store: Store, ids: Iterable[str], reason: str) -> Withdrawal:
    """Withdraw pictures by the SHA-256 of the bytes as found; doing it again finishes what was left undone.

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
    """Near duplicates of pictures that are gone."""
    return [record["id"] for record in records(store) if record["duplicate_of"] in gone]
