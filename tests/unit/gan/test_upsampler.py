"""The network that draws details: it begins as an enlargement, and learns from pairs what that lacks."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from pika_gan import losses
from pika_gan.data import make_dataset
from pika_gan.networks import halved, upsampler
from pika_gan.presets import PRESETS
from pika_gan.schedule import inputs_of, noise_of, pair_noise_of, settings_at
from pika_gan.step_tensorflow import Gan

from .conftest import some_pictures

PRESET = dataclasses.replace(
    PRESETS["tiny"],
    resolution=32,
    upsample_every=2,
    projected_size=32,
    generator_channels=(16, 16, 8, 8),
    discriminator_channels=(16, 16, 8, 8),
)


@pytest.fixture
def gan():
    return Gan(PRESET)


@pytest.fixture(scope="module")
def pictures():
    return make_dataset(some_pictures(80), 32)


def values(model):
    return [np.array(variable) for variable in model.variables]


def changed(model, before):
    return any((np.array(now) != old).any() for now, old in zip(model.variables, before, strict=True))


def test_it_begins_as_a_bilinear_enlargement(gan):
    small = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
    expected = layers.UpSampling2D(2, interpolation="bilinear")(small)
    np.testing.assert_allclose(gan.upsampler(small), expected, atol=1e-6)
    latents = np.random.default_rng(1).standard_normal((2, 16)).astype("float32")
    base = halved(gan.parts["full"][0](latents))
    np.testing.assert_allclose(
        gan.generator(latents), layers.UpSampling2D(2, interpolation="bilinear")(base), atol=1e-6
    )


def test_noise_has_the_amount_of_its_picture():
    noise = pair_noise_of(dataclasses.replace(PRESET, batch_size=200), 0, 0)
    assert noise.shape == (200, upsampler.noise_size(16))
    assert 0 <= noise[:, 0].min() < 0.1 < 0.9 < noise[:, 0].max() < 1
    noise[:3, 0] = 0.0, 0.5, 1.0
    grey = np.zeros((200, 16, 16, 3), np.float32)
    added = np.asarray(upsampler.noisy(grey, noise))
    assert (added[0] == 0).all()
    fine = noise[1:3, 1 : 1 + 16 * 16 * 3].reshape(2, 16, 16, 3)
    slow = added[1:3] / (np.array([0.5, 1.0]).reshape(2, 1, 1, 1) * upsampler.MOST_NOISE) - fine
    # What is left varies slowly: neighbours are alike, and its grid of 8×8 is standard normal.
    assert np.abs(np.diff(slow, axis=1)).mean() < 0.7 * np.abs(slow).mean()
    assert 0.4 < slow.std() < 1.0


def test_it_learns_what_an_enlargement_lacks(gan, pictures):
    held_out = pictures.held_out.astype(np.float32) / 127.5 - 1
    noise = pair_noise_of(dataclasses.replace(PRESET, batch_size=len(held_out)), 1, 0)
    small = upsampler.noisy(halved(held_out), noise)

    def error(model):
        return float(np.abs(np.asarray(model(small)) - held_out).mean())

    before = error(layers.UpSampling2D(2, interpolation="bilinear"))
    assert error(gan.upsampler) == pytest.approx(before)
    for step in range(200):
        gan.learn_pairs(pictures.batch(step, 8, 0, flip=True), pair_noise_of(PRESET, 0, step))
    assert error(gan.upsampler) < 0.95 * before  # as at the beginning: 1


def test_critics_do_not_train_it_and_pairs_train_nothing_else(gan, pictures):
    base, discriminator = gan.parts["full"]
    batch = pictures.batch(0, 8, 0, flip=False)
    own, others = values(gan.upsampler), (values(base), values(discriminator))
    assert "pair_loss" not in gan.train_step(batch, 1, 0.0)  # every other step
    assert not changed(gan.upsampler, own)
    assert changed(base, others[0])
    others = values(base), values(discriminator)
    gan.learn_pairs(batch, pair_noise_of(PRESET, 0, 0))
    assert changed(gan.upsampler, own)
    assert not changed(base, others[0])
    assert not changed(discriminator, others[1])
    before = values(gan.ema)
    assert "pair_loss" in gan.train_step(batch, 2, 0.0)
    follows = [(np.array(now) != old).any() for now, old in zip(gan.ema.variables, before, strict=True)]
    assert all(
        follow for follow, variable in zip(follows, gan.ema.variables, strict=True) if variable.trainable
    )


def test_at_the_end_critics_train_base_and_upsampler(pictures):
    gan = Gan(dataclasses.replace(PRESET, joint_from=0.5, projected_ratio=1.0))
    base, batch = gan.parts["full"][0], pictures.batch(0, 8, 0, flip=False)
    # The step on JAX takes the generator's weights in this order.
    assert gan.generator.trainable_variables == [
        *base.trainable_variables,
        *gan.upsampler.trainable_variables,
    ]
    own = values(gan.upsampler)
    gan.train_step(batch, 1, 0.4)
    assert not changed(gan.upsampler, own)
    others = values(base), values(gan.discriminator), values(gan.heads)
    figures = gan.train_step(batch, 1, 0.5)
    assert "pair_loss" not in figures
    assert changed(gan.upsampler, own)
    assert all(
        changed(model, before)
        for model, before in zip((base, gan.discriminator, gan.heads), others, strict=True)
    )


def test_the_upsamplers_gradient_is_that_of_the_whole_generator(pictures):
    """The step's gradients against a plain tape through base, halving, upsampler and limit."""
    gan = Gan(dataclasses.replace(PRESET, joint_from=0.0, augment=(), augment_probability=0.0))
    for step in range(3):  # the upsampler's last layer is zero at first, and passes nothing on
        gan.learn_pairs(pictures.batch(step, 8, 0, flip=False), pair_noise_of(PRESET, 0, step))
    latents, draws = noise_of(gan.preset, 0, 7)
    real = pictures.batch(7, 8, 0, flip=False)
    inputs = inputs_of(real, (latents, draws), settings_at(gan.preset, 7, 0.0))
    received, *_ = gan._gradients(inputs, part="joint", with_penalty=True, with_heads=False)
    base = gan.parts["full"][0]
    with tf.GradientTape() as tape:
        drawn = tf.clip_by_value(gan.upsampler(halved(base(latents, training=True))), -1.0, 1.0)
        real_logits = gan.discriminator(real.astype(np.float32) / 127.5 - 1, training=True)
        loss = tf.reduce_mean(losses.GENERATOR["rpgan"](real_logits, gan.discriminator(drawn, training=True)))
    expected = tape.gradient(loss, [base.trainable_variables, gan.upsampler.trainable_variables])
    for one, other in zip(tf.nest.flatten(received), tf.nest.flatten(expected), strict=True):
        scale = max(1e-6, float(tf.reduce_max(tf.abs(other))))
        np.testing.assert_allclose(one / scale, other / scale, atol=2e-3)


