"""Frozen networks give the same numbers as called directly, however many pictures there are."""

import keras
import numpy as np
import pytest
from keras import layers

from pika_gan.latents import from_uint8
from pika_gan.outputs import outputs_of


@pytest.fixture(scope="module")
def network():
    """A convolution, then its mean: one output with places and one without, as of the judge's features."""
    pictures = keras.Input((8, 8, 3))
    places = layers.Conv2D(4, 3, strides=2)(pictures)
    return keras.Model(pictures, [layers.GlobalAveragePooling2D()(places), places])


@pytest.mark.parametrize("num", [1, 64, 65])
def test_every_picture_has_its_own_outputs(network, num):
    pictures = np.random.default_rng(num).integers(0, 256, (num, 8, 8, 3), np.uint8)
    received = outputs_of(network, pictures)
    expected = network(from_uint8(pictures), training=False)
    assert [output.shape for output in received] == [(num, 4), (num, 3, 3, 4)]
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), atol=1e-5)


def test_a_network_with_one_output_and_another_range(network):
    alone = keras.Model(network.input, network.outputs[0])
    pictures = np.full((3, 8, 8, 3), 255, np.uint8)
    (received,) = outputs_of(alone, pictures, lambda some: some.astype(np.float32))
    np.testing.assert_allclose(received, np.asarray(alone(pictures.astype(np.float32))), rtol=1e-5)
