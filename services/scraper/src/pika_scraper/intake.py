"""One file's bytes and where they were found → the raw bucket, verified before and saved once."""

import threading
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pika_kit.images import EXTENSIONS, decode, sha256
from pika_kit.pictures import PictureBucket
from pika_kit.storage import ObjectMissing
from pika_scraper.config import MAX_PICTURE_BYTES
from pika_scraper.errors import Refused

ORIGIN_FIELDS = (
    *("source", "query", "name", "url", "page", "licence", "licence_url", "author", "time", "job"),
)
_ADDRESSES = ("page", "licence_url")
_IDENTITY = ("source", "name", "url")
_TRIES = 3

# Two threads that hold the same bytes at the same moment must not both think they were first.
_LOCKS = tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True)
class Taken:
    """What became of a picture that is good. `outcome` is one of:

    - "taken": new, saved;
    - "exact_duplicate": the same bytes are there from elsewhere; this origin is now in their provenance;
    - "already_there": this very origin was taken by an earlier job or upload; nothing changed.
    """

    picture_id: str
    outcome: str
    format: str
    width: int
    height: int


def make_origin(source: str, *, job: str | None = None, **fields: str | None) -> dict[str, Any]:
    """Where a picture was found, by ORIGIN_FIELDS; None where unknown.

    Sources pass on what strangers wrote: an address is one of http or https, or nothing.
    """
    unknown = set(fields) - set(ORIGIN_FIELDS)
    if unknown:
        raise ValueError(
            f"expected the fields {', '.join(ORIGIN_FIELDS)}, received {', '.join(sorted(unknown))}"
        )
    origin: dict[str, Any] = dict.fromkeys(ORIGIN_FIELDS)
    for name in _ADDRESSES:
        if not str(fields.get(name) or "").startswith(("http://", "https://")):
            fields[name] = None
    return (
        origin
        | fields
        | {"source": source, "job": job, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    )


def take(
    raw: PictureBucket, data: bytes, origin: dict[str, Any], known: Container[str] | None = None
) -> Taken:
    """Verify and save one picture under the hash of its bytes.

    Args:
        known: ids that are in `raw`, where the caller has listed them; else the store is asked.

    Raises:
        PictureError: the bytes are no picture that can be read. Refused: "too_large".
    """
    if len(data) > MAX_PICTURE_BYTES:
        raise Refused("too_large", f"expected at most {MAX_PICTURE_BYTES:,} bytes, received {len(data):,}")
    picture_id = sha256(data)
    for _ in range(_TRIES):
        try:
            return _take_once(raw, picture_id, data, origin, known)
        except ObjectMissing:
            known = None  # deleted since the caller listed the bucket: taken anew
    raise Refused("deleted", "it was deleted again and again while it was being taken")


def _take_once(
    raw: PictureBucket,
    picture_id: str,
    data: bytes,
    origin: dict[str, Any],
    known: Container[str] | None,
) -> Taken:
    """As `take`; raises ObjectMissing where the picture is deleted meanwhile."""
    with _LOCKS[int(picture_id[:8], 16) % len(_LOCKS)]:
        if picture_id in known if known is not None else raw.has(picture_id):
            return _found_again(raw, picture_id, origin)
        picture = decode(data, at_least=64)  # all of the bytes are read; only fewer pixels are made
        provenance = {
            "id": picture_id,
            "sha256": picture_id,
            "origins": [origin],
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
            "num_bytes": len(data),
        }
        if not raw.add(picture_id, data, EXTENSIONS[picture.format], provenance, _with_origins_of_both):
            return _found_again(raw, picture_id, origin)  # saved since the caller listed the bucket
    return Taken(picture_id, "taken", picture.format, picture.width, picture.height)


def _with_origins_of_both(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Of two processes that save a picture at once both origins stay; the own one of before a kill is one."""
    origins = list(old["origins"])
    origins += [origin for origin in new["origins"] if not _same_origins(origins, origin)]
    return new | {"origins": origins}


def _same_origins(origins: list[dict[str, Any]], origin: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for found in origins if all(found.get(key) == origin[key] for key in _IDENTITY)]


def _found_again(raw: PictureBucket, picture_id: str, origin: dict[str, Any]) -> Taken:
    provenance = raw.provenance(picture_id)
    origins = provenance["origins"]
    same = _same_origins(origins, origin)
    if not same:
        # Two processes may do this at once, and both origins stay.
        raw.update_provenance(
            picture_id,
            lambda old: (
                old if _same_origins(old["origins"], origin) else old | {"origins": [*old["origins"], origin]}
            ),
        )
        outcome = "exact_duplicate"
    elif same[0].get("job") == origin["job"] and origin["job"] is not None:
        # This job was interrupted after it had saved the picture: the report says what it would have said.
        outcome = "taken" if same[0] is origins[0] else "exact_duplicate"
    else:
        outcome = "already_there"
    return Taken(picture_id, outcome, provenance["format"], provenance["width"], provenance["height"])
