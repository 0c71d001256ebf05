"""Shapes and one training step on tiny data, for every preset."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from pika_gan.networks import build_discriminator, build_generator, coarse_parts, halved
from pika_gan.presets import PRESETS
from pika_gan.step_tensorflow import Gan


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
    few = (16,) * levels
    preset = dataclasses.replace(
        PRESETS[name], batch_size=2, generator_channels=few, discriminator_channels=few, xla=False
    )
    gan = Gan(preset)
    size = preset.resolution
    latents = np.random.default_rng(0).standard_normal((3, preset.latent_dim)).astype("float32")
    pictures = ops.convert_to_numpy(gan.generator(latents))
    assert pictures.shape == (3, size, size, 3)
    assert pictures.dtype == np.float32
    assert np.abs(pictures).max() <= 1
    assert gan.score(np.zeros((3, size, size, 3), np.uint8)).shape == (3,)

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


@pytest.fixture
def coarse_first():
    return dataclasses.replace(PRESETS["tiny"], coarse_share=0.5)


def test_full_size_begins_where_half_the_size_ended(coarse_first):
    gan = Gan(coarse_first)
    small_generator, small_discriminator = coarse_parts(gan.generator, gan.discriminator)
    latents = np.random.default_rng(0).standard_normal((4, 16)).astype("float32")
    small, large = small_generator(latents), gan.generator(latents)
    assert small.shape == (4, 8, 8, 3)
    # Where tanh is nearly linear, the mean of 2×2 pixels is close to the pixel they were enlarged from.
    np.testing.assert_allclose(halved(large), small, atol=0.1)
    pictures = np.random.default_rng(1).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(gan.discriminator(pictures), small_discriminator(halved(pictures)), atol=1e-5)


def test_a_run_that_begins_coarse_trains_the_rest_later(coarse_first):
    gan = Gan(coarse_first)
    real = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    small = {
        v.path for part in coarse_parts(gan.generator, gan.discriminator) for v in part.trainable_variables
    }
    every = [*gan.generator.trainable_variables, *gan.discriminator.trainable_variables]
    later = [v for v in every if v.path not in small]
    assert len(small) > 10
    assert len(later) > 8
    before = [np.array(v) for v in later]
    for step in range(3):
        gan.train_step(real, step, fraction=0.1)
    assert int(gan.generator_optimizer.iterations) == 3
    assert all((np.array(v) == old).all() for v, old in zip(later, before, strict=True))
    for step in range(3, 7):
        gan.train_step(real, step, fraction=0.6)
    assert int(gan.generator_optimizer.iterations) == 4, "Adam counts from the change on"
    assert all((np.array(v) != old).any() for v, old in zip(later, before, strict=True))


def test_a_checkpoint_tells_whether_full_size_has_begun(coarse_first):
    gan, other = Gan(coarse_first), Gan(coarse_first, seed=1)
    real = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    gan.train_step(real, 0, fraction=0.1)
    gan.train_step(real, 1, fraction=0.6)
    other.load_state(gan.state())
    for one in (gan, other):
        one.seed = 0
        one.train_step(real, 2, fraction=0.7)
    for name, array in gan.state().items():
        np.testing.assert_array_equal(array, other.state()[name], err_msg=name)


def test_full_size_stays_when_a_run_gets_a_larger_budget(coarse_first, monkeypatch):
    """The completed share of the run falls: below the coarse part's end again."""
    parts = []
    monkeypatch.setattr(Gan, "update", lambda self, inputs, *, part, **_kinds: parts.append(part) or {})
    gan = Gan(coarse_first)
    for fraction in (0.1, 0.6, 0.1):
        gan.train_step(np.zeros((8, 16, 16, 3), np.uint8), 0, fraction=fraction)
    assert parts == ["coarse", "full", "full"]


@pytest.mark.parametrize("change", [{"coarse_share": 1.0}, {"coarse_share": -0.1}])
def test_a_share_is_a_share(change):
    with pytest.raises(ValueError, match="coarse_share"):
        dataclasses.replace(PRESETS["tiny"], **change)
    with pytest.raises(ValueError, match="fastgan"):
        dataclasses.replace(PRESETS["article"], coarse_share=0.5)


@pytest.mark.parametrize("change", [{"coarse_share": 0.5, "coarse_steps": -1}, {"coarse_steps": 10}])
def test_coarse_steps_are_a_number_of_a_coarse_part(change):
    with pytest.raises(ValueError, match="coarse_steps: expected 0 or more, and a coarse_share"):
        dataclasses.replace(PRESETS["tiny"], **change)


def test_the_compiled_step_gives_what_the_plain_one_gives(coarse_first):
    """XLA, which the GPU presets use; here it compiles for the CPU."""
    real = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    plain, compiled = Gan(coarse_first), Gan(dataclasses.replace(coarse_first, xla=True))
    for step, fraction in enumerate((0.1, 0.7)):
        expected = plain.train_step(real, step, fraction)
        figures = compiled.train_step(real, step, fraction)
        for name, value in expected.items():
            assert float(figures[name]) == pytest.approx(float(value), rel=1e-2, abs=1e-3), name
