"""A version's predictions for the pictures of a bucket, kept so that none is predicted twice.

    runs: classifier/predictions/<version>-<when published>/<bucket>/<id>.json    {picture id: probability}

Each object is one batch, written atomically; together they are the result so far. A killed job continues
after the last batch, and another threshold costs no prediction.
"""

import os
import uuid
from collections.abc import Callable

import numpy as np

from pika_classifier.serve.predictor import MODEL_NAME, Predictor, prepare
from pika_kit.images import PictureError
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads

_BATCH = 64
_CHUNK = 16
_NUM_THREADS = min(os.cpu_count() or 1, 4)
_NUM_AHEAD = _NUM_THREADS + 1  # one batch ahead; more would be discarded on interruption


class Predictions:
    """One version's probabilities for one bucket."""

    def __init__(self, store: Store, version: str, source: Bucket) -> None:
        self._store = store
        self._source = source
        # Versions restart at v1 in an emptied store; the publication time distinguishes them.
        published = Registry(store, MODEL_NAME).card(version)["published_at"]
        stamp = "".join(character for character in published if character.isdigit())
        self._prefix = f"classifier/predictions/{version}-{stamp}/{source.value}/"

    def read(self) -> dict[str, float | None]:
        """Read picture id → probability; None for an unreadable picture."""
        probabilities: dict[str, float | None] = {}
        for info in self._store.list(Bucket.RUNS, self._prefix):
            probabilities.update(self._store.get_json(Bucket.RUNS, info.key))
        return probabilities

    def write(self, probabilities: dict[str, float | None]) -> None:
        """Save one batch."""
        self._store.put_json(Bucket.RUNS, f"{self._prefix}{uuid.uuid4().hex}.json", probabilities)

    def complete(
        self, predictor: Predictor, on_progress: Callable[[int, int], None]
    ) -> tuple[dict[str, float | None], int]:
        """Predict every picture of the bucket that has no prediction yet.

        Args:
            on_progress: called with (done, total) after each batch; an exception ends the work, and what was
                done is kept.

        Returns:
            (picture id → probability for every picture that is in the bucket now, number of new predictions).
        """
        pictures = PictureBucket(self._store, self._source)
        entries = list(pictures.entries())
        known = self.read()
        missing = [entry for entry in entries if entry.picture_id not in known]
        done = len(entries) - len(missing)
        on_progress(done, len(entries))
        batches = (missing[at : at + _BATCH] for at in range(0, len(missing), _BATCH))
        work = in_threads(
            lambda part: predict_entries(pictures, predictor, part), batches, _NUM_THREADS, _NUM_AHEAD
        )
        for _part, batch in work:
            self.write(batch)
            known.update(batch)
            done += len(batch)
            on_progress(done, len(entries))
        answered = [entry.picture_id for entry in entries if entry.picture_id in known]
        return {picture_id: known[picture_id] for picture_id in answered}, len(missing)


def predict_entries(
    pictures: PictureBucket, predictor: Predictor, entries: list[PictureEntry]
) -> dict[str, float | None]:
    """Yield picture id and probability, None if unreadable; few pictures are in memory at a time.

    Pictures deleted meanwhile are left out.
    """
    read: dict[str, float | None] = {}
    for at in range(0, len(entries), _CHUNK):
        pixels: dict[str, np.ndarray] = {}
        for entry in entries[at : at + _CHUNK]:
            try:
                pixels[entry.picture_id] = prepare(pictures.read(entry))
            except PictureError:
                read[entry.picture_id] = None
            except ObjectMissing:
                continue  # deleted since it was listed
        if pixels:
            probabilities = predictor.probabilities(np.stack(list(pixels.values())))
            read.update(zip(pixels, map(float, probabilities), strict=True))
    return read


def histogram(probabilities: list[float], num_bins: int = 20) -> list[int]:
    """Count how many lie in each of `num_bins` equal parts of 0 … 1."""
    counts, _ = np.histogram(probabilities, bins=num_bins, range=(0.0, 1.0))
    return [int(count) for count in counts]
