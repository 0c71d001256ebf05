"""The judge that chooses among candidates, on discs, whole and torn."""

import numpy as np
import pytest

from pika_gan import finish, judge
from pika_gan.backend import make_gan
from pika_gan.candidates import CANDIDATES, candidate_latents
from pika_gan.data import make_dataset
from pika_gan.likeness import torn
from pika_gan.networks.judge import build_features, build_judge

from .conftest import some_pictures

SIZE = 32


@pytest.fixture(scope="module")
def discs():
    """The data set, then 120 other whole discs and 64 torn ones."""
    pictures = some_pictures(200, SIZE)
    others = np.stack([picture for _, picture in pictures[80:]])
    return make_dataset(pictures[:80], SIZE), others, torn(others)[:64]


@pytest.fixture(scope="module")
def fitted(discs):
    """Fitted as if a generator drew whole discs and torn ones."""
    dataset, whole, broken = discs
    return judge.fit(dataset, np.concatenate([whole[:40], broken[:24]]))


def test_whole_pictures_are_preferred_to_torn_ones(discs, fitted):
    _, whole, broken = discs
    network = build_judge(fitted, build_features(SIZE))
    good, bad = (judge.scores_of(network, pictures) for pictures in (whole[40:], broken[24:]))
    assert (good[:, None] > bad[None]).mean() > 0.9


def test_the_score_is_the_weighted_sum_of_both_standardised(discs, fitted):
    _, whole, _ = discs
    features = build_features(SIZE)
    pooled, places = judge.features_of(features, whole[:20])
    logits = np.clip((pooled - fitted.mean) / fitted.deviation, -5, 5) @ fitted.weights + fitted.offset
    rows = ((places - fitted.place_mean) / fitted.place_deviation).reshape(20, -1)
    cosines = rows @ fitted.references.T / np.linalg.norm(rows, axis=1, keepdims=True)
    nearness = np.sort(cosines, axis=1)[:, -5:].mean(axis=1)
    both = np.stack([logits, nearness], axis=1)
    expected = (both - fitted.score_mean) / fitted.score_deviation @ [0.3, 1.0]
    received = judge.scores_of(build_judge(fitted, features), whole[:20])
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-3)


def test_scores_of_the_pictures_it_was_fitted_to_have_mean_0(discs, fitted):
    _, whole, broken = discs
    network = build_judge(fitted, build_features(SIZE))
    scores = judge.scores_of(network, np.concatenate([whole[:40], broken[:24]]))
    assert scores.mean() == pytest.approx(0, abs=0.01)
    assert scores.std() > 1, "the two scores contradict each other"


def test_a_saved_judge_is_the_same(fitted, tmp_path):
    assert judge.load(tmp_path) is None
    judge.save(fitted, tmp_path)
    for name, array in judge.load(tmp_path).arrays().items():
        np.testing.assert_array_equal(array, fitted.arrays()[name])


def test_what_is_measured_as_preferred_has_each_seeds_highest_score(tiny):
    gan = make_gan(tiny)
    dataset = make_dataset(some_pictures(40), tiny.resolution)
    drawn = gan.draw(np.random.default_rng(0).normal(size=(64, tiny.latent_dim)).astype(np.float32))
    network = build_judge(judge.fit(dataset, drawn), build_features(tiny.resolution))
    seeds = list(range(70))  # more than are drawn at once
    received = judge.scores_of(network, finish.draw_preferred(gan, network, seeds))
    rows = np.concatenate([candidate_latents(seed, CANDIDATES, tiny.latent_dim) for seed in seeds])
    scores = judge.scores_of(network, gan.draw(rows)).reshape(-1, CANDIDATES)
    np.testing.assert_allclose(received, scores.max(axis=1), rtol=1e-3, atol=1e-2)
    assert (scores.max(axis=1) > scores[:, 0]).any()
