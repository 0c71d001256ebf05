"""Likeness sees where things are: what is put together wrongly does not pass, whatever its parts are."""

import numpy as np

from pika_gan.likeness import Likeness

SIDE, CHANNELS = 4, 6


def figures(random, num):
    """(N, 16, 6): each place shows its own thing, with some noise; and mirror images."""
    plan = np.random.default_rng(0).standard_normal((SIDE, SIDE, CHANNELS))
    upright = plan + 0.6 * random.standard_normal((num, SIDE, SIDE, CHANNELS))
    return flat(upright), flat(upright[:, :, ::-1])


def flat(maps):
    return maps.reshape(len(maps), SIDE * SIDE, CHANNELS)


def test_nine_in_ten_real_pictures_pass_and_shuffled_ones_do_not():
    random = np.random.default_rng(1)
    likeness = Likeness(*figures(random, 200))
    fresh, mirrored = figures(random, 300)
    assert 0.84 < likeness.share(fresh) < 0.96
    assert 0.84 < likeness.share(mirrored) < 0.96
    maps = fresh.reshape(-1, SIDE, SIDE, CHANNELS)
    quarters = np.concatenate([maps[:, 2:], maps[:, :2]], axis=1)
    assert likeness.share(flat(quarters)) < 0.05
    halves = np.concatenate([maps[:, :, :2], np.roll(maps[:, :, 2:], 1, axis=1)], axis=2)
    assert likeness.share(flat(halves)) < 0.3


def test_shrinking_towards_the_mean_does_not_help():
    random = np.random.default_rng(2)
    real, mirrored = figures(random, 100)
    likeness = Likeness(real, mirrored)
    noise = random.standard_normal(real.shape)
    mean = real.mean(axis=(0, 1))
    assert likeness.share(noise) < 0.05
    assert likeness.share(mean + 0.01 * (noise - mean)) < 0.05


def test_exact_copies_pass():
    real, mirrored = figures(np.random.default_rng(3), 50)
    assert Likeness(real, mirrored).share(real) > 0.9
