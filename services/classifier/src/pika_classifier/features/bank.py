"""The features of every picture of a bucket, each computed once and kept.

runs: classifier/features/<key>/<bucket>/    rows, see `rows`
"""

from dataclasses import dataclass

import numpy as np

from pika_classifier.config import FeatureSet
from pika_classifier.features.extractor import Extractor, folder_of
from pika_classifier.rows import OnCount, Rows, RowStore, rows_of
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.threads import usable_cores


@dataclass(frozen=True, eq=False)
class Features:
    """Features of the bank: ids (N), values float32 (N, F); an unreadable picture has a row of NaN."""

    ids: tuple[str, ...]
    values: np.ndarray

    def readable(self) -> "Features":
        """Return the rows of readable pictures."""
        return self.of([not np.isnan(row[0]) for row in self.values])

    def joined(self, other: "Features") -> "Features":
        """Append another set's rows."""
        return Features((*self.ids, *other.ids), np.concatenate([self.values, other.values]))

    def of(self, mask: list[bool]) -> "Features":
        """Select the rows for which `mask` is true."""
        kept = tuple(picture_id for picture_id, keep in zip(self.ids, mask, strict=True) if keep)
        return Features(kept, self.values[np.asarray(mask, bool)])


class Bank:
    """The features of one bucket's pictures, except those in `without`."""

    def __init__(
        self, store: Store, features: FeatureSet, bucket: Bucket, without: frozenset[str] = frozenset()
    ) -> None:
        self._pictures, self._without = PictureBucket(store, bucket), without
        self._width = sum(features.blocks.values())
        self._rows = RowStore(store, f"{folder_of(features)}{bucket.value}/")

    def read(self) -> Features:
        """Return the known features of pictures that are in the bucket now, in the order of their ids."""
        return self._of(self._rows.read())

    def complete(self, extractor: Extractor, on_progress: OnCount) -> Features:
        """Compute what is missing and return everything.

        Args:
            on_progress: called with (done, total) pictures; an exception ends the work, and what was done is
                kept.
        """
        entries = [entry for entry in self._pictures.entries() if entry.picture_id not in self._without]
        unreadable = np.full(self._width, np.nan, np.float32)

        def look(part: list[PictureEntry]) -> Rows:
            return rows_of(self._pictures, part, extractor.features, unreadable)

        rows, _ = self._rows.complete(entries, look, on_progress, usable_cores())
        return self._of(rows)

    def forget(self, gone: frozenset[str]) -> None:
        """Delete these pictures' features, for example because they were withdrawn."""
        self._rows.forget(gone)

    def _of(self, rows: Rows) -> Features:
        there = set(self._pictures.ids()) - self._without
        ids = tuple(sorted(there & set(rows)))
        values = (
            np.stack([rows[picture_id] for picture_id in ids])
            if ids
            else np.zeros((0, self._width), np.float32)
        )
        return Features(ids, values)
