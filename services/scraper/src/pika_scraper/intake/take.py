"""One file's bytes and where they were found → the raw bucket, verified before and saved once."""

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from pika_kit.images import EXTENSIONS, sha256
from pika_kit.pictures import PictureBucket
from pika_kit.storage import ObjectMissing
from pika_kit.withdrawn import is_withdrawn
from pika_scraper.config import MAX_PICTURE_BYTES
from pika_scraper.errors import Refused
from pika_scraper.intake.provenance import same_origins, with_origins_of_both
from pika_scraper.pictures.pipeline import Examined, Prepared

_TRIES = 3

# Two threads that hold the same bytes at the same moment must not both think they were first.
_LOCKS = tuple(threading.Lock() for _ in range(64))

Examine = Callable[[bytes], Examined]


@dataclass(frozen=True)
class Taken:
    """What became of a picture that is good. `outcome` is one of:

    - "taken": new, saved;
    - "exact_duplicate": the same bytes are there from elsewhere; this origin is now in their provenance;
    - "already_there": this very origin was taken by an earlier job or upload; nothing changed.

    `prepared` is there where the picture is new and the examination made a square of it.
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
    """Verify and save one picture under the hash of its bytes.

    Args:
        known: ids that are in `raw`, where the caller has listed them; else the store is asked.
        gone: ids that are withdrawn, where the caller has listed them; else the store is asked.
        examine: tells what a picture is, as `verify.Decoders.examine` does.

    Raises:
        PictureError: the bytes are no picture that can be read. Refused: "too_large", "withdrawn".
    """
    if len(data) > MAX_PICTURE_BYTES:
        raise Refused("too_large", f"expected at most {MAX_PICTURE_BYTES:,} bytes, received {len(data):,}")
    picture_id = sha256(data)
    for _ in range(_TRIES):
        try:
            return _take_once(raw, picture_id, data, origin, known=known, gone=gone, examine=examine)
        except ObjectMissing:
            known = None  # deleted since the caller listed the bucket: taken anew
    raise Refused("deleted", "it was deleted again and again while it was being taken")


def take_again(raw: PictureBucket, picture_id: str, origin: dict[str, Any]) -> Taken | None:
    """Add an origin to a picture that is known to be there; None where it is not, any more."""
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
    """As `take`; raises ObjectMissing where the picture is deleted meanwhile."""
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
        # Two processes may do this at once, and both origins stay.
        provenance = raw.update_provenance(
            picture_id,
            lambda old: (
                old if same_origins(old["origins"], origin) else old | {"origins": [*old["origins"], origin]}
            ),
        )
        outcome = "exact_duplicate"
    elif same[0].get("job") == origin["job"] and origin["job"] is not None:
        # This job was interrupted after it had saved the picture: the report says what it would have said.
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
