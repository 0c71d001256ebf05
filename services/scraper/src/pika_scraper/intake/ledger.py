"""What a running scrape job has done so far, kept in the raw bucket, so that a killed job goes on from there.

The ledger is written every few seconds. What was done after the last writing is done again, and changes
nothing but the time it takes: a picture is saved once, under the hash of its bytes.
"""

import time

from pika_kit.runner import JobCancelled
from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing, Store
from pika_scraper.config import LEDGER_SECONDS


class Ledger:
    """Candidate key → outcome, for one job. For one thread.

    Left as a `with`, it is written down, or deleted where the job was cancelled: then nobody will go on.
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
        """Note what became of a candidate."""
        self.outcomes[key] = outcome
        if time.monotonic() - self._saved_at > LEDGER_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the ledger down now."""
        self._store.put_json(Bucket.RAW, self._key, self.outcomes)
        self._saved_at = time.monotonic()

    def delete(self) -> None:
        """Forget the ledger: the job is done."""
        self._store.delete(Bucket.RAW, self._key)
