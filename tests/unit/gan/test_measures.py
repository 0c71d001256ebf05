"""Measures against their definitions, known distributions, and the errors of the first version."""

import math

import numpy as np
import pytest

from pika_gan.measures import (
    Reference,
    distances,
    effective_number,
    fid,
    kid,
    kid_interval,
    manifolds,
    mean_pairwise_distance,
)


def normal(random, num, dim=8, mean=0.0):
    return random.standard_normal((num, dim)) + mean


def with_mirror(random, num, dim=8):
    """Return pictures and mirror images that share half of their features; the second half is drawn anew."""
    originals = normal(random, num, dim)
    mirrored = originals.copy()
    mirrored[:, dim // 2 :] = normal(random, num, dim - dim // 2)
    return Reference(originals, mirrored)


def alone(rows):
    return Reference(rows, rows)


def test_kid_agrees_with_its_definition():
    random = np.random.default_rng(0)
    x, y, z = normal(random, 5, 3), normal(random, 4, 3), normal(random, 4, 3)
    kernel = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    within_x = np.mean([kernel(x[i], x[j]) for i in range(5) for j in range(5) if i != j])
    images = [y, z]
    within_y = np.mean(
        [kernel(a[i], b[j]) for a in images for b in images for i in range(4) for j in range(4) if i != j]
    )
    between = np.mean([kernel(a, b) for a in x for image in images for b in image])
    assert kid(x, Reference(y, z)) == pytest.approx(within_x + within_y - 2 * between)


def test_a_mirror_image_brings_no_bias():
    """Samples of the reference's own distribution: 0 on average, however similar mirror images are."""
    random, values = np.random.default_rng(1), []
    for _ in range(400):
        values.append(kid(normal(random, 20), with_mirror(random, 10)))
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    # Counted as separate pictures, mirror images would make real pictures seem more alike.
    random, naive = np.random.default_rng(1), []
    for _ in range(400):
        naive.append(kid(normal(random, 20), alone(with_mirror(random, 10).both)))
    assert np.mean(naive) > 5 * np.std(naive) / 20


@pytest.mark.parametrize("mean", [0.3, 0.6])
def test_the_interval_holds_the_true_kid_about_as_often_as_it_says(mean):
    random = np.random.default_rng(2)
    truth = kid(normal(random, 6000, 4, mean), alone(normal(random, 6000, 4)))
    held = 0
    for _ in range(100):
        low, high = kid_interval(normal(random, 80, 4, mean), alone(normal(random, 60, 4)), num_resamples=200)
        held += low <= truth <= high
    assert 86 <= held <= 100


def test_intervals_are_the_same_each_time():
    random = np.random.default_rng(3)
    x, y = normal(random, 30), alone(normal(random, 20))
    assert kid_interval(x, y) == kid_interval(x, y)


def test_one_picture_is_too_few_for_kid():
    with pytest.raises(ValueError, match="received 1 and 5"):
        kid(np.zeros((1, 3)), alone(np.zeros((5, 3))))


def test_fid_of_known_normals():
    """|μ₁ − μ₂|² + Σ (σ₁ − σ₂)² for diagonal covariances."""
    random = np.random.default_rng(4)
    deviations = np.array([1.0, 2.0, 0.5])
    x = random.standard_normal((2500, 3)) * deviations + np.array([1.0, 0.0, 0.0])
    y = random.standard_normal((2500, 3))
    assert fid(x, y) == pytest.approx(1 + ((deviations - 1) ** 2).sum(), rel=0.1)


def test_fid_agrees_with_the_matrix_root():
    random = np.random.default_rng(5)
    x, y = normal(random, 50, 4) @ normal(random, 4, 4), normal(random, 40, 4)
    first, second = np.cov(x.T), np.cov(y.T)
    values = np.linalg.eigvals(first @ second).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(first + second) - 2 * np.sqrt(values).sum()
    assert fid(x, y) == pytest.approx(expected)
    assert fid(x, x) == pytest.approx(0, abs=1e-9)


def test_precision_and_recall_tell_quality_from_variety():
    random = np.random.default_rng(6)
    real = normal(random, 300, 3)
    narrow, wide, off = 0.1 * normal(random, 300, 3), 4 * normal(random, 300, 3), normal(random, 300, 3, 9.0)
    same, few, many, none = (manifolds(rows, real) for rows in (normal(random, 300, 3), narrow, wide, off))
    assert min(same.precision, same.recall, same.coverage) > 0.85
    assert same.density == pytest.approx(1, abs=0.15)
    assert few.precision > 0.95
    assert few.recall < 0.2
    assert many.precision < 0.4
    assert many.recall > 0.8
    assert (none.precision, none.recall, none.density, none.coverage) == (0, 0, 0, 0)


def test_four_pictures_repeated_do_not_pass_for_many():
    random = np.random.default_rng(7)
    real = normal(random, 256, 64)
    copies = np.repeat(real[:4], 64, axis=0)
    usual = float(np.median(distances(real, real)))
    assert 1 < effective_number(copies, usual) <= 4
    assert effective_number(copies, usual) / effective_number(real, usual) < 0.1
    assert effective_number(real[:1].repeat(20, axis=0), usual) == pytest.approx(1)
    assert effective_number(100 * np.eye(10), 1.0) == pytest.approx(10)
    # Different, but similar.
    assert effective_number(real[:1] + 0.02 * real, usual) < 1.1
    assert manifolds(copies, real).coverage < 0.2
    assert math.isfinite(effective_number(np.zeros((5, 3)), 0.0))


def test_distances():
    pictures = np.zeros((2, 4, 4, 3), np.uint8)
    pictures[1] = 10
    assert mean_pairwise_distance(pictures) == pytest.approx(10)
    assert mean_pairwise_distance(pictures[:1]) == 0
    lengths = distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 4.0]]))
    np.testing.assert_allclose(lengths, [[0, 4], [5, 3]])
