"""Likeness depends on where things are: wrongly assembled parts do not pass."""

import numpy as np

from pika_gan.likeness import Likeness, torn

SIDE, CHANNELS = 4, 6


def figures(random, num):
    """Return (N, 16, 6), each place with its own content and some noise, and mirror images."""
    plan = np.random.default_rng(0).standard_normal((SIDE, SIDE, CHANNELS))
    upright = plan + 0.6 * random.standard_normal((num, SIDE, SIDE, CHANNELS))
    return flat(upright), flat(upright[:, :, ::-1])


def scattered(random, num=64):
    """Return (N, 16, 6): the same contents in random places."""
    upright, _ = figures(random, num)
    return np.stack([one[random.permutation(SIDE * SIDE)] for one in upright])


def flat(maps):
    return maps.reshape(len(maps), SIDE * SIDE, CHANNELS)


def test_real_pictures_pass_and_shuffled_ones_do_not():
    random = np.random.default_rng(1)
    likeness = Likeness(*figures(random, 200), scattered(random))
    fresh, mirrored = figures(random, 300)
    assert likeness.share(fresh) > 0.84
    assert likeness.share(mirrored) > 0.84
    maps = fresh.reshape(-1, SIDE, SIDE, CHANNELS)
    quarters = np.concatenate([maps[:, 2:], maps[:, :2]], axis=1)
    assert likeness.share(flat(quarters)) < 0.05
    halves = np.concatenate([maps[:, :, :2], np.roll(maps[:, :, 2:], 1, axis=1)], axis=2)
    assert likeness.share(flat(halves)) < 0.3


def test_shrinking_towards_the_mean_does_not_help():
    random = np.random.default_rng(2)
    real, mirrored = figures(random, 100)
    likeness = Likeness(real, mirrored, scattered(random))
    noise = random.standard_normal(real.shape)
    mean = real.mean(axis=(0, 1))
    assert likeness.share(noise) < 0.05
    assert likeness.share(mean + 0.01 * (noise - mean)) < 0.05


def test_exact_copies_pass():
    random = np.random.default_rng(3)
    real, mirrored = figures(random, 50)
    assert Likeness(real, mirrored, scattered(random)).share(real) > 0.9


def test_pictures_that_are_very_much_alike_need_not_be_matched_exactly():
    random = np.random.default_rng(4)
    one, mirrored = figures(random, 1)
    alike = one + 0.01 * random.standard_normal((50, *one.shape[1:]))
    likeness = Likeness(alike, mirrored + 0 * alike, scattered(random))
    assert likeness.share(one + 0.5 * random.standard_normal((50, *one.shape[1:]))) > 0.9
    assert likeness.share(scattered(random)) < 0.1


def test_nothing_is_said_where_real_pictures_have_nothing_in_common():
    random = np.random.default_rng(5)
    real = np.stack([one[random.permutation(SIDE * SIDE)] for one in figures(random, 100)[0]])
    mirrored = flat(real.reshape(-1, SIDE, SIDE, CHANNELS)[:, :, ::-1])
    likeness = Likeness(real, mirrored, scattered(random))
    assert likeness.share(real) is None
    assert likeness.real_share < 0.5


def test_torn_pictures_keep_their_colours_only():
    random = np.random.default_rng(6)
    pictures = random.integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    broken = torn(pictures)
    assert broken.dtype == np.uint8
    assert len(broken) == 3 * 50  # every second, in three ways
    for index in (0, 49):
        original = pictures[2 * index]
        pixels = np.sort(original.reshape(-1, 3), axis=0)
        tiles, scattered_pixels, colour = broken[[index, 50 + index, 100 + index]]
        for picture in (tiles, scattered_pixels):
            assert (np.sort(picture.reshape(-1, 3), axis=0) == pixels).all()
            assert (picture != original).any()
        assert {tuple(tile.ravel()) for tile in tiles_of(tiles)} == {
            tuple(tile.ravel()) for tile in tiles_of(original)
        }
        assert (colour == colour[0, 0]).all()
    assert (torn(pictures) == broken).all()


def tiles_of(picture):
    return picture.reshape(4, 4, 4, 4, 3).swapaxes(1, 2).reshape(16, 4, 4, 3)
