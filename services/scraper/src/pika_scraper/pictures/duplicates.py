"""Near duplicates stay in `raw`, with a record `near_duplicates/<id>.json` in `images`."""

from collections.abc import Iterator
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads

NEAR_DUPLICATES = "near_duplicates/"
_NUM_THREADS = 8


def record_key(picture_id: str) -> str:
    """Return the key of a near duplicate's record in `images`."""
    return f"{NEAR_DUPLICATES}{picture_id}.json"


def near_duplicate_ids(store: Store) -> set[str]:
    """The pictures of `raw` that were excluded from `images` because they resemble another."""
    return {
        entry.key.removeprefix(NEAR_DUPLICATES).removesuffix(".json")
        for entry in store.list(Bucket.IMAGES, NEAR_DUPLICATES)
    }


def records(store: Store) -> Iterator[dict[str, Any]]:
    """Yield all records in the order of their ids: {id, duplicate_of, distance, perceptual_hash}."""

    def read(picture_id: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = store.get_json(Bucket.IMAGES, record_key(picture_id))
        except ObjectMissing:
            return None  # withdrawn since it was listed
        return record

    for _, record in in_threads(read, sorted(near_duplicate_ids(store)), _NUM_THREADS):
        if record is not None:
            yield record


def clusters(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Map each picture's id in `images` to the records of its near duplicates, nearest first."""
    by_picture: dict[str, list[dict[str, Any]]] = {}
    for record in records(store):
        by_picture.setdefault(record["duplicate_of"], []).append(record)
    return {
        kept: sorted(near, key=lambda record: (record["distance"], record["id"]))
        for kept, near in sorted(by_picture.items())
    }
