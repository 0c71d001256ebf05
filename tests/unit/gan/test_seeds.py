"""The graph that turns seeds into latents gives the same numbers as the front end."""

import numpy as np
import pytest
import tensorflow as tf

from pika_gan.latents import MAX_SEED, latents_of
from pika_gan.seeds import latents_from_seeds


@pytest.mark.parametrize("dim", [1, 16, 101, 128])
def test_it_draws_what_numpy_draws(dim):
    seeds = [0, 1, 7, 2**31 - 1, 2**31, MAX_SEED]
    latents = latents_from_seeds(tf.constant(seeds, tf.int64), tf.constant(1.0), dim)
    np.testing.assert_allclose(latents, latents_of(seeds, dim), atol=1e-6)
    shorter = latents_from_seeds(tf.constant(seeds, tf.int64), tf.constant(0.5), dim)
    np.testing.assert_allclose(shorter, latents_of(seeds, dim, 0.5), atol=1e-6)


def test_no_seeds_give_no_latents():
    assert latents_from_seeds(tf.constant([], tf.int64), tf.constant(1.0), 16).shape == (0, 16)
