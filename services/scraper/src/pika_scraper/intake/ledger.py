"""The progress of a running scrape job, kept in the raw bucket so that a killed job can continue.

It is written every few seconds. Work done after the last write is repeated, which only costs time: a picture
is saved once, under the hash of its bytes.
"""

import time

from pika_kit.runner import JobCancelled
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_scraper.config import LEDGER_SECONDS


class Ledger:
    """Candidate key → outcome, for one job. Not thread-safe.

    Leaving the `with` block writes it, or deletes it if the job was cancelled and will not continue.
    """

    def __init__(self, store: Store, job_id: str) -> None:
        self._store, self._key = store, f"ledgers/{job_id}.json"
        try:
            self.outcomes: dict[str, str] = store.get_json(Bucket.RAW, self._key)
        except ObjectMissing:
            self.outcomes = {}
        self._saved_at = time.monotonic()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, JobCancelled):
            self.delete()
        else:
            self.save()

    def record(self, key: str, outcome: str) -> None:
        """Record a candidate's outcome."""
        self.outcomes[key] = outcome
        if time.monotonic() - self._saved_at > LEDGER_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the ledger now."""
        self._store.put_json(Bucket.RAW, self._key, self.outcomes)
        self._saved_at = time.monotonic()

    def delete(self) -> None:
        """Delete the ledger: the job is done."""
        self._store.delete(Bucket.RAW, self._key)
