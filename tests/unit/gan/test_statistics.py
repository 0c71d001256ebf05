"""The averaged generator's batch-normalisation statistics are counted from its own activations."""

import dataclasses

import numpy as np
from keras import layers, ops

from pika_gan.backend import make_gan
from pika_gan.networks import base_of


def normalisations(model):
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def test_counted_statistics_are_those_of_large_batches(tiny):
    gan = make_gan(dataclasses.replace(tiny, upsample_every=1, upsampler_channels=8))
    base = base_of(gan.ema)
    assert base is not gan.ema
    for layer in normalisations(base):  # as if averaged from other networks
        layer.moving_mean.assign(layer.moving_mean + 3.0)
        layer.moving_variance.assign(layer.moving_variance * 9.0)
    latents = np.random.default_rng(0).standard_normal((512, tiny.latent_dim)).astype(np.float32)

    def off():
        """Mean difference between pictures by kept statistics and by those of this very batch."""
        kept = np.array([np.asarray(variable.value) for variable in base.non_trainable_variables], object)
        own = ops.convert_to_numpy(base(latents, training=True)).astype(np.float32)
        for variable, value in zip(base.non_trainable_variables, kept, strict=True):
            variable.assign(value)
        return np.abs(ops.convert_to_numpy(base(latents, training=False)).astype(np.float32) - own).mean()

    before = off()
    untouched = [np.asarray(weight.value) for weight in gan.ema.trainable_variables]
    gan.count_statistics()
    assert off() < 0.02 * before
    for old, weight in zip(untouched, gan.ema.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(weight.value))
