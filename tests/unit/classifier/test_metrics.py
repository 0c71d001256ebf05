"""The metrics against values computed by hand."""

import numpy as np
import pytest

from pika_classifier.learn import metrics
from pika_classifier.learn.calibrate import fit_temperature

TRUTH = np.array([True, False, True, True, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.3, 0.1])


def test_roc_auc_counts_the_pairs_in_order():
    # Of 3 × 2 pairs, (0.7, 0.8) and (0.3, 0.8) are in the wrong order.
    assert metrics.roc_auc(TRUTH, SCORES) == pytest.approx(4 / 6)


def test_ties_count_half():
    assert metrics.roc_auc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5
    assert metrics.roc_auc(np.array([True, True, False]), np.array([0.5, 0.9, 0.5])) == pytest.approx(0.75)


def test_roc_auc_of_one_kind_is_not_a_number():
    assert np.isnan(metrics.roc_auc(np.array([True, True]), np.array([0.1, 0.2])))
    assert metrics.report(np.array([True, True]), np.array([0.1, 0.2]))["roc_auc"] is None


def test_pr_auc_is_the_average_precision():
    # Recall rises by a third at ranks 1, 3 and 4, where precision is 1, 2/3 and 3/4.
    assert metrics.pr_auc(TRUTH, SCORES) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_equal_scores_are_one_point_of_the_curve():
    precision, recall, thresholds = metrics.pr_curve(np.array([True, False, True]), np.array([0.5, 0.5, 0.2]))
    assert thresholds.tolist() == [0.5, 0.2]
    assert precision.tolist() == [0.5, pytest.approx(2 / 3)]
    assert recall.tolist() == [0.5, 1.0]


def test_a_score_at_the_threshold_passes():
    figures = metrics.at_threshold(TRUTH, SCORES, 0.7)
    assert figures["num_passed"] == 3
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["accuracy"] == pytest.approx(3 / 5)


def test_precision_of_nothing_is_none():
    assert metrics.at_threshold(TRUTH, SCORES, 0.95)["precision"] is None


def test_calibration_error_is_the_weighted_gap():
    truth = np.array([True, False, True, True])
    probabilities = np.array([0.3, 0.3, 0.9, 0.9])
    # Two bins of two: |0.5 − 0.3| and |1 − 0.9|.
    assert metrics.calibration_error(truth, probabilities, num_bins=5) == pytest.approx(0.15)


def test_the_temperature_undoes_overconfidence():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, 20_000)
    truth = random.random(20_000) < 1 / (1 + np.exp(-logits))
    assert fit_temperature(3 * logits, truth) == pytest.approx(3, rel=0.05)
    assert fit_temperature(logits, truth) == pytest.approx(1, rel=0.05)


def test_separable_pictures_do_not_ask_for_certainty():
    logits = np.array([-4.0, -3.0, 3.0, 4.0])
    temperature = fit_temperature(logits, logits > 0)
    assert 1 / (1 + np.exp(-4.0 / temperature)) < 0.9


def test_the_recommended_threshold_lies_between_the_last_yes_and_the_first_no():
    truth = np.array([1, 1, 1, 0, 0], bool)
    threshold = metrics.recommended_threshold(truth, np.array([0.9, 0.8, 0.7, 0.5, 0.1]))
    assert threshold == pytest.approx(0.6)


def test_a_wrong_yes_weighs_more_than_a_missed_pikachu():
    """Three likely ones without a mistake beat all five with two mistakes: F½ 0.88 against 0.76."""
    truth = np.array([1, 1, 1, 0, 0, 1, 1], bool)
    scores = np.array([0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert metrics.recommended_threshold(truth, scores) == pytest.approx(0.75)


def test_a_threshold_is_recommended_even_where_nothing_can_be_known():
    assert metrics.recommended_threshold(np.zeros(3, bool), np.array([0.1, 0.2, 0.3])) == 0.5
    assert 0 < metrics.recommended_threshold(np.ones(3, bool), np.zeros(3)) < 1
    assert 0 < metrics.recommended_threshold(np.ones(3, bool), np.ones(3)) < 1
