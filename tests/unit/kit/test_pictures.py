"""A bucket of pictures: each saved once, with its provenance, listed in order."""

import hashlib

import pytest

from pika_kit.pictures import PictureBucket, is_picture_id
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.testing import CountingStore, MemoryStore


def picture_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.fixture
def bucket() -> PictureBucket:
    return PictureBucket(MemoryStore(), Bucket.RAW)


def test_a_picture_is_added_once_and_read_back(bucket):
    assert bucket.add(picture_id(1), b"first", "jpg", {"origins": ["here"]})
    assert not bucket.add(picture_id(1), b"second", "jpg", {"origins": ["there"]})
    assert bucket.bytes(picture_id(1)) == b"first"
    assert bucket.provenance(picture_id(1)) == {"origins": ["here"]}
    assert bucket.has(picture_id(1))
    assert not bucket.has(picture_id(2))
    assert bucket.count() == 1


def test_one_request_writes_a_picture_with_its_provenance(bucket):
    origin = {"name": "ピカチュウ  twice  blank", "note": 'quotes " and \\ and  \u0020'}
    assert bucket.add(picture_id(1), b"data", "png", origin)
    assert [info.key for info in bucket.store.list(Bucket.RAW)] == [f"pictures/{picture_id(1)}.png"]
    (entry,) = bucket.entries()
    assert bucket.provenance(entry) == bucket.provenance(picture_id(1)) == origin
    attached = bucket.store.stat(Bucket.RAW, f"pictures/{picture_id(1)}.png").metadata["provenance"]
    assert attached.isascii()
    assert "  " not in attached


def test_a_change_is_saved_beside_the_picture(bucket):
    bucket.add(picture_id(1), b"data", "png", {"origins": ["first"]})
    for name in ("second", "third"):
        new = bucket.update_provenance(
            picture_id(1),
            lambda old: {"origins": [*old["origins"], name]},  # noqa: B023
        )
    assert bucket.provenance(picture_id(1)) == new == {"origins": ["first", "second", "third"]}
    assert bucket.bytes(picture_id(1)) == b"data"


def test_a_listing_of_changes_saves_requests(bucket):
    for number in (1, 2, 3):
        bucket.add(picture_id(number), b"data", "png", {"number": number})
    bucket.set_provenance(picture_id(2), {"number": "changed"})
    store = CountingStore(bucket.store)
    bucket = PictureBucket(store, Bucket.RAW)
    unattached = bucket.unattached()
    assert unattached == {picture_id(2)}
    read = {entry.picture_id: bucket.provenance(entry, unattached)["number"] for entry in bucket.entries()}
    assert read == {picture_id(1): 1, picture_id(2): "changed", picture_id(3): 3}
    assert store.num_calls["get"] == 1


def test_of_a_picture_deleted_during_a_change_nothing_remains(bucket):
    bucket.add(picture_id(1), b"data", "png", {"origins": []})

    def withdrawn_meanwhile(old):
        bucket.delete(picture_id(1))
        return old

    with pytest.raises(ObjectMissing):
        bucket.update_provenance(picture_id(1), withdrawn_meanwhile)
    assert list(bucket.store.list(Bucket.RAW)) == []


LONG = "ピ" * 1000


@pytest.mark.parametrize("name", ["add", "write"])
def test_long_provenance_is_an_object_of_its_own(bucket, name):
    getattr(bucket, name)(picture_id(1), b"data", "png", {"name": LONG})
    assert bucket.provenance(picture_id(1)) == {"name": LONG}
    assert len(list(bucket.store.list(Bucket.RAW))) == 2
    assert not bucket.add(picture_id(1), b"data", "png", {"name": LONG + "again"})
    assert bucket.provenance(picture_id(1)) == {"name": LONG}
    bucket.delete(picture_id(1))
    assert list(bucket.store.list(Bucket.RAW)) == []


def test_long_provenance_that_an_interrupted_add_left_can_be_kept(bucket):
    bucket.set_provenance(picture_id(1), {"origins": [LONG]})
    assert bucket.count() == 0
    both = bucket.add(
        picture_id(1),
        b"data",
        "png",
        {"origins": [LONG + "again"]},
        lambda old, new: {"origins": old["origins"] + new["origins"]},
    )
    assert both
    assert bucket.provenance(picture_id(1)) == {"origins": [LONG, LONG + "again"]}


def test_listing_goes_on_after_a_picture(bucket):
    ids = sorted(picture_id(number) for number in range(20))
    for one in ids:
        bucket.add(one, b"data", "png", {})
    assert list(bucket.ids()) == ids
    assert list(bucket.ids(start_after=ids[4])) == ids[5:]
    page = list(bucket.entries(start_after=ids[4], limit=3))
    assert [entry.picture_id for entry in page] == ids[5:8]
    assert (page[0].extension, page[0].content_type, page[0].size) == ("png", "image/png", 4)
    assert bucket.read(page[0]) == b"data"


def test_what_is_missing_is_told(bucket):
    for call in (bucket.bytes, bucket.provenance, bucket.entry):
        with pytest.raises(ObjectMissing):
            call(picture_id(1))


def test_deleting_takes_picture_and_provenance(bucket):
    bucket.add(picture_id(1), b"data", "gif", {})
    bucket.delete(picture_id(1))
    bucket.delete(picture_id(1))
    assert list(bucket.store.list(Bucket.RAW)) == []


@pytest.mark.parametrize("wrong", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_hashes_are_ids(bucket, wrong):
    assert not is_picture_id(wrong)
    with pytest.raises(ValueError, match="SHA-256"):
        bucket.add(wrong, b"data", "png", {})
    with pytest.raises(ValueError, match="SHA-256"):
        bucket.bytes(wrong)


def test_only_known_extensions_are_saved(bucket):
    with pytest.raises(ValueError, match="exe"):
        bucket.add(picture_id(1), b"data", "exe", {})
