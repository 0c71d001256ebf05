"""Near duplicates stay in `raw`; for each, `near_duplicates/<id>.json` in `images` says whose it is."""

from collections.abc import Iterator
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing, Store
from pika_kit.threads import in_threads

NEAR_DUPLICATES = "near_duplicates/"
_NUM_THREADS = 8


def record_key(picture_id: str) -> str:
    """Where the record of a near duplicate lies in `images`."""
    return f"{NEAR_DUPLICATES}{picture_id}.json"


def near_duplicate_ids(store: Store) -> set[str]:
    """The pictures of `raw` that were kept out of `images` because they look like another."""
    return {
        found.key.removeprefix(NEAR_DUPLICATES).removesuffix(".json")
        for found in store.list(Bucket.IMAGES, NEAR_DUPLICATES)
    }


def records(store: Store) -> Iterator[dict[str, Any]]:
    """All records, by the near duplicates' ids: {id, duplicate_of, distance, perceptual_hash}."""

    def read(picture_id: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = store.get_json(Bucket.IMAGES, record_key(picture_id))
        except ObjectMissing:
            return None  # withdrawn since it was listed
        return found

    for _, record in in_threads(read, sorted(near_duplicate_ids(store)), _NUM_THREADS):
        if record is not None:
            yield record


def clusters(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Id of a picture in `images` → the records of its near duplicates, the nearest first; by id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records(store):
        found.setdefault(record["duplicate_of"], []).append(record)
    return {
        kept: sorted(near, key=lambda record: (record["distance"], record["id"]))
        for kept, near in sorted(found.items())
    }
