"""Rows of numbers, one for each picture, computed once and kept; any number of jobs complete them together.

    runs: <prefix><first two digits of the ids>/<digest of the ids>.npz    ids (N), values (N, …)
    runs: <prefix>merged/<digest of the ids>.npz

Pictures are divided into 256 parts by the first digits of their ids. Each job takes the parts in random
order, and before it starts one it checks what others have done, so that they share the work. If two happen
to process the same part, it is done twice, which is harmless. An object is written atomically: a job that is
killed loses the parts it was processing, and no more.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

from pika_classifier.serve.predictor import prepare
from pika_kit.arrays import packed, unpacked
from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing, StoreUnavailable
from pika_kit.threads import in_threads

MERGED = "merged"
_MANY = 8
"""From so many objects on, merging them saves its readers time."""
_STORE_THREADS = 8
_CHUNK = 16
_NUM_TRIES = 5
Rows = dict[str, np.ndarray]
"""Picture id → its row, or its number."""
OnCount = Callable[[int, int], None]


class RowStore:
    """Rows of pictures under one prefix of the bucket RUNS."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._merged: dict[str, Rows] = {}

    def read(self, part: str | None = None) -> Rows:
        """Return all rows, or at least those of one part."""
        for _ in range(_NUM_TRIES):
            rows: Rows = {}
            loaded = [one for _, one in in_threads(self._load, list(self._keys(part)), _STORE_THREADS)]
            for one in loaded:
                rows.update(one or {})
            if None not in loaded:
                break  # otherwise objects were merged meanwhile
        return rows

    def write(self, rows: Rows, part: str = MERGED) -> str:
        """Keep these rows, at least one; return the key of their object."""
        ids = sorted(rows)
        digest = hashlib.sha256("".join(ids).encode()).hexdigest()[:16]
        key = f"{self._prefix}{part}/{digest}.npz"
        data = packed(ids=np.array(ids, "S64"), values=np.stack([rows[one] for one in ids]))
        self._store.put(Bucket.RUNS, key, data)
        return key

    def complete(
        self,
        entries: list[PictureEntry],
        compute: Callable[[list[PictureEntry]], Rows],
        on_progress: OnCount,
        num_threads: int,
    ) -> tuple[Rows, int]:
        """Compute what is missing.

        Args:
            entries: the pictures that need a row.
            compute: returns the rows of these pictures; called in `num_threads` threads. It may leave out
                pictures, for example deleted ones.
            on_progress: called with (done, total) pictures; an exception ends the work, and what was done is
                kept.

        Returns:
            (all rows, how many pictures were given to `compute` here).
        """
        parts = defaultdict(list)
        for entry in entries:
            parts[entry.picture_id[:2]].append(entry)
        rows = self.read()
        known = set(rows)
        done = sum(entry.picture_id in known for entry in entries)
        on_progress(done, len(entries))
        left = [name for name, listed in parts.items() if any(e.picture_id not in known for e in listed)]
        if not left:
            return rows, 0
        del rows  # many features are a gigabyte, which would be in memory twice below
        random.shuffle(left)
        num_computed, expected = 0, set(known)
        # One part ahead; more would be discarded on interruption.
        work = in_threads(
            lambda name: self._work(name, parts[name], compute), left, num_threads, num_threads + 1
        )
        for name, (num, there) in work:
            num_computed += num
            done += sum(entry.picture_id not in known for entry in parts[name])
            expected |= there
            on_progress(done, len(entries))
        return self._read_back(expected), num_computed

    def merge(self) -> None:
        """Replace many objects by one. Others may read and complete meanwhile, but not merge."""
        keys = list(self._keys())
        if len(keys) < _MANY:
            return
        rows: Rows = {}
        read: list[str] = []
        for key, loaded in in_threads(self._load, keys, _STORE_THREADS):
            if loaded is not None:  # what could not be read must not be deleted
                rows.update(loaded)
                read.append(key)
        if not rows:
            return
        merged = self.write(rows)
        old = [key for key in read if key != merged]
        for _ in in_threads(lambda key: self._store.delete(Bucket.RUNS, key), old, _STORE_THREADS):
            pass

    def forget(self, gone: frozenset[str]) -> None:
        """Delete these pictures' rows, for example because they were withdrawn."""
        for name in sorted({picture_id[:2] for picture_id in gone}):
            for key in list(self._keys(name)):
                rows = self._load(key) or {}
                left = {picture_id: row for picture_id, row in rows.items() if picture_id not in gone}
                if len(left) == len(rows):
                    continue
                if left:
                    self.write(left, key.removeprefix(self._prefix).split("/")[0])
                self._store.delete(Bucket.RUNS, key)

    def _work(
        self, name: str, entries: list[PictureEntry], compute: Callable[[list[PictureEntry]], Rows]
    ) -> tuple[int, set[str]]:
        """Process the pictures of one part that nobody has processed yet.

        Returns:
            (how many there were, ids of the part that have a row now).
        """
        known = self.read(name)
        missing = [entry for entry in entries if entry.picture_id not in known]
        rows = compute(missing) if missing else {}
        if rows:
            self.write(rows, name)
        return len(missing), {entry.picture_id for entry in entries} & (known.keys() | rows.keys())

    def _read_back(self, expected: set[str]) -> Rows:
        """Read all rows, and see that the expected ones are among them.

        Raises:
            StoreUnavailable: they are not; a store that has just restarted may list incompletely.
        """
        rows = self.read()
        lost = expected - rows.keys()
        if lost:
            raise StoreUnavailable(
                f"{len(lost)} of {len(expected)} rows in {self._prefix} are not listed, such as {min(lost)}"
            )
        return rows

    def _keys(self, part: str | None = None) -> Iterator[str]:
        folders = [""] if part is None else [f"{part}/", f"{MERGED}/"]
        for folder in folders:
            for info in self._store.list(Bucket.RUNS, self._prefix + folder):
                if info.key.endswith(".npz"):
                    yield info.key

    def _load(self, key: str) -> Rows | None:
        """Read one object; None if it has just been deleted."""
        if key in self._merged:
            return self._merged[key]
        try:
            arrays = unpacked(self._store.get(Bucket.RUNS, key))
        except ObjectMissing:
            return None
        ids = arrays.pop("ids")
        (values,) = arrays.values()  # "values", or "features" from an earlier version
        rows = dict(zip((one.decode() for one in ids), values, strict=True))
        if f"/{MERGED}/" in key:  # every part's reader asks for it
            self._merged[key] = rows
        return rows


def rows_of(
    pictures: PictureBucket,
    entries: list[PictureEntry],
    compute: Callable[[np.ndarray], np.ndarray],
    unreadable: np.ndarray,
) -> Rows:
    """Read these pictures, few at a time, and return what `compute` makes of them.

    Args:
        compute: prepared pictures (N, H, W, 3) → (N, …).
        unreadable: the row of a picture that cannot be decoded. One that was deleted meanwhile has no row.

    Raises:
        StoreUnavailable: a picture is listed, and yet cannot be read.
    """
    rows: Rows = {}
    for at in range(0, len(entries), _CHUNK):
        pixels: dict[str, np.ndarray] = {}
        for entry in entries[at : at + _CHUNK]:
            try:
                pixels[entry.picture_id] = prepare(pictures.read(entry))
            except PictureError:
                rows[entry.picture_id] = unreadable
            except ObjectMissing as error:
                if pictures.has(entry.picture_id):
                    raise StoreUnavailable(f"{error} is listed, and yet not there") from error
        if pixels:
            rows.update(zip(pixels, compute(np.stack(list(pixels.values()))), strict=True))
    return rows
