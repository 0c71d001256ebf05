"""The projected critic: its frozen part, its heads, and the gradient that the generator receives from it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pika_gan.networks import projected
from pika_gan.presets import PRESETS
from pika_gan.schedule import inputs_of, noise_of, settings_at
from pika_gan.step_tensorflow import Gan

PRESET = dataclasses.replace(
    PRESETS["tiny"], projected_ratio=2.0, projected_size=32, augment=(), precision="float32"
)


@pytest.fixture(scope="module")
def gan():
    return Gan(PRESET)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize(("num_in", "num_out"), [(16, 32), (64, 96), (64, 64), (32, 96)])
def test_interpolation_is_bilinear(num_in, num_out):
    picture = np.random.default_rng(0).normal(size=(1, num_in, num_in, 3)).astype("float32")
    expected = ops.image.resize(picture, (num_out, num_out), interpolation="bilinear")
    matrix = projected.interpolation_matrix(num_in, num_out)
    np.testing.assert_allclose(np.einsum("nhwc,Hh,Ww->nHWc", picture, matrix, matrix), expected, atol=1e-4)


def test_a_spectral_convolution_has_largest_singular_value_one():
    layer = projected.SpectralConv2D(8, 3)
    x = np.zeros((1, 4, 4, 5), np.float32)
    for _ in range(100):
        layer(x, training=True)
    impulses = np.eye(45, dtype=np.float32).reshape(45, 3, 3, 5)  # one entry of the kernel's window each
    columns = np.asarray(layer(impulses))[:, 1, 1, :]
    assert np.linalg.svd(columns, compute_uv=False)[0] == pytest.approx(1.0, rel=1e-3)
    before = np.array(layer.right)
    layer(x, training=False)
    np.testing.assert_array_equal(layer.right, before)


def test_the_frozen_part_stays_and_the_heads_learn(gan, pictures):
    eyes = [np.array(weight) for weight in gan.eyes.weights]
    heads = [np.array(weight) for weight in gan.heads.trainable_weights]
    losses = [float(gan.train_step(pictures, step, 0.0)["heads_loss"]) for step in range(30)]
    assert all((np.array(w) == old).all() for w, old in zip(gan.eyes.weights, eyes, strict=True))
    assert all((np.array(w) != old).any() for w, old in zip(gan.heads.trainable_weights, heads, strict=True))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_maps_are_mixed_alike_everywhere(pictures):
    seen = pictures / np.float32(127.5) - 1
    one, other = (projected.build_eyes(PRESET)(seen) for _ in range(2))
    for one_map, other_map in zip(one, other, strict=True):
        np.testing.assert_array_equal(one_map, other_map)


def test_combined_gradients_have_the_stated_ratio():
    random = np.random.default_rng(0)
    pixels, other = (random.normal(size=(4, 8, 8, 3)) * scale for scale in (1.0, 50.0))
    added = np.asarray(projected.combined(pixels, other, 2.0)) - pixels
    assert np.linalg.norm(added) == pytest.approx(2 * np.linalg.norm(pixels), rel=1e-5)
    cosine = (added * other).sum() / np.linalg.norm(added) / np.linalg.norm(other)
    assert cosine == pytest.approx(1.0)


def test_the_gradient_with_respect_to_pictures_agrees_with_finite_differences(gan, pictures):
    """Through resizing, the frozen network and the heads; a missing gradient would be zero."""
    seen = tf.constant(pictures / np.float32(127.5) - 1)

    def loss(moved):
        return float(projected.generator_loss(gan.heads(gan.eyes(moved), training=False)))

    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=(4, 16, 16, 3)).astype("float32")
        direction /= np.linalg.norm(direction)
        difference = (loss(seen[4:] + 0.004 * direction) - loss(seen[4:] - 0.004 * direction)) / 0.008
        wish, _, _ = gan._project(seen[:4], seen[4:])
        assert difference == pytest.approx(float((wish * direction).numpy().sum()), rel=0.1, abs=2e-3)


def test_the_generator_gets_both_critics_gradients(pictures):
    """One step's gradients against plain tapes, one per critic."""
    gan = Gan(PRESET)
    inputs = inputs_of(pictures, noise_of(PRESET, 0, 0, num=8), settings_at(PRESET, 0, 0.0))
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    state = gan.state()
    (received,), _, _, _ = gan._gradients(inputs, part="full", with_penalty=True, with_heads=True)
    gan.load_state(state)
    with tf.GradientTape(persistent=True) as tape:
        fake = gan.generator(inputs.latents, training=True)
        real = tf.cast(inputs.pictures, tf.float32) / 127.5 - 1
        pixels = tf.reduce_mean(tf.nn.softplus(gan.discriminator(real) - gan.discriminator(fake)))
        features = projected.generator_loss(gan.heads(gan.eyes(fake), training=False))
    ratio = 2 * tf.norm(tape.gradient(pixels, fake)) / tf.norm(tape.gradient(features, fake))
    weights = gan.generator.trainable_variables
    for ours, one, other in zip(
        received, tape.gradient(pixels, weights), tape.gradient(features, weights), strict=True
    ):
        np.testing.assert_allclose(ours, one + ratio * other, atol=1e-4 * (1 + np.abs(ours).max()))


def test_a_checkpoint_holds_the_heads(pictures):
    gan, other = Gan(PRESET), Gan(PRESET, seed=1)
    gan.train_step(pictures, 0, 0.0)
    assert any(name.startswith("heads/") for name in gan.state())
    assert not any(name.startswith("eyes/") for name in gan.state())
    other.load_state(gan.state())
    for one in (gan, other):
        one.seed = 0
        one.train_step(pictures, 1, 0.0)
    for name, array in gan.state().items():
        np.testing.assert_array_equal(array, other.state()[name], err_msg=name)


def test_it_takes_part_from_a_share_of_the_run_on(pictures):
    gan = Gan(dataclasses.replace(PRESET, coarse_share=0.3, projected_from=0.5))
    for step, (fraction, takes_part) in enumerate(((0.1, False), (0.4, False), (0.6, True))):
        assert ("heads_loss" in gan.train_step(pictures, step, fraction)) == takes_part
    at_once = dataclasses.replace(PRESET, coarse_share=0.3)
    assert [settings_at(at_once, 0, fraction).with_heads for fraction in (0.2, 0.3)] == [False, True]


def test_its_learning_rate_falls_with_the_generators():
    preset = dataclasses.replace(PRESET, learning_rate_end=0.1)
    first, last = (settings_at(preset, 0, fraction) for fraction in (0.0, 1.0))
    assert first.heads_rate == preset.projected_learning_rate
    assert last.heads_rate / first.heads_rate == pytest.approx(last.generator_rate / first.generator_rate)
    gentler = settings_at(preset, 0, 1.0, gentleness=1)
    assert gentler.heads_rate == pytest.approx(last.heads_rate / 2)


@pytest.mark.parametrize("change", [{"projected_ratio": -1.0}, {"projected_size": 50}])
def test_settings_that_cannot_be(change):
    with pytest.raises(ValueError, match=r"projected_ratio, projected_size: expected"):
        dataclasses.replace(PRESET, **change)
