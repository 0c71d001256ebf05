"""Convolutions that double or halve the size against the two operations that they replace."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pika_gan.networks.resampling import DownConv2D, UpConv2D

CASES = {
    "up": (UpConv2D, lambda x, conv: conv(layers.UpSampling2D(2, interpolation="nearest")(x))),
    "down": (DownConv2D, lambda x, conv: layers.AveragePooling2D(2)(conv(x))),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_two_operations(name):
    kind, plain = CASES[name]
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(2, 8, 6, 5)), tf.float32)  # oblong, so that sides cannot be swapped
    ours, theirs = kind(7, dtype="float32"), layers.Conv2D(7, 3, padding="same", dtype="float32")
    expected = plain(x, theirs)
    received = ours(x)
    assert received.shape == expected.shape == ours.compute_output_shape(x.shape)
    values = [random.normal(size=weight.shape) for weight in theirs.weights]
    ours.set_weights(values)
    theirs.set_weights(values)

    def gradients(function, layer):
        """Of a penalty as well, which needs the derivative of a derivative."""
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = function(x)
                loss = tf.reduce_sum(tf.sin(y))
            by_input = inner.gradient(loss, x)
            penalty = tf.reduce_sum(by_input**2)
        return [y, by_input, *outer.gradient(penalty, layer.trainable_variables)]

    for one, other in zip(gradients(ours, ours), gradients(lambda x: plain(x, theirs), theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("kind", [UpConv2D, DownConv2D])
def test_a_saved_model_is_loaded_again(kind, tmp_path):
    pictures = keras.Input((8, 8, 3))
    model = keras.Model(pictures, kind(4, use_bias=False, activation="relu")(pictures))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", custom_objects={kind.__name__: kind})
    x = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(model(x), again(x))
