"""Compare the speed of the GAN's training step with the same step written the plain Keras way.

    .venv/bin/python tests/benchmarks/gan_step.py [--preset cpu-64] [--rounds 6]

The plain way: upsampling before a convolution and pooling after one as operations of their own, the critic's
update with separate passes over real and generated pictures, then the generator's update with another pass
through both networks, each with a tape; the same losses, penalties, augmentation, optimisers and average.
Both omit the projected critic and the upsampler. They are measured alternately in one process. The last line
is a JSON object.
"""

import argparse
import dataclasses
import json
import os
import statistics
import time
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # pika_gan, which sets it, is imported after TensorFlow

import numpy as np
import tensorflow as tf
from keras import layers, ops

from pika_gan import augment, losses
from pika_gan.config import Preset
from pika_gan.networks import fastgan, residual
from pika_gan.networks.resampling import DownConv2D, UpConv2D
from pika_gan.presets import preset_named
from pika_gan.step_tensorflow import Gan

STEPS_A_ROUND = 8


class PlainUp(UpConv2D):
    """The same in two operations."""

    def call(self, x: Any) -> Any:
        return layers.Conv2D.call(self, ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2))


class PlainDown(DownConv2D):
    """The same in two operations."""

    def call(self, x: Any) -> Any:
        return ops.average_pool(layers.Conv2D.call(self, x), 2, strides=2)


class Plain(Gan):
    """The same networks, optimisers and average, updated in sequence."""

    def __init__(self, preset: Preset, seed: int = 0) -> None:
        with (
            mock.patch.object(fastgan, "UpConv2D", PlainUp),
            mock.patch.object(residual, "DownConv2D", PlainDown),
        ):
            super().__init__(preset, seed)
        self._plain = tf.function(self._plain_step)

    def train_step(
        self, pictures: np.ndarray, step: int, fraction: float, attempt: int = 0, **options: Any
    ) -> dict[str, Any]:
        """As `Gan.train_step`, without its schedules."""
        del fraction, attempt, options
        has_penalty = self.preset.penalty_weight > 0 and step % self.preset.penalty_every == 0
        weight = self.preset.penalty_weight * self.preset.penalty_every
        return self._plain(tf.convert_to_tensor(pictures), tf.constant(weight), with_penalty=has_penalty)

    def _plain_step(self, pictures: Any, weight: Any, *, with_penalty: bool) -> dict[str, Any]:
        real = tf.cast(pictures, tf.float32) / 127.5 - 1.0
        num = tf.shape(real)[0]
        fake = self.generator(tf.random.normal((num, self.preset.latent_dim)), training=True)
        with tf.GradientTape() as tape:
            seen = [self._augmented(real), self._augmented(fake)]
            logits = [self.discriminator(part, training=True) for part in seen]
            objective = tf.reduce_mean(losses.DISCRIMINATOR[self.preset.loss](*logits))
            if with_penalty:
                for part in seen:
                    with tf.GradientTape() as inner:
                        inner.watch(part)
                        total = tf.reduce_sum(self.discriminator(part, training=True))
                    norms = losses.squared_gradient_norm(inner.gradient(total, part))
                    objective += 0.5 * weight * tf.reduce_mean(norms)
        variables = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(tape.gradient(objective, variables), variables)
        with tf.GradientTape() as tape:
            fake = self.generator(tf.random.normal((num, self.preset.latent_dim)), training=True)
            real_logits = self.discriminator(self._augmented(real), training=True)
            fake_logits = self.discriminator(self._augmented(fake), training=True)
            wish = tf.reduce_mean(losses.GENERATOR[self.preset.loss](real_logits, fake_logits))
        variables = self.generator.trainable_variables
        self.generator_optimizer.apply(tape.gradient(wish, variables), variables)
        for average, trained in self.ema_pairs():
            average.assign(trained + 0.99 * (average - trained))
        return {"discriminator_loss": objective, "generator_loss": wish}

    def _augmented(self, pictures: Any) -> Any:
        draws = tf.random.uniform((tf.shape(pictures)[0], augment.NUM_DRAWS))
        probability, strength = self.preset.augment_probability, self.preset.colour_strength
        return augment.augment(pictures, draws, self.preset.augment, probability, strength)


def compared(preset: Preset) -> Preset:
    """Return the preset without what the plain way does not have."""
    return dataclasses.replace(
        preset,
        upsample_every=0,
        joint_from=1.0,
        coarse_share=0.0,
        coarse_steps=0,
        projected_ratio=0.0,
    )


def main() -> None:
    """Print the pictures per second of each, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="cpu-64")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    preset = compared(preset_named(arguments.preset))
    steps = {"ours": Gan(preset), "plain": Plain(preset)}
    size = preset.resolution
    pictures = np.random.default_rng(0).integers(0, 256, (preset.batch_size, size, size, 3), np.uint8)
    for gan in steps.values():
        for number in range(preset.penalty_every + 1):  # compiles both of its graphs
            gan.train_step(pictures, number, 0.1)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, gan in steps.items():
            began = time.perf_counter()
            for number in range(STEPS_A_ROUND):
                float(gan.train_step(pictures, number, 0.1)["generator_loss"])
            seconds[name].append(time.perf_counter() - began)
    done = STEPS_A_ROUND * preset.batch_size
    rates = {name: done / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.0f} pictures a second, {preset.batch_size / rate:.3f} s a step")
    ratios = {
        f"ours / {name}": round(rates["ours"] / rate, 2) for name, rate in rates.items() if name != "ours"
    }
    print(json.dumps({"preset": preset.name, "precision": steps["ours"].preset.precision, **ratios}))


if __name__ == "__main__":
    main()
