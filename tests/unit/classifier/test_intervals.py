"""Intervals have their nominal coverage on distributions whose truth is known."""

import math

import numpy as np
import pytest

from pika_classifier.learn import intervals
from pika_classifier.learn.comparison import compare
from pika_classifier.learn.metrics import pr_auc, roc_auc


def drawn_scores(rng, num, distance):
    """Return equal numbers of Pikachus and others, with normal scores whose means are `distance` apart."""
    truth = np.arange(2 * num) < num
    return truth, rng.normal(size=2 * num) + distance * truth


def test_the_interval_of_roc_auc_holds_the_truth_about_as_often_as_it_says():
    distance, rng = 1.0, np.random.default_rng(0)
    # Of two normals with variance 1: Φ(distance / √2).
    expected = 0.5 * (1 + math.erf(distance / 2))
    bounds = [intervals.interval(roc_auc, *drawn_scores(rng, 40, distance)) for _ in range(100)]
    covered = sum(low <= expected <= high for low, high in bounds)
    assert 88 <= covered <= 99
    assert np.mean([high - low for low, high in bounds]) == pytest.approx(0.21, abs=0.03)


def test_the_interval_narrows_with_the_labels():
    rng = np.random.default_rng(0)
    few, many = (intervals.interval(pr_auc, *drawn_scores(rng, num, 2.0)) for num in (20, 500))
    assert few[1] - few[0] > 2 * (many[1] - many[0])


def test_one_kind_alone_has_no_interval():
    assert intervals.interval(roc_auc, np.array([True, True]), np.array([0.1, 0.2])) is None
    assert compare(np.array([True]), np.array([0.1]), np.array([0.2])) == {"roc_auc": None, "pr_auc": None}


def test_pairs_see_a_difference_that_both_intervals_overlap_for():
    rng = np.random.default_rng(1)
    truth, base = drawn_scores(rng, 150, 1.0)
    other = base + 0.35 * truth
    alone = [intervals.interval(roc_auc, truth, scores) for scores in (base, other)]
    assert alone[0][1] > alone[1][0]
    difference = compare(truth, base, other)["roc_auc"]
    assert difference["is_clear"]
    assert difference["value"] == pytest.approx(roc_auc(truth, other) - roc_auc(truth, base))
    assert not compare(truth, base, base + rng.normal(scale=0.05, size=base.size))["roc_auc"]["is_clear"]


def test_wilson_by_hand():
    # 9 of 10: (0.9 + 0.19208) / 1.38416 ± 1.96 / 1.38416 · √(0.009 + 0.009604).
    assert intervals.wilson(0.9, 10) == (pytest.approx(0.5958, abs=1e-3), pytest.approx(0.9821, abs=1e-3))
