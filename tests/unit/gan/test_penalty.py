"""The gradient penalty's gradient against finite differences; it reaches every kernel."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from pika_gan.augment import NUM_DRAWS, augment
from pika_gan.criticism import criticise, logits_and_input_gradients
from pika_gan.losses import DISCRIMINATOR, GENERATOR, squared_gradient_norm
from pika_gan.networks import residual
from pika_gan.schedule import noise_of
from pika_gan.step_tensorflow import Gan


def penalty_of(gan: Gan, pictures: tf.Tensor) -> tf.Tensor:
    """Compute what the training step adds to the loss, without its weight."""
    return tf.reduce_mean(squared_gradient_norm(logits_and_input_gradients(gan.discriminator, pictures)[1]))


def kernels_of(gan: Gan) -> list[keras.Variable]:
    """Biases are left out: with leaky ReLUs the input gradients do not depend on them."""
    return [variable for variable in gan.discriminator.trainable_variables if "kernel" in variable.path]


def penalty_gradients(gan: Gan, pictures: tf.Tensor) -> list[tuple[keras.Variable, tf.Tensor]]:
    """Return (kernel, gradient) of the penalty alone; fail for a kernel that it does not reach."""
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
    """The same with a smooth activation: at a ReLU's kink the penalty jumps, which no derivative shows."""
    monkeypatch.setattr(
        residual.layers, "LeakyReLU", lambda _slope, dtype: keras.layers.Activation("softplus", dtype=dtype)
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
        # Half of the direction is the gradient, so that the compared values are not near zero.
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
    _, input_gradients = logits_and_input_gradients(gan.discriminator, pictures)
    direction = tf.random.stateless_normal(pictures.shape, seed=(5, 6))
    step = 1e-3
    above = logits_and_input_gradients(gan.discriminator, pictures + step * direction)[0]
    below = logits_and_input_gradients(gan.discriminator, pictures - step * direction)[0]
    measured = (above - below) / (2 * step)
    expected = tf.reduce_sum(input_gradients * direction, axis=(1, 2, 3))
    np.testing.assert_allclose(measured, expected, atol=0.02 * float(tf.reduce_max(tf.abs(expected))))


def test_the_check_catches_bilinear_resizing(tiny, pictures):
    """A pitfall: its second-order gradient is None, and the adversarial loss would hide that."""
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
    gan.parts["full"] = (gan.generator, gan.discriminator)
    gan.discriminator_optimizer.build(gan.discriminator.trainable_variables)
    with pytest.raises(RuntimeError, match="expected a gradient for every variable"):
        gan.train_step(np.zeros((8, tiny.resolution, tiny.resolution, 3), np.uint8), 0, 0.0)


@pytest.mark.parametrize("loss", ["rpgan", "non_saturating", "hinge"])
@pytest.mark.parametrize("weight", [None, 0.7])
def test_one_pass_gives_what_plain_tapes_give(tiny, pictures, loss, weight):
    """Both players' gradients, each from a separate tape, without the step's shortcuts."""
    gan = Gan(dataclasses.replace(tiny, loss=loss), seed=3)
    gamma = None if weight is None else tf.constant(weight)
    criticised = criticise(gan.discriminator, pictures, gan.preset.loss, gamma)
    real, fake = pictures[:2], pictures[2:]
    variables = gan.discriminator.trainable_variables

    def logits(part):
        return gan.discriminator(part, training=True)

    with tf.GradientTape() as tape:
        objective = tf.reduce_mean(DISCRIMINATOR[loss](logits(real), logits(fake)))
        if weight is not None:
            for part in (real, fake):
                with tf.GradientTape() as inner:
                    inner.watch(part)
                    total = tf.reduce_sum(logits(part))
                squares = tf.reduce_sum(inner.gradient(total, part) ** 2, axis=(1, 2, 3))
                objective += 0.5 * weight * tf.reduce_mean(squares)
    expected = tape.gradient(objective, variables)
    for variable, one, other in zip(variables, criticised.gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=variable.path)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        wish = tf.reduce_mean(GENERATOR[loss](logits(real), logits(fake)))
    np.testing.assert_allclose(criticised.wanted, tape.gradient(wish, fake), rtol=1e-3, atol=1e-7)
    assert set(criticised.figures) >= {"discriminator_loss", "generator_loss", "real_logit", "fake_logit"}
    assert ("r1" in criticised.figures) == (weight is not None)


def test_a_step_moves_the_generator_along_its_own_gradient(tiny):
    """The whole fused step against a plain one: the same pictures give the same generator."""
    preset = dataclasses.replace(tiny, augment=(), penalty_weight=0.0, penalty_weight_end=0.0)
    fused, plain = Gan(preset, seed=5), Gan(preset, seed=5)
    real = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    fused.train_step(real, 0, 0.0)
    latents, _ = noise_of(preset, seed=5, step=0)
    scaled = tf.cast(real, tf.float32) / 127.5 - 1.0
    with tf.GradientTape() as tape:
        fake = plain.generator(latents, training=True)
        loss = tf.reduce_mean(
            GENERATOR["rpgan"](
                plain.discriminator(scaled, training=True), plain.discriminator(fake, training=True)
            )
        )
    variables = plain.generator.trainable_variables
    plain.generator_optimizer.apply(tape.gradient(loss, variables), variables)
    for one, other in zip(fused.generator.trainable_variables, variables, strict=True):
        # Adam's first step is the gradient's sign times the rate, where the gradient is not nearly 0.
        moved = np.abs(one.numpy() - other.numpy())
        assert np.quantile(moved, 0.9) < 1e-5, one.path
