"""The gradient penalty really penalises: its gradient against finite differences, and no kernel left out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pika_gan import networks
from pika_gan.augment import NUM_DRAWS, augment
from pika_gan.gan import Gan
from pika_gan.losses import squared_gradient_norm


def penalty_of(gan: Gan, pictures: tf.Tensor) -> tf.Tensor:
    """What the training step adds to the loss, without its weight."""
    return tf.reduce_mean(squared_gradient_norm(gan.logits_and_slopes(pictures)[1]))


def kernels_of(gan: Gan) -> list[keras.Variable]:
    """Biases are left out: with leaky ReLUs the slopes do not depend on them."""
    return [variable for variable in gan.discriminator.trainable_variables if "kernel" in variable.path]


def penalty_gradients(gan: Gan, pictures: tf.Tensor) -> list[tuple[keras.Variable, tf.Tensor]]:
    """(kernel, gradient) of the penalty alone; fails for a kernel that it does not reach."""
    kernels = kernels_of(gan)
    with tf.GradientTape() as tape:
        penalty = penalty_of(gan, pictures)
    gradients = tape.gradient(penalty, [v.value for v in kernels])
    missing = [v.path for v, gradient in zip(kernels, gradients, strict=True) if gradient is None]
    if missing:
        raise AssertionError(f"the penalty has no gradient for {missing}")
    return list(zip(kernels, gradients, strict=True))


@pytest.fixture(scope="module")
def gan(tiny) -> Gan:
    return Gan(tiny, seed=3)


@pytest.fixture
def smooth_gan(tiny, monkeypatch) -> Gan:
    """The same with a smooth activation: where a ReLU bends, the penalty jumps, as no derivative tells."""
    monkeypatch.setattr(
        networks.layers, "LeakyReLU", lambda _slope, dtype: keras.layers.Activation("softplus", dtype=dtype)
    )
    return Gan(tiny, seed=3)


@pytest.fixture(scope="module")
def pictures(tiny) -> tf.Tensor:
    return tf.random.stateless_normal((4, tiny.resolution, tiny.resolution, 3), seed=(1, 2))


def test_the_penalty_reaches_every_kernel(gan, pictures):
    for kernel, gradient in penalty_gradients(gan, pictures):
        assert float(tf.norm(gradient)) > 0, kernel.path


def test_gradient_agrees_with_finite_differences_for_every_kernel(smooth_gan, pictures):
    random = np.random.default_rng(0)
    for kernel, gradient in penalty_gradients(smooth_gan, pictures):
        value = kernel.numpy()
        # Half of the way along the gradient, so that what is compared is not near zero.
        direction = random.standard_normal(value.shape).astype("float32")
        direction /= np.linalg.norm(direction)
        direction += gradient.numpy() / np.linalg.norm(gradient)
        direction *= np.linalg.norm(value) / np.linalg.norm(direction)
        expected = float(tf.reduce_sum(gradient * direction))
        step = 1e-2
        around = []
        for sign in (1, -1):
            kernel.assign(value + sign * step * direction)
            around.append(float(penalty_of(smooth_gan, pictures)))
        kernel.assign(value)
        measured = (around[0] - around[1]) / (2 * step)
        assert measured == pytest.approx(expected, rel=0.02), kernel.path


def test_slopes_agree_with_finite_differences(smooth_gan, pictures):
    gan = smooth_gan
    _, slopes = gan.logits_and_slopes(pictures)
    direction = tf.random.stateless_normal(pictures.shape, seed=(5, 6))
    step = 1e-3
    above = gan.logits_and_slopes(pictures + step * direction)[0]
    below = gan.logits_and_slopes(pictures - step * direction)[0]
    measured = (above - below) / (2 * step)
    expected = tf.reduce_sum(slopes * direction, axis=(1, 2, 3))
    np.testing.assert_allclose(measured, expected, atol=0.02 * float(tf.reduce_max(tf.abs(expected))))


def test_the_check_catches_bilinear_resizing(tiny, pictures):
    """The trap: its second-order gradient is None, and the adversarial loss would hide that."""
    gan = Gan(tiny)
    inputs = keras.Input((tiny.resolution, tiny.resolution, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="leaky_relu")(inputs)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = keras.layers.Conv2D(4, 3, activation="leaky_relu")(x)
    logits = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x))
    gan.discriminator = keras.Model(inputs, keras.ops.squeeze(logits, -1))
    with pytest.raises((AssertionError, LookupError), match=r"no gradient|ResizeBilinear"):
        penalty_gradients(gan, pictures)


def test_augmentation_can_be_differentiated_twice(pictures):
    draws = tf.random.stateless_uniform((4, NUM_DRAWS), seed=(3, 4))
    with tf.GradientTape() as outer:
        outer.watch(pictures)
        with tf.GradientTape() as inner:
            inner.watch(pictures)
            energy = tf.reduce_sum(augment(pictures, draws) ** 4)
        first = inner.gradient(energy, pictures)
        norm = tf.reduce_sum(first**2)
    second = outer.gradient(norm, pictures)
    assert second is not None
    direction = tf.random.stateless_normal(pictures.shape, seed=(7, 8))
    step = 1e-3
    around = [tf.reduce_sum(augment(pictures + s * step * direction, draws) ** 4) for s in (1, -1)]
    measured = float(around[0] - around[1]) / (2 * step)
    assert measured == pytest.approx(float(tf.reduce_sum(first * direction)), rel=0.02)


def test_a_step_refuses_a_network_that_gets_no_gradient(tiny):
    gan = Gan(tiny)
    inputs = keras.Input((tiny.resolution, tiny.resolution, 3))
    stopped = keras.ops.stop_gradient(keras.layers.Conv2D(4, 3)(inputs))
    logits = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(inputs))
    gan.discriminator = keras.Model(
        inputs, keras.ops.squeeze(logits, -1) + 0 * keras.ops.mean(stopped, (1, 2, 3))
    )
    gan.discriminator_optimizer.build(gan.discriminator.trainable_variables)
    with pytest.raises(RuntimeError, match="expected a gradient for every variable"):
        gan.train_step(np.zeros((8, tiny.resolution, tiny.resolution, 3), np.uint8), 0, 0.0)
