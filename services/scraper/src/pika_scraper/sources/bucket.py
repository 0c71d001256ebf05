"""Source `bucket`: all objects of another bucket of the same store, or those with a key prefix.

The operator lists the readable buckets in PIKA_SCRAPE_BUCKETS and grants the scraper's user access to them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import S3Error

from pika_kit.settings import Settings
from pika_kit.storage import ObjectInfo, OtherBucket, Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.zips import is_hidden, label
from pika_scraper.config import MAX_PICTURE_BYTES
from pika_scraper.errors import Refused, SourceError
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Source, Tools


def check(request: ScrapeRequest, settings: Settings) -> tuple[OtherBucket, str]:
    """Parse BUCKET/PREFIX or s3://BUCKET/PREFIX to (bucket, prefix). Raises SourceError."""
    name, _, prefix = (request.location or "").removeprefix("s3://").partition("/")
    if not name or request.urls or request.queries:
        raise SourceError("source-arguments", "the source bucket expects a location BUCKET or BUCKET/PREFIX")
    if name not in settings.scrape_buckets:
        raise SourceError(
            "location-forbidden", "the bucket is none of those that may be read (PIKA_SCRAPE_BUCKETS)"
        )
    return OtherBucket(name), prefix


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Yield objects in key order; desktop clutter is skipped."""
    bucket, prefix = check(request, tools.settings)
    skipped = {"hidden": 0}
    try:
        next(tools.store.list(bucket, prefix), None)
    except (ObjectMissing, S3Error) as error:
        raise SourceError("location-missing", "the bucket is not there, or may not be read") from error

    def candidates() -> Iterator[Candidate]:
        for entry in tools.store.list(bucket, prefix):
            if is_hidden(entry.key):
                skipped["hidden"] += 1
            else:
                yield _candidate(tools.store, bucket, entry)

    gathered = Gathered(candidates(), None, skipped)
    yield gathered
    gathered.skipped = {reason: count for reason, count in skipped.items() if count}


def _candidate(store: Store, bucket: OtherBucket, entry: ObjectInfo) -> Candidate:
    name = label(f"{bucket}/{entry.key}")
    # An object overwritten since the interruption is another candidate.
    return Candidate(f"{entry.key} {entry.etag}", name, {"name": name}, lambda: _read(store, bucket, entry))


def _read(store: Store, bucket: OtherBucket, entry: ObjectInfo) -> bytes:
    if entry.size > MAX_PICTURE_BYTES:
        raise Refused("too_large", f"expected at most {MAX_PICTURE_BYTES:,} bytes, received {entry.size:,}")
    try:
        return store.get(bucket, entry.key)
    except ObjectMissing as error:
        raise Refused("deleted", "it was deleted since the bucket was listed") from error


SOURCE = Source("bucket", check, gather)
