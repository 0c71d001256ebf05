"""A generator's own picture is found again; another one is approximated."""

import numpy as np
import pytest

from pika_gan.invert import project
from pika_gan.latents import latents_of

DIM, SIZE = 12, 32


@pytest.fixture
def draw():
    """Draw smooth pictures with a small random network."""
    random = np.random.default_rng(0)
    first = random.normal(0, 0.5, (DIM, 32)).astype(np.float32)
    second = random.normal(0, 0.3, (32, 8 * 8 * 3)).astype(np.float32)
    calls = []

    def drawn(latents):
        calls.append(len(latents))
        small = np.tanh(np.tanh(latents @ first) @ second).reshape(-1, 8, 8, 3)
        return small.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)

    drawn.calls = calls
    return drawn


def test_a_drawn_picture_is_found_again(draw):
    latent = latents_of([12_345], DIM)
    target = draw(latent)[0]
    projection = project(draw, target, DIM)
    assert projection.distance < 0.01
    np.testing.assert_allclose(projection.picture, target, atol=0.05)
    nearest_seed = min(
        np.sqrt(np.square(picture - target).mean()) / 2 for picture in draw(latents_of(list(range(192)), DIM))
    )
    assert projection.distance < nearest_seed / 5
    assert max(draw.calls) <= 192
    assert sum(draw.calls) < 800


def test_a_picture_that_cannot_be_drawn_gives_the_nearest_and_its_distance(draw):
    target = np.ones((SIZE, SIZE, 3), np.float32)
    projection = project(draw, target, DIM)
    assert 0.05 < projection.distance < 1
    assert np.isfinite(projection.latent).all()
    np.testing.assert_allclose(draw(projection.latent[None])[0], projection.picture)
    again = project(draw, target, DIM)
    np.testing.assert_array_equal(again.latent, projection.latent)
