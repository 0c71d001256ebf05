"""Who has been given which picture to label, so that two annotators do not look at the same one.

    labels: leases/<quarter of an hour, by its number>/<picture id>.json      {"annotator"}

A lease is written once and holds to the end of the quarter after its own: between fifteen minutes and thirty.
Nothing has to be given back: a labelled picture is not handed out anyway.
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
    """The leases that hold now. `clock` gives seconds; replaced in tests."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock

    def held(self) -> set[str]:
        """The ids that somebody looks at; leases that are over are deleted."""
        now, found, over = self._quarter(), set(), []
        for info in self._store.list(Bucket.LABELS, _PREFIX):
            quarter, _, name = info.key.removeprefix(_PREFIX).partition("/")
            if int(quarter) >= now - 1:
                found.add(name.removesuffix(".json"))
            else:
                over.append(info.key)
        for _ in in_threads(lambda key: self._store.delete(Bucket.LABELS, key), over, _NUM_THREADS):
            pass
        return found

    def take(self, picture_ids: list[str], annotator: str) -> set[str]:
        """Lease these pictures, and give those that nobody else was faster with."""
        quarter = self._quarter()

        def take_one(picture_id: str) -> bool:
            key = f"{_PREFIX}{quarter}/{picture_id}.json"
            return self._store.put_json(Bucket.LABELS, key, {"annotator": annotator}, only_if_absent=True)

        return {one for one, is_ours in in_threads(take_one, picture_ids, _NUM_THREADS) if is_ours}

    def _quarter(self) -> int:
        return int(self._clock()) // QUARTER_SECONDS
