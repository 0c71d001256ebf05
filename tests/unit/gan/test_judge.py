"""The judge that chooses among candidates, on discs, whole and torn."""

import dataclasses

import numpy as np
import pytest

from pika_gan import finish, judge
from pika_gan.backend import make_gan
from pika_gan.candidates import CANDIDATES, candidate_latents
from pika_gan.data import make_dataset
from pika_gan.likeness import torn
from pika_gan.networks.judge import build_features, build_judge
from pika_gan.outputs import outputs_of

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
    """Fitted to the data set."""
    return judge.fit(discs[0])


def test_whole_pictures_are_preferred_to_torn_ones(discs, fitted):
    _, whole, broken = discs
    network = build_judge(fitted, build_features(SIZE))
    good, bad = (judge.scores_of(network, pictures) for pictures in (whole, broken))
    assert (good[:, None] > bad[None]).mean() > 0.9


def test_the_score_is_the_mean_cosine_to_the_nearest_real_pictures(discs, fitted):
    dataset, whole, _ = discs
    features = build_features(SIZE)

    def directions(pictures):
        places = outputs_of(features, pictures)[0]
        rows = ((places - fitted.mean) / fitted.deviation).reshape(len(places), -1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    real = np.concatenate([dataset.train, dataset.train[:, :, ::-1]])
    cosines = directions(whole[:20]) @ directions(real).T
    expected = np.sort(cosines, axis=1)[:, -round(0.15 * len(real)) :].mean(axis=1)
    received = judge.scores_of(build_judge(fitted, features), whole[:20])
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-3)


def test_a_few_copies_of_an_odd_picture_do_not_make_it_usual(discs):
    """Of a kind that is drawn well, but rare, there may be some more: a mean over a share looks past them."""
    dataset, whole, broken = discs
    odd = np.repeat(broken[:1], 5, axis=0)
    with_odd = dataclasses.replace(dataset, train=np.concatenate([dataset.train, odd]))
    network = build_judge(judge.fit(with_odd), build_features(SIZE))
    scores = judge.scores_of(network, np.concatenate([whole, broken[:1]]))
    assert (scores[:-1] > scores[-1]).mean() > 0.9


def test_a_saved_judge_is_the_same(fitted, tmp_path):
    assert judge.load(tmp_path) is None
    judge.save(fitted, tmp_path)
    for name, array in judge.load(tmp_path).arrays().items():
        np.testing.assert_array_equal(array, fitted.arrays()[name])


def test_what_is_measured_as_preferred_has_each_seeds_highest_score(tiny):
    gan = make_gan(tiny)
    dataset = make_dataset(some_pictures(40), tiny.resolution)
    network = build_judge(judge.fit(dataset), build_features(tiny.resolution))
    seeds = list(range(70))  # more than are drawn at once
    received = judge.scores_of(network, finish.draw_preferred(gan, network, seeds))
    rows = np.concatenate([candidate_latents(seed, CANDIDATES, tiny.latent_dim) for seed in seeds])
    scores = judge.scores_of(network, gan.draw(rows)).reshape(-1, CANDIDATES)
    np.testing.assert_allclose(received, scores.max(axis=1), rtol=1e-3, atol=1e-2)
    assert (scores.max(axis=1) > scores[:, 0]).any()
