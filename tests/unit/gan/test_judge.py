"""The judge that chooses among candidates, on discs, whole and torn."""

import dataclasses

import numpy as np
import pytest

from pika_gan import finish, judge
from pika_gan.backend import make_gan
from pika_gan.candidates import CANDIDATES, candidate_latents, preferred
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
    good, bad = (judge.judged_by(network, pictures)[0] for pictures in (whole, broken))
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
    received, _ = judge.judged_by(build_judge(fitted, features), whole[:20])
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-3)


def test_a_few_copies_of_an_odd_picture_do_not_make_it_usual(discs):
    """Of a kind that is drawn well, but rare, there may be some more: a mean over a share looks past them."""
    dataset, whole, broken = discs
    odd = np.repeat(broken[:1], 5, axis=0)
    with_odd = dataclasses.replace(dataset, train=np.concatenate([dataset.train, odd]))
    network = build_judge(judge.fit(with_odd), build_features(SIZE))
    scores, _ = judge.judged_by(network, np.concatenate([whole, broken[:1]]))
    assert (scores[:-1] > scores[-1]).mean() > 0.9


def test_a_picture_is_accepted_that_is_as_near_as_the_upper_real_ones_are_to_the_others(discs, fitted):
    dataset, whole, broken = discs
    real, features = dataset.train, build_features(SIZE)
    upright, mirrored = (
        np.asarray(fitted.directions(outputs_of(features, pictures)[0]))
        for pictures in (real, real[:, :, ::-1])
    )
    of_others = []
    for left_out in range(len(real)):
        others = np.concatenate([np.delete(of_all, left_out, axis=0) for of_all in (upright, mirrored)])
        cosines = np.sort(others @ upright[left_out])
        of_others.append(cosines[-round(0.15 * 2 * len(real)) :].mean())
    assert fitted.threshold == pytest.approx(np.quantile(of_others, 0.4), abs=1e-3)
    network = build_judge(fitted, features)
    scores, accepted = judge.judged_by(network, np.concatenate([whole, broken]))
    np.testing.assert_array_equal(accepted, scores >= np.float32(fitted.threshold))
    assert accepted[: len(whole)].mean() > 0.3
    assert accepted[len(whole) :].mean() < 0.1


def test_a_saved_judge_is_the_same(fitted, tmp_path):
    assert judge.load(tmp_path) is None
    judge.save(fitted, tmp_path)
    for name, array in judge.load(tmp_path).arrays().items():
        np.testing.assert_array_equal(array, fitted.arrays()[name])


def test_what_is_measured_as_preferred_is_each_seeds_first_accepted_candidate(tiny):
    gan = make_gan(tiny)
    dataset = make_dataset(some_pictures(40), tiny.resolution)
    fitted = judge.fit(dataset)
    seeds = list(range(70))  # more than are drawn at once
    rows = np.concatenate([candidate_latents(seed, CANDIDATES, tiny.latent_dim) for seed in seeds])
    features, drawn = build_features(tiny.resolution), gan.draw(rows)
    scores, _ = judge.judged_by(build_judge(fitted, features), drawn)
    # An untrained generator draws nothing that is near: the threshold is put between its own pictures.
    network = build_judge(dataclasses.replace(fitted, threshold=np.quantile(scores, 0.7)), features)
    judged = [of_all.reshape(-1, CANDIDATES) for of_all in judge.judged_by(network, drawn)]
    chosen = np.array([preferred(*of_seed) for of_seed in zip(*judged, strict=True)])
    expected = drawn[np.arange(len(seeds)) * CANDIDATES + chosen].astype(int)
    assert len(set(chosen)) > 1
    received = finish.draw_preferred(gan, network, seeds).astype(int)
    assert np.abs(received - expected).max() <= 1
