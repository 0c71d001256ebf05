"""Who is labelling which picture, so that two annotators do not get the same one.

    labels: leases/<quarter of an hour, by its number>/<picture id>.json      {"annotator"}

A lease is written once and lasts until the end of the next quarter of an hour: between fifteen and thirty
minutes. Nothing has to be returned: labelled pictures are not suggested anyway.
"""

import time
from collections.abc import Callable

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.threads import in_threads

QUARTER_SECONDS = 900
_PREFIX = "leases/"
_NUM_THREADS = 8


class Leases:
    """The current leases. `clock` returns seconds; replaced in tests."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock

    def held(self) -> set[str]:
        """Return the ids under lease; expired leases are deleted."""
        now, leased, over = self._quarter(), set(), []
        for info in self._store.list(Bucket.LABELS, _PREFIX):
            quarter, _, name = info.key.removeprefix(_PREFIX).partition("/")
            if int(quarter) >= now - 1:
                leased.add(name.removesuffix(".json"))
            else:
                over.append(info.key)
        for _ in in_threads(lambda key: self._store.delete(Bucket.LABELS, key), over, _NUM_THREADS):
            pass
        return leased

    def take(self, picture_ids: list[str], annotator: str) -> set[str]:
        """Lease these pictures, and return those that nobody else leased first."""
        quarter = self._quarter()

        def take_one(picture_id: str) -> bool:
            key = f"{_PREFIX}{quarter}/{picture_id}.json"
            return self._store.put_json(Bucket.LABELS, key, {"annotator": annotator}, only_if_absent=True)

        return {one for one, is_ours in in_threads(take_one, picture_ids, _NUM_THREADS) if is_ours}

    def _quarter(self) -> int:
        return int(self._clock()) // QUARTER_SECONDS
