"""Shapes and one training step on tiny data, for every preset."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from pika_gan.config import PRESETS
from pika_gan.gan import Gan
from pika_gan.networks import build_discriminator, build_generator


@pytest.mark.parametrize("name", PRESETS)
def test_shapes(name):
    preset = PRESETS[name]
    size = preset.resolution
    generator, discriminator = build_generator(preset), build_discriminator(preset)
    assert generator.input_shape == (None, preset.latent_dim)
    assert generator.output_shape == (None, size, size, 3)
    assert discriminator.input_shape == (None, size, size, 3)
    assert discriminator.output_shape == (None,)


@pytest.mark.parametrize("name", PRESETS)
def test_one_training_step(name):
    levels = len(PRESETS[name].generator_channels)
    preset = dataclasses.replace(PRESETS[name], batch_size=2, generator_channels=(16,) * levels)
    gan = Gan(preset)
    size = preset.resolution
    latents = np.random.default_rng(0).standard_normal((3, preset.latent_dim)).astype("float32")
    pictures = ops.convert_to_numpy(gan.generator(latents))
    assert pictures.shape == (3, size, size, 3)
    assert pictures.dtype == np.float32
    assert np.abs(pictures).max() <= 1
    logits = gan.discriminator(pictures)
    assert logits.shape == (3,)

    before = gan.state()
    real = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    figures = gan.train_step(real, step=0, fraction=0.0)
    assert all(np.isfinite(float(value)) for value in figures.values())
    after = gan.state()
    for part in ("generator/", "discriminator/", "ema/"):
        changed = [name for name in before if name.startswith(part) and (before[name] != after[name]).any()]
        assert changed, part
    trained = {variable.path for variable in gan.generator.trainable_variables}
    assert trained, "a generator that cannot learn"


def test_mixed_precision_keeps_latents_pictures_and_logits_in_float32():
    gan = Gan(dataclasses.replace(PRESETS["tiny"], precision="mixed_bfloat16"))
    pictures = gan.generator(np.zeros((2, 16), "float32"))
    assert keras.backend.standardize_dtype(pictures.dtype) == "float32"
    assert keras.backend.standardize_dtype(gan.discriminator(pictures).dtype) == "float32"
    real = np.zeros((8, 16, 16, 3), np.uint8)
    assert np.isfinite(float(gan.train_step(real, 0, 0.0)["r1"]))


def test_the_average_starts_as_the_generator_and_follows_with_batch_statistics():
    gan = Gan(PRESETS["tiny"])
    real = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    started = [np.array(weight) for weight in gan.ema.weights]
    for average, weight in zip(started, gan.generator.weights, strict=True):
        np.testing.assert_array_equal(average, np.array(weight))
    for step in range(3):
        gan.train_step(real, step, 0.0)
    statistics = [i for i, weight in enumerate(gan.ema.weights) if "moving_mean" in weight.path]
    assert statistics
    for index in statistics:
        assert (np.array(gan.ema.weights[index]) != started[index]).any()


def test_weights_fit_a_generator_of_another_precision():
    mixed = build_generator(PRESETS["tiny"], precision="mixed_bfloat16")
    single = build_generator(PRESETS["tiny"], precision="float32")
    assert [w.shape for w in mixed.weights] == [w.shape for w in single.weights]
