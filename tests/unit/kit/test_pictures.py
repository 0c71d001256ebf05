"""A bucket of pictures: each saved once, with its provenance, listed in order."""

import hashlib

import pytest

from pika_kit.pictures import PictureBucket, is_picture_id
from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing
from pika_kit.testing import MemoryStore


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


def test_an_interrupted_add_leaves_no_picture_and_can_be_repeated(bucket):
    bucket.set_provenance(picture_id(1), {"origins": ["interrupted"]})
    assert not bucket.has(picture_id(1))
    assert bucket.count() == 0
    assert bucket.add(picture_id(1), b"data", "png", {"origins": ["again"]})
    assert bucket.provenance(picture_id(1)) == {"origins": ["again"]}


def test_what_an_interrupted_add_left_can_be_kept(bucket):
    bucket.set_provenance(picture_id(1), {"origins": ["interrupted"]})
    both = bucket.add(
        picture_id(1),
        b"data",
        "png",
        {"origins": ["again"]},
        lambda old, new: {"origins": old["origins"] + new["origins"]},
    )
    assert both
    assert bucket.provenance(picture_id(1)) == {"origins": ["interrupted", "again"]}


def test_listing_goes_on_after_a_picture(bucket):
    ids = sorted(picture_id(number) for number in range(20))
    for found in ids:
        bucket.add(found, b"data", "png", {})
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
