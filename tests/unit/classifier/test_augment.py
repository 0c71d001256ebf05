"""Augmentation changes pictures within its bounds, and depends on its seed alone."""

import dataclasses

import numpy as np
import pytest
from classifier_samples import drawn

from pika_classifier.config import Augmentation, preset_named
from pika_classifier.learn.augment import augment
from pika_classifier.learn.batches import picture_batches
from pika_classifier.learn.data import LabelledPictures

STILL = Augmentation(
    scale=(1.0, 1.0), shift=0, degrees=0, stretch=1.0, brightness=0, contrast=0, saturation=0, hue_degrees=0,
    grey_probability=0, cutout_probability=0,
)  # fmt: skip


@pytest.fixture
def picture() -> np.ndarray:
    return drawn(1, is_yellow=True, seed=5)[0]


def test_without_any_change_a_picture_stays_or_is_mirrored(picture):
    results = {augment(picture, np.random.default_rng(seed), STILL, 256).tobytes() for seed in range(8)}
    assert results == {picture.tobytes(), picture[:, ::-1].tobytes()}


def test_half_the_size_shows_the_whole_picture(picture):
    halved = picture.reshape(128, 2, 128, 2, 3).mean((1, 3))
    small = augment(picture, np.random.default_rng(0), STILL, 128).astype(float)
    difference = min(np.abs(small - halved).mean(), np.abs(small[:, ::-1] - halved).mean())
    assert difference < 2


def test_the_seed_decides(picture):
    first, second, other = (
        augment(picture, np.random.default_rng(seed), Augmentation(), 128) for seed in (3, 3, 4)
    )
    assert first.shape == (128, 128, 3)
    assert first.dtype == np.uint8
    assert (first == second).all()
    assert (first != other).any()


def test_grey_takes_all_colour_away(picture):
    grey = augment(picture, np.random.default_rng(0), dataclasses.replace(STILL, grey_probability=1.0), 256)
    assert np.ptp(grey.astype(int), axis=2).max() <= 1


def test_the_picture_moves_by_at_most_the_shift(picture):
    how = dataclasses.replace(STILL, shift=0.1)
    yellow = (picture[..., 2] < 100).nonzero()[0].mean()
    ways = [
        abs(
            (augment(picture, np.random.default_rng(seed), how, 256)[..., 2] < 100).nonzero()[0].mean()
            - yellow
        )
        for seed in range(20)
    ]
    assert max(ways) <= 0.1 * 256 + 1
    assert max(ways) > 0.05 * 256, "it does move"


@pytest.mark.parametrize(
    "change",
    [
        {"scale": (0.5, 0.6)},
        {"shift": 0.2},
        {"degrees": 30},
        {"stretch": 1.5},
        {"brightness": 0.4},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"hue_degrees": 60},
        {"grey_probability": 1.0},
        {"cutout_probability": 1.0},
    ],
    ids=str,
)
def test_each_kind_of_change_changes_the_picture(change):
    """Besides the mirror image, which is always included."""
    blocks = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = np.kron(blocks, np.ones((32, 32, 1), np.uint8))
    how = dataclasses.replace(STILL, **change)
    differences = []
    for seed in range(6):
        changed = augment(picture, np.random.default_rng(seed), how, 256).astype(float)
        differences.append(min(np.abs(changed - same).mean() for same in (picture, picture[:, ::-1])))
    assert max(differences) > 1, differences


def test_what_training_draws_is_augmented(picture):
    """A network learns from varied pictures, not from the originals."""
    trains = LabelledPictures.of([(str(n), picture, "pikachu" if n % 2 else "others") for n in range(8)])
    pixels, targets = next(picture_batches(trains, preset_named("tiny"), seed=0))
    assert sorted(set(targets[:, 0])) == [0.0, 1.0]
    assert len({one.tobytes() for one in pixels}) == len(pixels)
