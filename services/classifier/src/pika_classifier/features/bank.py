"""The features of every picture of a bucket, each computed once and kept.

    runs: classifier/features/<key>/<bucket>/<first two digits of the ids>/<digest>.npz    ids, features

Pictures are divided into 256 parts by the first digits of their ids. Any number of jobs may work at once,
each in random order: before a job starts a part it checks what others have done, so that they share the work.
If two happen to process the same part, it is done twice, which is harmless.
"""

import hashlib
import io
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pika_classifier.config import FeatureSet
from pika_classifier.features.extractor import Extractor, folder_of
from pika_classifier.serve.predictor import prepare
from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads, usable_cores

_CHUNK = 8
_READERS = 8
OnCount = Callable[[int, int], None]


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
        self._store, self._bucket, self._without = store, bucket, without
        self._width = sum(features.blocks.values())
        self._prefix = f"{folder_of(features)}{bucket.value}/"

    def read(self) -> Features:
        """Return the known features of pictures that are in the bucket now, in the order of their ids."""
        there = set(PictureBucket(self._store, self._bucket).ids()) - self._without
        known = self._known()
        ids = tuple(sorted(there & set(known)))
        rows = (
            np.stack([known[picture_id] for picture_id in ids])
            if ids
            else np.zeros((0, self._width), np.float32)
        )
        return Features(ids, rows)

    def complete(self, extractor: Extractor, on_progress: OnCount) -> Features:
        """Compute what is missing and return everything.

        Args:
            on_progress: called with (done, total) pictures; an exception ends the work, and what was done is
                kept.
        """
        pictures = PictureBucket(self._store, self._bucket)
        entries = [entry for entry in pictures.entries() if entry.picture_id not in self._without]
        parts = defaultdict(list)
        for entry in entries:
            parts[entry.picture_id[:2]].append(entry)
        known = set(self._known())
        done = sum(entry.picture_id in known for entry in entries)
        on_progress(done, len(entries))
        left = [name for name, found in parts.items() if any(e.picture_id not in known for e in found)]
        random.shuffle(left)
        # One part ahead; more would be discarded on interruption.
        work = in_threads(
            lambda name: self._work(pictures, extractor, name, parts[name]), left, usable_cores()
        )
        for name, _ in work:
            done += sum(entry.picture_id not in known for entry in parts[name])
            on_progress(done, len(entries))
        return self.read()

    def forget(self, gone: frozenset[str]) -> None:
        """Delete these pictures' features, for example because they were withdrawn."""
        for name in sorted({picture_id[:2] for picture_id in gone}):
            for key in list(self._keys(f"{self._prefix}{name}/")):
                kept = self._load(key)
                left = {found: row for found, row in kept.items() if found not in gone}
                if len(left) == len(kept):
                    continue
                if left:
                    self._write(name, left)
                self._store.delete(Bucket.RUNS, key)

    def _work(
        self, pictures: PictureBucket, extractor: Extractor, name: str, entries: list[PictureEntry]
    ) -> None:
        """Process the pictures of one part that nobody has processed yet."""
        known = self._known(name)
        missing = [entry for entry in entries if entry.picture_id not in known]
        computed: dict[str, np.ndarray] = {}
        for at in range(0, len(missing), _CHUNK):
            computed.update(self._look(pictures, extractor, missing[at : at + _CHUNK]))
        if computed:
            self._write(name, computed)

    def _look(
        self, pictures: PictureBucket, extractor: Extractor, entries: list[PictureEntry]
    ) -> dict[str, np.ndarray]:
        computed: dict[str, np.ndarray] = {}
        pixels: dict[str, np.ndarray] = {}
        for entry in entries:
            try:
                pixels[entry.picture_id] = prepare(pictures.read(entry))
            except PictureError:
                computed[entry.picture_id] = np.full(self._width, np.nan, np.float32)
            except ObjectMissing:
                continue  # deleted since it was listed
        if pixels:
            computed.update(zip(pixels, extractor.features(np.stack(list(pixels.values()))), strict=True))
        return computed

    def _write(self, name: str, computed: dict[str, np.ndarray]) -> None:
        ids = sorted(computed)
        buffer = io.BytesIO()
        np.savez(buffer, ids=np.array(ids, "S64"), features=np.stack([computed[one] for one in ids]))
        digest = hashlib.sha256("".join(ids).encode()).hexdigest()[:16]
        self._store.put(Bucket.RUNS, f"{self._prefix}{name}/{digest}.npz", buffer.getvalue())

    def _known(self, name: str = "") -> dict[str, np.ndarray]:
        """Read id → features of one part, or of all."""
        prefix = self._prefix + (f"{name}/" if name else "")
        known: dict[str, np.ndarray] = {}
        for _, data in in_threads(self._load, self._keys(prefix), _READERS):
            known.update(data)
        return known

    def _keys(self, prefix: str) -> Iterator[str]:
        return (info.key for info in self._store.list(Bucket.RUNS, prefix))

    def _load(self, key: str) -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(self._store.get(Bucket.RUNS, key)), allow_pickle=False) as arrays:
            return dict(zip((one.decode() for one in arrays["ids"]), arrays["features"], strict=True))
