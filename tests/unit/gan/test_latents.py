"""A seed's latent depends on the seed alone, is normal, and never changes."""

import numpy as np
import pytest

from pika_gan.latents import MAX_SEED, from_uint8, latent, latents_of, to_uint8


def test_a_latent_does_not_depend_on_the_others():
    together = latents_of([5, 9, 7], 32)
    np.testing.assert_array_equal(together[2], latent(7, 32))
    np.testing.assert_array_equal(together, latents_of([7, 9, 5], 32)[::-1])


def test_latents_are_standard_normal_and_differ():
    values = latents_of(list(range(500)), 64)
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    assert abs(np.corrcoef(values[:, :8].T) - np.eye(8)).max() < 0.2
    assert len(np.unique(values, axis=0)) == 500


def test_latents_stay_what_they_were():
    """Published seeds must keep their pictures: these numbers are fixed for ever."""
    expected = [0.424211025, -1.43882585, -0.465256542, 1.12214041]
    np.testing.assert_allclose(latent(42, 4), expected, rtol=1e-6)


def test_truncation_scales():
    np.testing.assert_allclose(latents_of([1], 8, 0.5), 0.5 * latents_of([1], 8))


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match=f"received {seed}"):
        latent(seed, 8)


def test_rounding_to_bytes():
    np.testing.assert_array_equal(to_uint8(np.array([-1.2, -1, 0, 1, 1.5])), [0, 0, 128, 255, 255])


def test_bytes_are_the_same_after_the_way_there_and_back():
    values = np.arange(256, dtype=np.uint8)
    assert from_uint8(values)[0] == -1
    assert from_uint8(values)[255] == 1
    np.testing.assert_array_equal(to_uint8(from_uint8(values)), values)
