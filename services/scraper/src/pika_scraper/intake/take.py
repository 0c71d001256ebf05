"""One file's bytes and where they were found → the raw bucket, verified first and saved once."""

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from pika_kit.images import EXTENSIONS, sha256
from pika_kit.pictures import PictureBucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.withdrawn import is_withdrawn
from pika_scraper.config import MAX_PICTURE_BYTES
from pika_scraper.errors import Refused
from pika_scraper.intake.provenance import same_origins, with_origins_of_both
from pika_scraper.pictures.pipeline import Examined, Prepared

_TRIES = 3

# Two threads that hold the same bytes at the same time must not both count as first.
_LOCKS = tuple(threading.Lock() for _ in range(64))

Examine = Callable[[bytes], Examined]


@dataclass(frozen=True)
class Taken:
    """What became of a good picture. `outcome` is one of:

    - "taken": new, saved; - "exact_duplicate": the same bytes exist from elsewhere; this origin was added to
    their provenance; - "already_there": an earlier job or upload took this very origin; nothing changed.

    `prepared` is set if the picture is new and the examination made a square of it.
    """

    picture_id: str
    outcome: str
    format: str
    width: int
    height: int
    provenance: dict[str, Any]
    prepared: Prepared | None = None


def take(
    raw: PictureBucket,
    data: bytes,
    origin: dict[str, Any],
    known: Container[str] | None = None,
    *,
    examine: Examine,
    gone: Container[str] | None = None,
) -> Taken:
    """Verify one picture and save it under the hash of its bytes.

    Args:
        raw: the raw bucket.
        data: the file's bytes.
        origin: where they were found, see `make_origin`.
        known: ids in `raw`, if the caller has listed them; otherwise the store is asked.
        gone: withdrawn ids, if the caller has listed them; otherwise the store is asked.
        examine: decodes a picture, as `verify.Decoders.examine` does.

    Raises:
        PictureError: the bytes are not a readable picture.
        Refused: "too_large", "withdrawn".
    """
    if len(data) > MAX_PICTURE_BYTES:
        raise Refused("too_large", f"expected at most {MAX_PICTURE_BYTES:,} bytes, received {len(data):,}")
    picture_id = sha256(data)
    for _ in range(_TRIES):
        try:
            return _take_once(raw, picture_id, data, origin, known=known, gone=gone, examine=examine)
        except ObjectMissing:
            known = None  # deleted since the caller listed the bucket: take it again
    raise Refused("deleted", "it was deleted again and again while it was being taken")


def take_again(raw: PictureBucket, picture_id: str, origin: dict[str, Any]) -> Taken | None:
    """Add an origin to a picture that is known to exist; return None if it no longer does."""
    try:
        with _lock(picture_id):
            return _found_again(raw, picture_id, origin)
    except ObjectMissing:
        return None


def _lock(picture_id: str) -> threading.Lock:
    return _LOCKS[int(picture_id[:8], 16) % len(_LOCKS)]


def _take_once(
    raw: PictureBucket,
    picture_id: str,
    data: bytes,
    origin: dict[str, Any],
    *,
    known: Container[str] | None,
    gone: Container[str] | None,
    examine: Examine,
) -> Taken:
    """Like `take`; raises ObjectMissing if the picture is deleted meanwhile."""
    with _lock(picture_id):
        if picture_id in known if known is not None else raw.has(picture_id):
            return _found_again(raw, picture_id, origin)
        if picture_id in gone if gone is not None else is_withdrawn(raw.store, picture_id):
            raise Refused("withdrawn", "it was withdrawn, and is not collected again")
        picture = examine(data)
        provenance = {
            "id": picture_id,
            "sha256": picture_id,
            "origins": [origin],
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
            "num_bytes": len(data),
        }
        if not raw.add(picture_id, data, EXTENSIONS[picture.format], provenance, with_origins_of_both):
            return _found_again(raw, picture_id, origin)  # saved since the caller listed the bucket
    return Taken(
        picture_id, "taken", picture.format, picture.width, picture.height, provenance, picture.prepared
    )


def _found_again(raw: PictureBucket, picture_id: str, origin: dict[str, Any]) -> Taken:
    provenance = raw.provenance(picture_id)
    origins = provenance["origins"]
    same = same_origins(origins, origin)
    if not same:
        # Two processes may do this at once; both origins are kept.
        provenance = raw.update_provenance(
            picture_id,
            lambda old: (
                old if same_origins(old["origins"], origin) else old | {"origins": [*old["origins"], origin]}
            ),
        )
        outcome = "exact_duplicate"
    elif same[0].get("job") == origin["job"] and origin["job"] is not None:
        # This job was interrupted after saving the picture: report what it would have reported.
        outcome = "taken" if same[0] is origins[0] else "exact_duplicate"
    else:
        outcome = "already_there"
    return Taken(
        picture_id,
        outcome,
        provenance["format"],
        provenance["width"],
        provenance["height"],
        provenance,
    )
