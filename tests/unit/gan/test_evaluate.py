"""The evaluation of drawn pictures distinguishes good ones from bad ones and copies from new ones."""

import numpy as np
import pytest

from pika_gan.data import make_dataset
from pika_gan.evaluate import Evaluator
from pika_gan.spaces import look

from .conftest import some_pictures


@pytest.fixture(scope="module")
def evaluator(dataset) -> Evaluator:
    return Evaluator(dataset, ("pyramid",))


@pytest.fixture(scope="module")
def lite2(dataset) -> Evaluator:
    return Evaluator(dataset, ("pyramid", "lite2"))


@pytest.mark.parametrize("space", ["pyramid", "lite2"])
@pytest.mark.parametrize("size", [16, 64])
def test_features_of_one_picture_do_not_depend_on_the_batch(space, size):
    pictures = np.stack([pixels for _, pixels in some_pictures(5, size)])
    together = look(space, pictures)
    alone = look(space, pictures[3:4])
    np.testing.assert_allclose(alone.features[0], together.features[3], rtol=1e-3, atol=1e-3)
    assert (together.places is None) == (space == "pyramid")
    if space == "lite2":
        assert together.features.shape == (5, 1280)
        assert together.places.shape[:2] == (5, 64)


def test_an_unknown_space_is_named():
    with pytest.raises(ValueError, match="pyramid, lite2"):
        look("inception", np.zeros((1, 16, 16, 3), np.uint8))


def test_a_larger_picture_is_seen_at_its_own_size():
    """A dotted picture of 64 px that shrinks to plain grey at 32 px must differ from plain grey."""
    dotted = np.full((1, 64, 64, 3), 0, np.uint8)
    dotted[:, (np.indices((64, 64)).sum(0) % 2) == 0] = 255
    grey = np.full((1, 64, 64, 3), 128, np.uint8)
    assert np.abs(look("pyramid", dotted).features - look("pyramid", grey).features).max() > 0.1


@pytest.mark.parametrize("fault", ["grey", "dotted", "noise", "shuffled"])
def test_worse_pictures_have_a_higher_kid(fault):
    dataset = make_dataset(some_pictures(300), 32)
    evaluator, random = Evaluator(dataset, ("pyramid",)), np.random.default_rng(0)
    good = dataset.train[:150]
    worse = {
        "grey": np.repeat(good.mean(axis=3, keepdims=True), 3, axis=3).astype(np.uint8),
        "dotted": np.where(np.indices((32, 32)).sum(0)[None, :, :, None] % 4 == 0, 0, good).astype(np.uint8),
        "noise": random.integers(0, 256, good.shape, dtype=np.uint8),
        "shuffled": good.reshape(150, -1, 3)[:, random.permutation(1024)].reshape(good.shape),
    }[fault]
    assert evaluator.evaluate(worse).kid > evaluator.evaluate(good).kid + 0.1


@pytest.mark.parametrize("num", [1, 4])
def test_a_few_pictures_repeated_count_as_collapsed(evaluator, dataset, num):
    copies = np.tile(dataset.train[:num], (40 // num, 1, 1, 1))
    evaluation = evaluator.evaluate(copies)
    assert evaluation.collapsed
    assert not evaluator.evaluate(dataset.train).collapsed
    assert evaluator.evaluate(dataset.train).diversity == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_every_copy_of_a_training_picture_is_found_mirrored_or_not(evaluator, dataset, is_mirrored):
    copies = dataset.train[:, :, ::-1] if is_mirrored else dataset.train
    assert evaluator.evaluate(copies).near_copy_rate == 1
    np.testing.assert_array_equal(evaluator.nearest_training(copies[:7]), np.arange(7))
    assert evaluator.evaluate(dataset.held_out).near_copy_rate <= 0.5


def test_copies_are_found_where_the_same_picture_is_held_out_and_trained_on():
    """A picture both held out and trained on is at distance 0, which must not become the threshold."""
    pictures = some_pictures(40)
    doubled = [(f"{n}-{key}", pixels.copy()) for n in range(3) for key, pixels in pictures]
    for number, (_, pixels) in enumerate(doubled):
        pixels[0, 0] = number % 7  # different bytes, or they would count as one
    dataset = make_dataset(doubled, 32)
    assert Evaluator(dataset, ("pyramid",)).evaluate(dataset.train).near_copy_rate == 1


def test_the_reference_is_held_out_where_there_is_enough_of_it(dataset):
    assert Evaluator(dataset, ("pyramid",)).reference == "all"
    large = make_dataset(some_pictures(1100), 16)
    assert Evaluator(large, ("pyramid",)).reference == "held_out"


def test_a_large_reference_is_thinned(dataset, monkeypatch):
    monkeypatch.setattr("pika_gan.evaluate.MOST_REFERENCE", 25)
    evaluator = Evaluator(dataset, ("pyramid",))
    evaluation = evaluator.evaluate(dataset.train)
    assert evaluation.num_reference == 20  # every third of sixty
    assert evaluation.near_copy_rate == 1  # copies are searched for among all


def test_the_evaluation_is_json_with_its_definitions(lite2, dataset):
    told = lite2.evaluate(dataset.train, interval=True).to_json()
    assert told["kid_interval"][0] <= told["kid"] <= told["kid_interval"][1]
    assert list(told["spaces"]) == ["pyramid", "lite2"]
    assert told["spaces"]["lite2"]["kid"] == told["kid"]
    assert told["feature_version"] == "efficientnet-lite2-128px-1"
    assert told["num_generated"] == len(dataset.train)
    assert 0.8 < told["likeness"] <= 1
    assert 0 <= told["recall"] <= 1
