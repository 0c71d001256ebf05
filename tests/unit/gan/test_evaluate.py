"""KID, diversity and near copies: they must tell good pictures from bad ones, and be unbiased."""

import numpy as np
import pytest

from pika_gan.data import make_dataset
from pika_gan.evaluate import Evaluator, kid, kid_interval, mean_pairwise_distance, nearest
from pika_gan.features import NUM_FEATURES, features_of

from .conftest import some_pictures


@pytest.fixture(scope="module")
def evaluator(dataset) -> Evaluator:
    return Evaluator(dataset)


def test_kid_agrees_with_its_definition():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((5, 3)), random.standard_normal((4, 3))
    kernel = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    within_x = np.mean([kernel(x[i], x[j]) for i in range(5) for j in range(5) if i != j])
    within_y = np.mean([kernel(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(within_x + within_y - 2 * between)


def test_kid_of_the_same_distribution_is_zero_on_average():
    random = np.random.default_rng(1)
    values = [kid(random.standard_normal((20, 8)), random.standard_normal((10, 8))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20


def test_the_interval_holds_the_value_for_distant_sets():
    random = np.random.default_rng(2)
    x, y = random.standard_normal((60, 8)) + 1, random.standard_normal((40, 8))
    low, high = kid_interval(x, y)
    assert low < kid(x, y) < high
    assert low > 0
    assert (low, high) == kid_interval(x, y)


def test_features_of_one_picture_do_not_depend_on_the_batch(dataset):
    together = features_of(dataset.train[:5])
    assert together.shape == (5, NUM_FEATURES)
    np.testing.assert_allclose(features_of(dataset.train[3:4])[0], together[3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fault", ["grey", "dotted", "noise", "shuffled"])
def test_worse_pictures_have_a_higher_kid(fault):
    dataset = make_dataset(some_pictures(300), 32)
    evaluator, random = Evaluator(dataset), np.random.default_rng(0)
    good = dataset.train[:150]
    worse = {
        "grey": np.repeat(good.mean(axis=3, keepdims=True), 3, axis=3).astype(np.uint8),
        "dotted": np.where(np.indices((32, 32)).sum(0)[None, :, :, None] % 4 == 0, 0, good).astype(np.uint8),
        "noise": random.integers(0, 256, good.shape, dtype=np.uint8),
        "shuffled": good.reshape(150, -1, 3)[:, random.permutation(1024)].reshape(good.shape),
    }[fault]
    assert evaluator.evaluate(worse).kid > evaluator.evaluate(good).kid + 0.1


def test_copies_of_one_picture_count_as_collapsed(evaluator, dataset):
    copies = np.repeat(dataset.train[:1], 20, axis=0)
    evaluation = evaluator.evaluate(copies)
    assert evaluation.diversity == pytest.approx(0, abs=1e-3)
    assert evaluation.collapsed
    assert not evaluator.evaluate(dataset.train).collapsed
    assert evaluator.evaluate(dataset.train).diversity == pytest.approx(1, abs=0.05)


def test_training_pictures_are_near_copies_and_held_out_ones_are_not(evaluator, dataset):
    assert evaluator.evaluate(dataset.train).near_copy_rate == 1
    assert evaluator.evaluate(dataset.held_out).near_copy_rate <= 0.5
    np.testing.assert_array_equal(evaluator.nearest_training(dataset.train[:7]), np.arange(7))


def test_the_evaluation_is_json_with_its_definitions(evaluator, dataset):
    told = evaluator.evaluate(dataset.train, interval=True).to_json()
    assert told["kid_interval"][0] <= told["kid_interval"][1]
    assert told["feature_version"] == "random-pyramid-1"
    assert told["num_generated"] == len(dataset.train)


def test_distances():
    pictures = np.zeros((2, 4, 4, 3), np.uint8)
    pictures[1] = 10
    assert mean_pairwise_distance(pictures) == pytest.approx(10)
    distances, index = nearest(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0]]))
    assert distances.tolist() == [1, 1]
    assert index.tolist() == [1, 0]


def test_one_picture_is_too_few_for_kid():
    with pytest.raises(ValueError, match="received 1 and 5"):
        kid(np.zeros((1, 3)), np.zeros((5, 3)))
