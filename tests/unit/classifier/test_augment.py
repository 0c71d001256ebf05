"""Augmentation changes pictures within its bounds, and only as its seed says."""

import dataclasses

import numpy as np
import pytest
from classifier_samples import drawn

from pika_classifier.augment import augment
from pika_classifier.config import Augmentation

STILL = Augmentation(
    scale=(1.0, 1.0), shift=0, degrees=0, stretch=1.0, brightness=0, contrast=0, saturation=0, hue_degrees=0,
    grey_probability=0, cutout_probability=0,
)  # fmt: skip


@pytest.fixture
def picture() -> np.ndarray:
    return drawn(1, is_yellow=True, seed=5)[0]


def test_without_any_change_a_picture_stays_or_is_mirrored(picture):
    found = {augment(picture, np.random.default_rng(seed), STILL, 256).tobytes() for seed in range(8)}
    assert found == {picture.tobytes(), picture[:, ::-1].tobytes()}


def test_half_the_size_shows_the_whole_picture(picture):
    halved = picture.reshape(128, 2, 128, 2, 3).mean((1, 3))
    found = augment(picture, np.random.default_rng(0), STILL, 128).astype(float)
    difference = min(np.abs(found - halved).mean(), np.abs(found[:, ::-1] - halved).mean())
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
    for seed in range(10):
        moved = augment(picture, np.random.default_rng(seed), how, 256)
        assert abs((moved[..., 2] < 100).nonzero()[0].mean() - yellow) <= 0.1 * 256 + 1
