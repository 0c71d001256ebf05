"""The default preset piece by piece, on numbers whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from pika_classifier.config import FrozenPreset
from pika_classifier.features.bank import Features
from pika_classifier.learn.calibrate import expected_logits, fit_platt, pile_prior, sigmoid
from pika_classifier.learn.frozen import LabelledFeatures, train_head
from pika_classifier.learn.metrics import calibration_error, roc_auc
from pika_classifier.learn.projection import fit_projection
from pika_classifier.learn.recommend import most_informative
from pika_classifier.learn.threshold import audits_needed, balanced_threshold, lower_bound, threshold_for
from pika_classifier.learn.unlabelled import Smoother
from pika_eyes.heads import fit_logistic, folds, log_loss

WIDTH = 2752


def two_clouds(num: int, width: int, seed: int, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return float (N, width) and bool (N,): two overlapping normal clouds."""
    rng = np.random.default_rng(seed)
    truth = rng.random(num) < share
    return rng.normal(size=(num, width)) + np.where(truth, 0.6, -0.6)[:, None], truth


@pytest.mark.parametrize("width", [5, 80])
def test_the_head_is_the_optimum_which_no_step_improves(width):
    x, truth = two_clouds(40, width, seed=1)
    head = fit_logistic(x, truth, 0.5)

    def loss(weights, bias):
        return 40 * log_loss(truth, x @ weights + bias) + 0.25 * weights @ weights

    best = loss(head.weights, head.bias)
    rng = np.random.default_rng(0)
    for _ in range(50):
        step = rng.normal(size=width) * 1e-3
        assert loss(head.weights + step, head.bias) >= best - 1e-9
    probabilities = sigmoid(head.logits(x))
    # At the optimum the gradient is 0, for the bias without a penalty as well.
    np.testing.assert_allclose(x.T @ (probabilities - truth) + 0.5 * head.weights, 0, atol=1e-5)
    assert probabilities.sum() == pytest.approx(truth.sum(), abs=1e-4)


def test_a_head_needs_both_kinds_and_a_penalty():
    x = np.eye(3)
    with pytest.raises(ValueError, match="expected both kinds"):
        fit_logistic(x, np.ones(3, bool), 1.0)
    with pytest.raises(ValueError, match="a penalty above 0"):
        fit_logistic(x, np.array([True, False, True]), 0.0)


def test_folds_hold_both_kinds_evenly():
    truth = np.arange(50) < 13
    number = folds(truth, 10, seed=3)
    assert np.bincount(number).tolist() == pytest.approx([5] * 10, abs=1)
    assert all(1 <= truth[number == fold].sum() <= 2 for fold in range(10))
    assert (folds(truth, 10, seed=3) == number).all()
    assert (folds(truth, 10, seed=4) != number).any()


def test_directions_that_vary_within_a_picture_lose_their_weight():
    """The first feature distinguishes pictures, the second only variations of one picture."""
    rng = np.random.default_rng(0)
    pile = np.stack([rng.normal(size=500), rng.normal(size=500), rng.normal(size=500)], 1)
    noise = np.zeros((4, 100, 3))
    noise[..., 1] = rng.normal(size=(4, 100))
    variations = pile[:100] + noise
    projection = fit_projection(pile, variations, [2, 1], [1.0, 0.5], invariance=0.1, num_axes=3)
    weight = np.linalg.norm(projection.axes, axis=1)
    assert weight[0] > 2 * weight[1]
    moved = projection.apply(pile)
    assert moved.shape == (500, 3)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=1e-5)
    # Blocks of weights 1 and 0.5 contribute mean squares of 1 and 0.25.
    assert (moved**2).sum(axis=1).mean() == pytest.approx(1.25, rel=1e-3)


def test_few_axes_keep_most():
    rng = np.random.default_rng(0)
    pile = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 40)) + 0.01 * rng.normal(size=(300, 40))
    none = np.zeros((0, 0, 40))
    projection = fit_projection(pile, none, [40], [1.0], invariance=1.0, num_axes=5)
    assert (projection.apply(pile) ** 2).sum(axis=1).mean() == pytest.approx(1.0, rel=0.01)


def test_neighbours_correct_an_answer_that_stands_alone():
    rng = np.random.default_rng(0)
    middle = np.repeat([[3.0, 0.0], [0.0, 3.0]], 50, axis=0)
    x = middle + rng.normal(size=(100, 2)) * 0.3
    answers = np.repeat([1.0, -1.0], 50)
    answers[::7] *= -0.5
    smoothed = Smoother(x, 10, 0.9, 1e-3)
    weights, bias = smoothed.refit(answers)
    assert ((x @ weights + bias > 0) == (np.arange(100) < 50)).all()


