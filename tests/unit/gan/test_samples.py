"""The latent walk is a closed path on the sphere, in even steps."""

import numpy as np
import pytest

from pika_gan.samples import walk_latents


def test_a_walk_visits_its_stops_and_ends_where_it_began():
    stops = np.random.default_rng(0).standard_normal((4, 50))
    walk = walk_latents(stops, frames_each=10)
    assert walk.shape == (40, 50)
    np.testing.assert_allclose(walk[::10], stops, rtol=1e-5)
    # The last frame is one step from the first stop.
    steps = np.linalg.norm(np.diff(walk, axis=0, append=walk[:1]), axis=1)
    assert steps.max() < 2 * np.median(steps)


def test_it_stays_as_far_out_as_latents_are():
    stops = np.random.default_rng(1).standard_normal((3, 128))
    norms = np.linalg.norm(walk_latents(stops), axis=1)
    assert norms.min() > 0.9 * np.linalg.norm(stops, axis=1).min()  # a straight line: 0.7


def test_a_stop_twice_in_a_row_is_no_fault():
    walk = walk_latents(np.ones((2, 8)), frames_each=3)
    assert np.isfinite(walk).all()
    assert walk == pytest.approx(np.ones((6, 8)))
