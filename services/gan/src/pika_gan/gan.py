"""The training step on TensorFlow, and everything of it that a checkpoint has to hold.

One pass through each network a step serves both players (simultaneous updates): the gradient of the logits
with respect to the pictures gives R1 on the real half, R2 on the generated half and, scaled by the generator
loss's derivative, the generator's own gradient. That saves the second pass of the usual alternation. On steps
without a penalty that gradient falls out of the discriminator's backward pass.

All randomness comes from (seed, attempt, step), so that a run resumed
at a step goes on as if it had never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from pika_gan import augment, losses
from pika_gan.config import Preset
from pika_gan.generate import to_uint8
from pika_gan.networks import build_discriminator, build_generator

# Far above what a sound run shows: it only keeps one mad batch from spoiling Adam's moments.
GRADIENT_NORM_LIMIT = 1e3


@dataclass(frozen=True, eq=False)
class Criticised:
    """What one pass through the discriminator gives.

    Attributes:
        gradients: of its own objective, for each of its variables.
        wanted: ∂(generator loss)/∂picture (N, S, S, 3), of the generated half.
        figures: scalars for the log; r1 and r2 where there was a penalty.
    """

    gradients: list[Any]
    wanted: Any
    figures: dict[str, Any]


class Gan:
    """Generator, discriminator, their optimisers, and `ema`, the averaged float32 copy that is shown and
    exported.
    """

    def __init__(self, preset: Preset, seed: int = 0) -> None:
        self.preset = preset.resolved()
        self.seed = seed
        keras.utils.set_random_seed(seed)
        self.generator = build_generator(self.preset)
        self.discriminator = build_discriminator(self.preset)
        self.ema = build_generator(self.preset, precision="float32")
        for average, weight in self._ema_pairs():
            average.assign(weight)
        betas = {"beta_1": self.preset.adam_beta_1, "beta_2": self.preset.adam_beta_2}
        self.generator_optimizer = keras.optimizers.Adam(self.preset.generator_learning_rate, **betas)
        self.discriminator_optimizer = keras.optimizers.Adam(self.preset.discriminator_learning_rate, **betas)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self._step = tf.function(self._step_body, jit_compile=False)  # XLA on a CPU: slower, 10 s to compile
        self._see = tf.function(lambda latents: self.ema(latents, training=True))
        self._draw = tf.function(lambda latents: self.ema(latents, training=False), reduce_retracing=True)

    def train_step(
        self, pictures: np.ndarray, step: int, fraction: float, attempt: int = 0
    ) -> dict[str, Any]:
        """One update of both networks and of the average.

        Args:
            pictures: uint8 (N, S, S, 3), real.
            step: how many steps were made before; with the seed it decides all random numbers.
            fraction: share of the run that is done, 0 … 1, for the schedules.
            attempt: raised after a roll-back, so that the same mishap does not happen again.
        Returns:
            Scalars as tensors: the losses, the penalties, the mean logits.
        """
        preset = self.preset
        cosine = 0.5 * (1 + np.cos(np.pi * min(max(fraction, 0.0), 1.0)))  # 1 → 0
        penalty = preset.penalty_weight_end + (preset.penalty_weight - preset.penalty_weight_end) * cosine
        rate = preset.learning_rate_end + (1 - preset.learning_rate_end) * cosine
        self.generator_optimizer.learning_rate.assign(preset.generator_learning_rate * rate)
        self.discriminator_optimizer.learning_rate.assign(preset.discriminator_learning_rate * rate)
        seen = (step + 1) * preset.batch_size
        half_life = max(min(preset.ema_half_life, seen * preset.ema_ramp), 1e-8) if preset.average else 1e-8
        return self._step(
            tf.convert_to_tensor(pictures),
            tf.constant([self.seed + 1_000_003 * attempt, step], tf.int32),
            tf.constant(penalty * preset.penalty_every, tf.float32),
            tf.constant(0.5 ** (preset.batch_size / half_life), tf.float32),
            with_penalty=preset.penalty_weight > 0 and step % preset.penalty_every == 0,
        )

    def _step_body(
        self, pictures: Any, key: Any, penalty_weight: Any, ema_decay: Any, *, with_penalty: bool
    ) -> dict[str, Any]:
        real = tf.cast(pictures, tf.float32) / 127.5 - 1.0
        num = tf.shape(real)[0]
        latents = tf.random.stateless_normal((num, self.preset.latent_dim), seed=key)
        draws = tf.random.stateless_uniform(
            (2 * num, augment.NUM_DRAWS), seed=key + tf.constant([0, 1 << 30])
        )
        with tf.GradientTape() as generator_tape:
            fake = self.generator(latents, training=True)
            fake_seen = self._augment(fake, draws[num:])
        seen = tf.concat([self._augment(real, draws[:num]), fake_seen], axis=0)  # (2N, S, S, 3)
        criticised = self.criticise(seen, penalty_weight if with_penalty else None)
        generator_gradients = generator_tape.gradient(
            fake_seen,
            self.generator.trainable_variables,
            output_gradients=tf.stop_gradient(criticised.wanted),
        )
        self._apply(self.generator_optimizer, generator_gradients, self.generator)
        self._apply(self.discriminator_optimizer, criticised.gradients, self.discriminator)
        for average, weight in self._ema_pairs():
            average.assign(weight + ema_decay * (average - weight))
        return criticised.figures

    def criticise(self, seen: Any, penalty_weight: Any) -> Criticised:
        """One forward pass of the discriminator over pictures (2N, S, S, 3), and all that both players need.

        The first half are real. Each logit depends on its own picture alone, so the gradient of any loss with
        respect to a picture is a number times ∂D/∂picture: with a penalty that is computed by itself; without
        one it comes out of the discriminator's own backward pass, and is scaled.

        Args:
            penalty_weight: γ, or None for no penalty.
        """
        num = tf.shape(seen)[0] // 2
        with tf.GradientTape() as tape:
            if penalty_weight is None:
                tape.watch(seen)
                logits, slopes = self.discriminator(seen, training=True), None
            else:
                logits, slopes = self.logits_and_slopes(seen)
            real_logits, fake_logits = logits[:num], logits[num:]
            adversarial = tf.reduce_mean(losses.DISCRIMINATOR[self.preset.loss](real_logits, fake_logits))
            objective, penalties = adversarial, {}
            if slopes is not None:
                norms = losses.squared_gradient_norm(slopes)
                penalties = {"r1": tf.reduce_mean(norms[:num]), "r2": tf.reduce_mean(norms[num:])}
                objective += 0.5 * penalty_weight * (penalties["r1"] + penalties["r2"])
        variables = self.discriminator.trainable_variables
        generator_loss, wish = self._derivative(losses.GENERATOR, real_logits, fake_logits)
        if slopes is None:
            gradients = tape.gradient(objective, [*variables, seen])
            _, own = self._derivative(losses.DISCRIMINATOR, real_logits, fake_logits)
            # Never 0 but where the logits have left all bounds: then there is nothing to be learned from.
            factor, slopes = tf.math.divide_no_nan(wish, own), gradients.pop()
        else:
            gradients, factor = tape.gradient(objective, variables), wish
        return Criticised(
            gradients,
            factor[:, None, None, None] * slopes[num:],
            {
                "discriminator_loss": adversarial,
                "generator_loss": generator_loss,
                "real_logit": tf.reduce_mean(real_logits),
                "fake_logit": tf.reduce_mean(fake_logits),
                **penalties,
            },
        )

    def _derivative(self, pair: dict[str, Any], real_logits: Any, fake_logits: Any) -> tuple[Any, Any]:
        """A loss's mean, and its derivative by each generated picture's logit (N,)."""
        with tf.GradientTape() as tape:
            tape.watch(fake_logits)
            mean = tf.reduce_mean(pair[self.preset.loss](real_logits, fake_logits))
        return mean, tape.gradient(mean, fake_logits)

    def logits_and_slopes(self, pictures: Any) -> tuple[Any, Any]:
        """D's logits (N,) for pictures (N, S, S, 3) in [-1, 1], and their gradients ∂D/∂picture (N, S, S,
        3).
        """
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            logits = self.discriminator(pictures, training=True)
            total = tf.reduce_sum(logits)
        slopes = tape.gradient(total, pictures)
        if slopes is None:
            raise RuntimeError("gradient penalty: expected ∂D/∂picture, received None")
        return logits, slopes

    def _augment(self, pictures: Any, draws: Any) -> Any:
        return augment.augment(pictures, draws, self.preset.augment, self.preset.augment_probability)

    @staticmethod
    def _apply(optimizer: Any, gradients: list[Any], model: keras.Model) -> None:
        missing = [v.path for g, v in zip(gradients, model.trainable_variables, strict=True) if g is None]
        if missing:
            raise RuntimeError(f"expected a gradient for every variable of {model.name}, none for {missing}")
        gradients, _ = tf.clip_by_global_norm(gradients, GRADIENT_NORM_LIMIT)
        optimizer.apply(gradients, model.trainable_variables)

    def count_statistics(self, num_batches: int = 20) -> None:
        """Count the averaged generator's batch-normalisation statistics again, from latents of its own.

        Until then they are averages of another network's: those of the generator at each step. Without an
        average there is nothing to be counted.
        """
        if not self.preset.average:
            return
        for number in range(num_batches):
            key = tf.constant([self.seed + 7, number], tf.int32)
            shape = (4 * self.preset.batch_size, self.preset.latent_dim)
            self._see(tf.random.stateless_normal(shape, seed=key))

    def draw(self, latents: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Pictures of the averaged generator: latents (N, latent_dim) → uint8 (N, S, S, 3)."""
        parts = [
            to_uint8(self._draw(tf.constant(latents[start : start + batch_size], tf.float32)).numpy())
            for start in range(0, len(latents), batch_size)
        ]
        return np.concatenate(parts)

    def score(self, pictures: np.ndarray) -> np.ndarray:
        """D's logits (N,) for uint8 (N, S, S, 3), not augmented: how far it knows the training pictures by
        heart.
        """
        return ops.convert_to_numpy(
            self.discriminator(tf.cast(pictures, tf.float32) / 127.5 - 1.0, training=False)
        )

    def _ema_pairs(self) -> list[tuple[Any, Any]]:
        """(average, weight) for all weights, batch-normalisation statistics included."""
        return list(zip(self.ema.weights, self.generator.weights, strict=True))

    def variables(self) -> dict[str, Any]:
        """Every variable a checkpoint holds, by a name that does not depend on Keras's counters."""
        parts = {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "ema": self.ema.variables,
            "generator_optimizer": self.generator_optimizer.variables,
            "discriminator_optimizer": self.discriminator_optimizer.variables,
        }
        return {f"{part}/{i:04d}": v for part, variables in parts.items() for i, v in enumerate(variables)}

    def state(self) -> dict[str, np.ndarray]:
        """A copy of all variables."""
        return {name: np.asarray(ops.convert_to_numpy(v)) for name, v in self.variables().items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Puts back what `state` gave. Raises ValueError when names or shapes are another network's."""
        variables = self.variables()
        if set(variables) != set(state):
            raise ValueError(f"checkpoint: expected {len(variables)} arrays, received {len(state)}")
        for name, variable in variables.items():
            if tuple(variable.shape) != state[name].shape:
                raise ValueError(
                    f"checkpoint, {name}: expected {tuple(variable.shape)}, received {state[name].shape}"
                )
            variable.assign(state[name])