def test_what_is_drawn_is_whole_and_limited(gan):
    for variable in gan.ema.trainable_variables:
        variable.assign(3.0 * variable)
    drawn = gan.pictures_of(np.ones((2, 16), np.float32))
    assert drawn.shape == (2, 32, 32, 3)
    assert np.abs(drawn).max() <= 1
    assert gan.draw(np.ones((2, 16), np.float32)).dtype == np.uint8


def test_its_rate_falls_and_it_learns_at_some_steps_only():
    rates = [
        settings_at(PRESET, step, fraction).upsampler_rate
        for step, fraction in ((0, 0.0), (1, 0.0), (2, 1.0))
    ]
    assert rates == [5e-4, None, pytest.approx(2.5e-5)]
    assert settings_at(PRESETS["cpu-32"], 0, 0.0).upsampler_rate is None


def test_alike_pictures_cost_nothing(pictures):
    seen = pictures.train[:2].astype(np.float32) / 127.5 - 1
    maps = [ops.ones((2, 4, 4, 3)), ops.zeros((2, 2, 2, 3))]
    assert float(upsampler.pair_loss(seen, seen, maps, maps)) == 0
    loss = upsampler.pair_loss(seen, seen + 0.5, maps, [maps[0] + 2, maps[1]])
    assert float(loss) == pytest.approx(0.5 + upsampler.MAPS_WEIGHT * 4, rel=1e-5)
