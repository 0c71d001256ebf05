"""Figures are cut from the original files; squares are used where there are too few."""

from dataclasses import replace

import numpy as np
import pytest

from pika_gan.pictures import ENOUGH_FIGURES, gather
from pika_gan.presets import PRESETS
from pika_gan.spaces import Seen
from pika_kit.images import sha256, square
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.stages import Bucket

PRESET = replace(PRESETS["tiny"], resolution=32, pictures="figures", poses=3,
                 generator_channels=(16, 16, 8, 8), discriminator_channels=(16, 16, 8, 8))  # fmt: skip


def wide_scene(random, *, is_plain: bool) -> np.ndarray:
    """Return yellow discs at the left of wide pictures, which a centre square cuts off."""
    height, width = 120, 260
    if is_plain:
        picture = np.full((height, width, 3), random.integers(120, 256, 3), np.uint8)
    else:
        picture = random.integers(0, 256, (height, width, 3), np.uint8)
    rows, columns = np.mgrid[0:height, 0:width]
    row, column, radius = random.uniform(50, 70), random.uniform(45, 80), random.uniform(25, 40)
    picture[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = (250, 210, int(random.integers(0, 90)))
    return picture


def fill(store, num_plain: int, num_busy: int) -> list[str]:
    random = np.random.default_rng(5)
    raw, chosen = PictureBucket(store, Bucket.RAW), PictureBucket(store, Bucket.PIKACHU)
    ids = []
    for number in range(num_plain + num_busy):
        pixels = wide_scene(random, is_plain=number < num_plain)
        data = encode_png(pixels)
        raw.add(sha256(data), data, "png", {})
        chosen.add(sha256(data), encode_png(square(pixels, 64)), "png", {})
        ids.append(sha256(data))
    return ids


def gathered(store, preset=PRESET, before=None):
    entries = list(PictureBucket(store, Bucket.PIKACHU).entries())
    return gather(store, entries, preset, 16, on_progress=lambda *_, **__: None, before=before)


@pytest.fixture
def features_by_colour(monkeypatch):
    """Select by mean colours instead of Lite2, which is slow and tested elsewhere."""

    def look(_, pictures):
        return Seen(pictures.mean(axis=(1, 2)).astype(float))

    monkeypatch.setattr("pika_gan.pictures.look", look)


def test_figures_are_whole_although_the_squares_are_not(memory_store, features_by_colour):
    fill(memory_store, 90, 10)
    dataset = gathered(memory_store)
    facts = dataset.facts
    assert facts["kind"] == "figures"
    assert facts["num_looked_at"] == 100
    assert facts["left_out"] == {"busy_ground": 10, "hardly_yellow": 0, "head_alone": 0, "not_typical": 27}
    assert len(dataset.ids) == 63
    assert len(dataset.shown) == 3 * len(dataset.train)
    corners = dataset.shown[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners > 250).all()
    # A whole disc fills π / 4 of its box, which is 92 % of the side.
    area = (dataset.train.min(axis=3) < 200).mean(axis=(1, 2))
    assert np.median(area) == pytest.approx(np.pi / 4 * 0.92**2, abs=0.06)
    assert dataset.manifest()["pictures"] == facts


def test_a_resumed_run_has_the_pictures_that_it_began_with(memory_store, features_by_colour):
    fill(memory_store, 90, 0)
    first = gathered(memory_store)
    keep = set(first.ids)
    entries = [e for e in PictureBucket(memory_store, Bucket.PIKACHU).entries() if e.picture_id in keep]
    again = gather(memory_store, entries, PRESET, 16, on_progress=lambda *_, **__: None, before=first.facts)
    assert again.manifest() == first.manifest()
    assert (again.shown == first.shown).all()


def test_with_too_few_plain_grounds_squares_step_in_and_it_is_said(memory_store):
    fill(memory_store, ENOUGH_FIGURES - 1, 40)
    dataset = gathered(memory_store)
    assert dataset.facts["kind"] == "squares"
    assert "only 59 typical figures, of 60 wanted" in dataset.facts["fell_back"]
    assert len(dataset.ids) == 99
    assert len(dataset.shown) == len(dataset.train)


def test_a_picture_that_was_put_in_by_hand_is_cut_from_what_there_is(memory_store, features_by_colour):
    fill(memory_store, 80, 0)
    raw = PictureBucket(memory_store, Bucket.RAW)
    for picture_id in list(raw.ids())[:10]:
        raw.delete(picture_id)
    assert gathered(memory_store).facts["kind"] == "figures"


def test_copies_of_one_picture_are_too_few(memory_store):
    random = np.random.default_rng(0)
    chosen = PictureBucket(memory_store, Bucket.PIKACHU)
    data = encode_png(square(wide_scene(random, is_plain=True), 64))
    for number in range(20):
        chosen.add(f"{number:064x}", data, "png", {})
    with pytest.raises(ValueError, match=r"at least 16 .* that show something, received 1"):
        gathered(memory_store, PRESETS["tiny"])
