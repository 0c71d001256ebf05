"""Uploaded zips that are too large to process at once: kept in the raw bucket until their job ends.

Not a source of its own: the source `zip` reads from here if a request names an upload.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_scraper.config import KEPT_UPLOAD_SECONDS
from pika_scraper.errors import SourceError

_KEY = re.compile(r"uploads/[0-9a-f]{32}\.zip")


def check_key(key: str) -> None:
    """Raise SourceError unless the key is one that an upload was given."""
    if not _KEY.fullmatch(key):
        raise SourceError("source-arguments", f"expected the key of an upload, received {key[:80]!r}")


def delete_abandoned(store: Store) -> None:
    """Delete uploads whose job never ran: it was lost with its queue, or cancelled before it began."""
    oldest = datetime.now(UTC) - timedelta(seconds=KEPT_UPLOAD_SECONDS)
    for entry in list(store.list(Bucket.RAW, "uploads/")):
        if entry.modified is not None and entry.modified < oldest:
            store.delete(Bucket.RAW, entry.key)


@contextmanager
def downloaded(store: Store, key: str, state_dir: Path) -> Iterator[Path]:
    """Provide the upload as a local file for the duration of a `with` block. Raises SourceError."""
    check_key(key)
    state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="upload-", dir=state_dir) as folder:
        path = Path(folder, key.rpartition("/")[2])
        try:
            store.get_file(Bucket.RAW, key, path)
        except ObjectMissing as error:
            raise SourceError(
                "location-missing", "the upload is not there any more; send it again"
            ) from error
        yield path
