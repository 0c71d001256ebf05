"""A version's predictions for the pictures of a bucket, kept so that none is predicted twice.

    runs: classifier/predictions/<version>-<when published>/<bucket>/    rows, see `rows`

A killed job continues with what is left, jobs on other workers share the work, and another threshold costs
no prediction.
"""

import math

import numpy as np

from pika_classifier.rows import OnCount, Rows, RowStore, rows_of
from pika_classifier.serve.predictor import MODEL_NAME, Predictor
from pika_kit.models import Registry
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.threads import usable_cores

_MAX_THREADS = 4


class Predictions:
    """One version's probabilities for one bucket."""

    def __init__(self, store: Store, version: str, source: Bucket) -> None:
        self._pictures = PictureBucket(store, source)
        # Versions restart at v1 in an emptied store; the publication time distinguishes them.
        published = Registry(store, MODEL_NAME).card(version)["published_at"]
        stamp = "".join(character for character in published if character.isdigit())
        self._rows = RowStore(store, f"classifier/predictions/{version}-{stamp}/{source.value}/")

    def read(self) -> dict[str, float | None]:
        """Read picture id → probability; None for an unreadable picture."""
        return _probabilities(self._rows.read())

    def write(self, probabilities: dict[str, float | None]) -> None:
        """Save what training has predicted."""
        self._rows.write(
            {
                picture_id: np.array(math.nan if value is None else value)
                for picture_id, value in probabilities.items()
            }
        )

    def complete(self, predictor: Predictor, on_progress: OnCount) -> tuple[dict[str, float | None], int]:
        """Predict every picture of the bucket that has no prediction yet; several jobs may do so at once.

        Args:
            on_progress: called with (done, total) pictures; an exception ends the work, and what was done is
                kept.

        Returns:
            (picture id → probability for every picture that is in the bucket now, number of predictions made
            here).
        """
        entries = list(self._pictures.entries())
        rows, num_predicted = self._rows.complete(
            entries,
            lambda part: _rows(self._pictures, predictor, part),
            on_progress,
            min(usable_cores(), _MAX_THREADS),
        )
        answered = {entry.picture_id: rows[entry.picture_id] for entry in entries if entry.picture_id in rows}
        return _probabilities(answered), num_predicted

    def merge(self) -> None:
        """Make later reads quick; one job at a time."""
        self._rows.merge()


def predict_entries(
    pictures: PictureBucket, predictor: Predictor, entries: list[PictureEntry]
) -> dict[str, float | None]:
    """Return picture id → probability, None if unreadable; pictures deleted meanwhile are left out."""
    return _probabilities(_rows(pictures, predictor, entries))


def _rows(pictures: PictureBucket, predictor: Predictor, entries: list[PictureEntry]) -> Rows:
    return rows_of(pictures, entries, predictor.probabilities, np.array(math.nan))


def _probabilities(rows: Rows) -> dict[str, float | None]:
    return {picture_id: None if np.isnan(row) else float(row) for picture_id, row in rows.items()}


def histogram(probabilities: list[float], num_bins: int = 20) -> list[int]:
    """Count how many lie in each of `num_bins` equal parts of 0 … 1."""
    counts, _ = np.histogram(probabilities, bins=num_bins, range=(0.0, 1.0))
    return [int(count) for count in counts]
