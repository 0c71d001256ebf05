"""Rows of pictures: kept, merged, forgotten, and completed by several at once."""

import threading
from collections import Counter

import numpy as np
import pytest
from classifier_samples import drawn, put_images

from pika_classifier.rows import RowStore, rows_of
from pika_kit.arrays import packed
from pika_kit.images import sha256
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing, StoreUnavailable
from pika_kit.testing import MemoryStore

PREFIX = "classifier/rows/images/"


@pytest.fixture
def entries(memory_store):
    put_images(memory_store, drawn(40, is_yellow=True, seed=1))
    return list(PictureBucket(memory_store, Bucket.IMAGES).entries())


@pytest.fixture
def rows(memory_store):
    return RowStore(memory_store, PREFIX)


def number(picture_id: str) -> np.ndarray:
    return np.array(int(picture_id[:8], 16), np.float64)


def compute(entries):
    return {entry.picture_id: number(entry.picture_id) for entry in entries}


def keys(store):
    return [info.key for info in store.list(Bucket.RUNS, PREFIX)]


def nothing(done, total):
    pass


def test_merged_rows_are_one_object_and_the_same_rows(memory_store, rows, entries):
    before, num = rows.complete(entries, compute, nothing, 2)
    assert num == len(before) == 40
    assert len(keys(memory_store)) > 8
    rows.merge()
    assert len(keys(memory_store)) == 1
    assert rows.read() == RowStore(memory_store, PREFIX).read() == before
    # Later pictures are merged too, and few objects are left alone.
    put_images(memory_store, drawn(30, is_yellow=False, seed=2))
    more = list(PictureBucket(memory_store, Bucket.IMAGES).entries())
    assert rows.complete(more, compute, nothing, 2)[1] == 30
    rows.merge()
    (key,) = keys(memory_store)
    rows.merge()
    assert keys(memory_store) == [key]
    assert rows.read() == compute(more)


def test_rows_that_are_merged_during_a_read_are_found_again(memory_store, rows, entries):
    """The reader has listed objects of parts, which are gone when it asks for them."""
    rows.complete(entries, compute, nothing, 2)

    class Overtaken(MemoryStore):
        num_missed = 0

        def get(self, bucket, key):
            if key.startswith(PREFIX) and not self.num_missed:
                rows.merge()
            try:
                return super().get(bucket, key)
            except ObjectMissing:
                self.num_missed += 1
                raise

    overtaken = Overtaken()
    overtaken._objects = memory_store._objects
    assert RowStore(overtaken, PREFIX).read() == compute(entries)
    assert overtaken.num_missed


def test_a_job_that_is_overtaken_computes_nothing_again(memory_store, rows, entries):
    """Another job ends and merges everything while this one is at its first part."""
    calls = Counter()

    def counted(part):
        calls.update(entry.picture_id for entry in part)
        if len(calls) == len(part):
            rows.complete(entries, compute, nothing, 1)
            rows.merge()
        return compute(part)

    rows_there, num = RowStore(memory_store, PREFIX).complete(entries, counted, nothing, 1)
    assert rows_there == compute(entries)
    assert num == sum(calls.values()) <= 5


def test_forgotten_rows_are_in_no_object(memory_store, rows, entries):
    rows.complete(entries, compute, nothing, 2)
    rows.merge()
    gone = frozenset(entry.picture_id for entry in entries[:3])
    rows.forget(gone)
    assert rows.read().keys() == RowStore(memory_store, PREFIX).read().keys() == compute(entries[3:]).keys()
    rows.forget(frozenset(entry.picture_id for entry in entries))
    assert not keys(memory_store)


def test_two_at_once_share_the_work(memory_store):
    """Without checking what the other has done, they would make 800 rows."""
    entries = [PictureEntry(sha256(bytes([n % 256, n // 256])), "png", 1, "etag") for n in range(400)]
    calls, lock = Counter(), threading.Lock()

    def counted(part):
        with lock:
            calls.update(entry.picture_id for entry in part)
        threading.Event().wait(0.002)
        return compute(part)

    def complete():
        RowStore(memory_store, PREFIX).complete(entries, counted, nothing, 1)

    both = [threading.Thread(target=complete) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert calls.keys() == compute(entries).keys()
    assert sum(calls.values()) <= 480  # a part that both process at once is done twice


def test_rows_that_do_not_come_back_are_an_outage(memory_store, entries):
    """A store that has just restarted and lists incompletely must not cost a picture its answer."""

    class Forgetful(RowStore):
        def _keys(self, part=None):
            return (key for key in super()._keys(part) if part is not None or "/merged/" in key)

    with pytest.raises(StoreUnavailable, match="40 of 40 rows"):
        Forgetful(memory_store, PREFIX).complete(entries, compute, nothing, 2)


def test_only_a_picture_that_is_no_longer_listed_counts_as_deleted(memory_store, entries):
    class Reluctant(PictureBucket):
        def read(self, entry):
            raise ObjectMissing("images", entry.picture_id)

    pictures = Reluctant(memory_store, Bucket.IMAGES)
    with pytest.raises(StoreUnavailable, match=f"{entries[0].picture_id}.* is listed"):
        rows_of(pictures, entries[:1], len, np.array(np.nan))
    pictures.delete(entries[0].picture_id)
    assert rows_of(pictures, entries[:1], len, np.array(np.nan)) == {}


def test_features_of_an_earlier_version_are_read(memory_store, rows):
    data = packed(ids=np.array(["ab" * 32], "S64"), features=np.ones((1, 5), np.float32))
    memory_store.put(Bucket.RUNS, f"{PREFIX}ab/0123456789abcdef.npz", data)
    memory_store.put(Bucket.RUNS, f"{PREFIX}0123.json", b"{}")  # predictions, which are made again
    assert list(rows.read()) == ["ab" * 32]