def test_without_smoothing_it_is_plain_ridge_regression():
    rng = np.random.default_rng(0)
    x, answers = rng.normal(size=(60, 4)), rng.normal(size=60)
    weights, bias = Smoother(x, 10, 0.0, 2.0).refit(answers)
    rows = np.c_[x, np.ones(60)]
    expected = np.linalg.solve(rows.T @ rows + np.diag([2, 2, 2, 2, 1e-6]), rows.T @ answers)
    np.testing.assert_allclose([*weights, bias], expected, atol=1e-5)


def test_platt_finds_what_scores_mean_and_doubts_it_where_labels_are_few():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=4000)
    truth = rng.random(4000) < sigmoid(3 * scores - 1)
    many = fit_platt(scores[None], truth)
    assert (many.slope, many.offset) == (pytest.approx(3, rel=0.1), pytest.approx(-1, rel=0.15))
    few = fit_platt(scores[None, :40], truth[:40])
    assert few.variances(np.array([2.0]))[0] > 30 * many.variances(np.array([2.0]))[0]
    # Ten repeats over the same labels contain no more information than one.
    again = fit_platt(np.repeat(scores[None], 10, axis=0), truth)
    np.testing.assert_allclose(again.covariance, many.covariance, rtol=0.02)


def test_doubt_takes_certainty_and_never_the_side():
    logits = np.array([-4.0, 0.0, 4.0])
    doubted = expected_logits(logits, np.full(3, 3.0))
    assert doubted.tolist() == pytest.approx([-2.71, 0.0, 2.71], abs=0.01)
    # The mean of the sigmoid over a normal distribution, by sampling.
    sampled = sigmoid(4.0 + np.sqrt(3.0) * np.random.default_rng(0).normal(size=200_000)).mean()
    assert sigmoid(doubted)[2] == pytest.approx(sampled, abs=0.01)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_the_piles_share_is_found_and_corrects_the_probabilities(share):
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < share
    # Scores of a unit normal around ±1: the logit for equal shares is twice the score.
    scores = rng.normal(size=truth.size) + np.where(truth, 1, -1)
    estimated, shift = pile_prior(2 * scores, 0.5)
    assert estimated == pytest.approx(share, abs=0.02)
    assert calibration_error(truth, sigmoid(2 * scores + shift)) < 0.02
    assert calibration_error(truth, sigmoid(2 * scores)) > 0.03


def test_the_threshold_accepts_as_many_as_the_precision_allows():
    probabilities = np.array([0.99, 0.97, 0.9, 0.5, 0.1])
    recommended = threshold_for(probabilities, 0.95)
    assert (recommended.num_accepted, recommended.expected_precision) == (3, pytest.approx(2.86 / 3))
    assert recommended.threshold == pytest.approx(0.7)
    nothing = threshold_for(probabilities, 0.995)
    assert (nothing.num_accepted, nothing.expected_precision) == (0, None)
    assert nothing.threshold > 0.99
    everything = threshold_for(probabilities, 0.2)
    assert everything.num_accepted == 5
    assert 0 < everything.threshold < 0.1
    assert threshold_for(np.zeros(0), 0.9).num_accepted == 0


def test_the_balanced_threshold_has_the_best_expected_f1():
    # Expected F1 of the 1, 2, 3 and 4 surest: 0.57, 0.84, 0.80, 0.70.
    assert balanced_threshold(np.array([0.9, 0.85, 0.3, 0.1])) == pytest.approx(0.575)
    assert balanced_threshold(np.zeros(0)) == 0.5


def test_equal_probabilities_are_accepted_together():
    recommended = threshold_for(np.array([0.99, 0.9, 0.9, 0.9]), 0.94)
    assert recommended.num_accepted == 1
    assert 0.9 < recommended.threshold < 0.99


@pytest.mark.parametrize(
    ("right", "num", "bound"), [(59, 59, 0.9505), (149, 149, 0.9801), (299, 299, 0.9900), (95, 100, 0.8977)]
)
def test_audits_certify_what_clopper_and_pearson_say(right, num, bound):
    assert lower_bound(right, num) == pytest.approx(bound, abs=2e-4)


def test_so_many_audits_are_needed():
    assert [audits_needed(value) for value in (0.95, 0.98, 0.99)] == [59, 149, 299]
    assert lower_bound(0, 10) == 0.0
    with pytest.raises(ValueError, match="at most 3 right answers, received 4"):
        lower_bound(4, 3)


