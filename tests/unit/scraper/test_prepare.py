"""raw → images: squares, near duplicates left out and reported, flags; the same if run twice or in parts."""

import io

import numpy as np
import pytest
from PIL import Image
from scraper_samples import take_here

from pika_kit import images
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.runner import JobInterrupted
from pika_kit.stages import Bucket
from pika_kit.testing import VanishingStore
from pika_scraper.config import PrepareConfig
from pika_scraper.intake.provenance import make_origin
from pika_scraper.pictures.duplicates import near_duplicate_ids
from pika_scraper.pictures.near import NearIndex
from pika_scraper.pictures.pipeline import colour_signature, examine
from pika_scraper.prepare import prepare_bucket

CONFIG = PrepareConfig()


@pytest.fixture
def add(memory_store):
    """Return a function that puts a picture into raw and returns its id."""
    raw = PictureBucket(memory_store, Bucket.RAW)
    return lambda data, name="x.png": take_here(raw, data, make_origin("folder", name=name)).picture_id


@pytest.fixture
def squares(memory_store):
    return PictureBucket(memory_store, Bucket.IMAGES)


def smaller(data: bytes, size: tuple[int, int], quality: int = 70) -> bytes:
    """A shrunken JPEG copy."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").resize(size).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_a_picture_becomes_a_square_with_its_provenance(add, squares, make_context, make_picture, decoders):
    picture_id = add(make_picture(1, (300, 200), "JPEG"), "found.jpg")
    report = prepare_bucket(make_context(), decoders)
    assert (report["looked_at"], report["prepared"], report["in_images"]) == (1, 1, 1)
    picture = images.decode(squares.bytes(picture_id))
    assert (picture.format, picture.pixels.shape) == ("png", (256, 256, 3))
    provenance = squares.provenance(picture_id)
    assert provenance["origins"][0]["name"] == "found.jpg"
    assert (provenance["width"], provenance["height"], provenance["format"]) == (300, 200, "jpeg")
    assert len(provenance["perceptual_hash"]) == 16
    assert provenance["flags"] == ["blurry", "busy_background"]
    assert provenance["prepared"] == {"size": 256, "fit": "crop"}


def test_of_near_duplicates_the_largest_is_kept_and_the_others_are_told(
    add, squares, make_context, make_picture, memory_store, decoders
):
    original = make_picture(1, (400, 300))
    copies = [add(smaller(original, size)) for size in ((100, 75), (200, 150), (320, 240))]
    kept = add(original)
    other = add(make_picture(2, (90, 90)))
    report = prepare_bucket(make_context(), decoders)
    assert (report["prepared"], report["near_duplicates"]) == (2, 3)
    assert list(squares.ids()) == sorted([kept, other])
    assert near_duplicate_ids(memory_store) == set(copies)
    record = memory_store.get_json(Bucket.IMAGES, f"near_duplicates/{copies[0]}.json")
    assert record["duplicate_of"] == kept
    assert record["distance"] <= CONFIG.near_duplicate_bits
    assert {sample["duplicate_of"] for sample in report["samples"]["near_duplicate"]} == {kept}
    assert all(PictureBucket(memory_store, Bucket.RAW).has(picture_id) for picture_id in copies)


def test_a_copy_that_comes_later_is_found_with_and_without_the_saved_index(
    add, squares, make_context, make_picture, memory_store, decoders
):
    original = make_picture(1, (200, 200))
    kept = add(smaller(original, (150, 150)))
    prepare_bucket(make_context(), decoders)
    assert prepare_bucket(make_context(), decoders)["looked_at"] == 0
    add(original)
    assert prepare_bucket(make_context(), decoders)["near_duplicates"] == 1
    memory_store.delete(Bucket.IMAGES, "index/looks.json")
    add(smaller(original, (120, 120)))
    report = prepare_bucket(make_context(), decoders)
    assert (report["near_duplicates"], report["in_images"]) == (1, 1)
    assert list(squares.ids()) == [kept]


def test_one_drawing_in_two_colourings_is_two_pictures(add, squares, make_context, make_picture, decoders):
    grey = np.asarray(Image.open(io.BytesIO(make_picture(1, (200, 200)))).convert("L"))
    yellow = np.stack([grey, grey, grey // 8], axis=2)
    neutral = np.stack([grey] * 3, axis=2)
    distance = images.hash_distance(images.perceptual_hash(yellow), images.perceptual_hash(neutral))
    assert distance <= CONFIG.near_duplicate_bits
    add(encode_png(yellow))
    add(encode_png(neutral))
    assert prepare_bucket(make_context(), decoders)["prepared"] == 2


def test_interrupted_anywhere_it_ends_with_the_same_bucket(
    make_picture, make_context, memory_store, monkeypatch, decoders
):
    monkeypatch.setattr("pika_kit.runner._PROGRESS_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr("pika_scraper.prepare.NUM_INTAKE_THREADS", 2)
    originals = [make_picture(number, (200 + number, 200)) for number in range(12)]
    data = originals + [smaller(original, (100 + n, 90 + n)) for n, original in enumerate(originals)]
    raw = PictureBucket(memory_store, Bucket.RAW)
    for number, picture in enumerate(data):
        take_here(raw, picture, make_origin("folder", name=f"{number}") | {"time": "then"})
    prepare_bucket(make_context(), decoders)
    undisturbed = {
        info.key: memory_store.get(Bucket.IMAGES, info.key) for info in memory_store.list(Bucket.IMAGES)
    }
    for key in undisturbed:
        memory_store.delete(Bucket.IMAGES, key)

    def publish(progress):
        if progress.total is not None and progress.done == 2:
            raise JobInterrupted

    for _ in range(2):
        with pytest.raises(JobInterrupted):
            prepare_bucket(make_context(publish=publish), decoders)
    report = prepare_bucket(make_context(), decoders)
    again = {info.key: memory_store.get(Bucket.IMAGES, info.key) for info in memory_store.list(Bucket.IMAGES)}
    assert report["in_images"] == 12
    assert {key: value for key, value in again.items() if not key.startswith("index/")} == {
        key: value for key, value in undisturbed.items() if not key.startswith("index/")
    }


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (1600, 162), (3000, 2000)])
def test_pictures_of_every_shape_are_prepared(make_picture, size):
    for fit in ("crop", "pad"):
        prepared = examine(make_picture(1, size), PrepareConfig(fit=fit)).prepared
        assert images.decode(prepared.square).pixels.shape == (256, 256, 3)


def test_the_index_grows_and_finds_the_nearest():
    index = NearIndex(max_bits=6)
    grey = colour_signature(Image.new("RGB", (16, 16), (128, 128, 128)))
    hashes = np.random.default_rng(1).integers(0, 2**63, 3000, dtype=np.uint64)
    for number, value in enumerate(hashes):
        index.add(str(number), f"{int(value):016x}", grey)
    assert len(index) == 3000
    wanted = int(hashes[2500])
    assert index.find(f"{wanted ^ 0b1011:016x}", grey) == ("2500", 3)
    assert index.find(f"{wanted ^ 0x7F:016x}", grey) is None
    assert NearIndex(6).find("0" * 16, grey) is None


@pytest.mark.parametrize("way", ["get", "stat"])
def test_a_picture_that_is_deleted_meanwhile_does_not_fail_the_others(
    memory_store, make_context, make_picture, way, decoders
):
    raw = PictureBucket(memory_store, Bucket.RAW)
    ids = [
        take_here(raw, make_picture(seed), make_origin("upload", name=str(seed))).picture_id
        for seed in range(3)
    ]
    context = make_context()
    context.store = VanishingStore(memory_store, f"pictures/{ids[0]}", only=way)
    report = prepare_bucket(context, decoders)
    assert report["prepared"] == 2
    assert report["refused_by_reason"] == ({"deleted": 1} if way == "get" else {})