@pytest.fixture(scope="module")
def hidden_world():
    """Return a random generator and pictures(num, share): raw features and whether each is a Pikachu."""
    width = WIDTH
    rng = np.random.default_rng(5)
    direction = rng.normal(size=width) / np.sqrt(width)

    def pictures(num, share):
        truth = rng.random(num) < share
        hidden = rng.normal(size=(num, 8))
        hidden[:, 0] += np.where(truth, 1.6, -1.6)
        mixing = np.random.default_rng(9).normal(size=(8, width)) / np.sqrt(width)
        noise = 0.05 * rng.normal(size=(num, width)) / np.sqrt(width)
        return (hidden @ mixing + noise + direction).astype(np.float32), truth

    return rng, pictures


@pytest.fixture(scope="module")
def trained(hidden_world):
    """Labels of which half are Pikachu, and a pile of which a fifth are."""
    _, pictures = hidden_world
    values, truth = pictures(100, 0.5)
    pile, pile_truth = pictures(1500, 0.2)
    labelled = LabelledFeatures(tuple(f"l{n}" for n in range(100)), values, truth)
    features = Features(tuple(f"p{n}" for n in range(1500)), pile)
    none = np.zeros((0, 0, WIDTH), np.float32)
    return train_head(labelled, features, none, FrozenPreset("test")), pile, pile_truth


def test_the_head_ranks_and_its_probabilities_hold_in_the_pile(trained):
    learned, pile, truth = trained
    probabilities = learned.head.probabilities(pile)
    assert roc_auc(truth, probabilities) > 0.97
    assert calibration_error(truth, probabilities) < 0.06
    assert learned.facts["pile"]["share_of_pikachu"] == pytest.approx(truth.mean(), abs=0.05)
    chosen = next(row for row in learned.facts["thresholds"] if row["precision"] == 0.9)
    accepted = probabilities >= chosen["threshold"]
    assert truth[accepted].mean() == pytest.approx(0.9, abs=0.06)
    assert accepted.sum() > 0.7 * truth.sum()
    assert learned.validation["num_pictures"] == 100


def test_hard_labels_teach_and_do_not_tell_how_sure_the_head_may_be(hidden_world, trained, monkeypatch):
    _, pictures = hidden_world
    before, pile, truth = trained
    values, is_pikachu = pictures(100, 0.5)
    more, more_truth = pictures(1500, 0.2)
    asked = np.argsort(np.abs(before.head.unshifted_logits(more)))[:150]
    labelled = LabelledFeatures(
        tuple(f"m{n}" for n in range(250)),
        np.concatenate([values, more[asked]]),
        np.concatenate([is_pikachu, more_truth[asked]]),
        np.arange(250) >= 100,
    )
    seen = []

    def recording(scores, of):
        seen.append((scores.shape[1], of))
        return fit_platt(scores, of)

    monkeypatch.setattr("pika_classifier.learn.frozen.fit_platt", recording)
    features = Features(tuple(f"p{n}" for n in range(700)), pile[:700])
    preset = FrozenPreset("test", repeats=2, penalties=(1e-1,))
    learned = train_head(labelled, features, np.zeros((0, 0, WIDTH), np.float32), preset)
    assert seen[-1][0] == learned.facts["num_typical_labels"] == learned.validation["num_pictures"] == 100
    np.testing.assert_array_equal(seen[-1][1], is_pikachu)
    assert learned.label_probabilities.shape == (250,)
    # The logits are calibrated for the share of Pikachus among the typical labels.
    assert learned.facts["pile"]["share_of_pikachu"] == pytest.approx(truth[:700].mean(), abs=0.06)
    alone = LabelledFeatures(labelled.ids[:100], values, is_pikachu)
    untaught = train_head(alone, features, np.zeros((0, 0, WIDTH), np.float32), preset)
    assert not np.allclose(learned.head.weights, untaught.head.weights, rtol=0.01)


def test_too_few_typical_labels_are_no_measure():
    values = np.zeros((60, 3), np.float32)
    truth = np.arange(60) % 2 == 0
    few = LabelledFeatures(tuple("x" * 60), values, truth, np.arange(60) >= 30)
    assert len(few.typical()) == 60
    enough = replace(few, is_hard=np.arange(60) >= 50)
    assert len(enough.typical()) == 50


def test_the_next_labels_are_asked_for_above_the_heads_own_doubt(trained):
    head, middle = trained[0].head, trained[0].facts["doubtful_probability"]
    # `labels.queue` asks for the nearest probabilities: in logits, without the shift to the pile's share.
    assert np.log(middle / (1 - middle)) - head.shift == pytest.approx(most_informative(100))
    assert 0 < most_informative(800) < 0.2 < most_informative(100)


def test_less_data_gives_less_certainty(trained):
    learned, pile, _ = trained
    head = learned.head
    sure = sigmoid(head.platt.logits(pile @ head.weights + head.bias) + head.shift)
    assert head.probabilities(pile).max() < sure.max()
