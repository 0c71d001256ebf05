"""The training step on TensorFlow.

One pass through each network serves both players (simultaneous updates): the gradient of the logits with
respect to the pictures gives R1 on the real half, R2 on the generated half and, scaled by the derivative of
the generator's loss, the generator's own gradient. This saves the second pass of alternating updates. On
steps without a penalty that gradient is a by-product of the discriminator's backward pass.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pika_gan.config import Preset
from pika_gan.criticism import criticise
from pika_gan.networks import base_of, halved, projected, upsampler
from pika_gan.schedule import Part, StepInputs
from pika_gan.state import GRADIENT_NORM_LIMIT, GanState


class Gan(GanState):
    """The networks with compiled functions to train and to draw.

    Args:
        preset: the recipe.
        seed: of the initial weights and of all random numbers.
        strategy: distributes a batch over devices; by default over all GPUs. Each device has its own
            batch-normalisation statistics in training, and their means are kept.

    Raises:
        ValueError: a batch cannot be divided evenly.
    """

    def __init__(
        self, preset: Preset, seed: int = 0, *, strategy: tf.distribute.Strategy | None = None
    ) -> None:
        if strategy is None and len(tf.config.list_physical_devices("GPU")) > 1:
            strategy = tf.distribute.MirroredStrategy()
        self._strategy = strategy or tf.distribute.get_strategy()
        replicas = self._strategy.num_replicas_in_sync
        if preset.batch_size % (replicas * preset.accumulate):
            raise ValueError(
                f"batch_size: expected a multiple of {replicas * preset.accumulate} ({replicas} devices × "
                f"{preset.accumulate} parts), received {preset.batch_size}"
            )
        with self._strategy.scope():
            super().__init__(preset, seed)
        # No branch or loop here depends on a tensor, so AutoGraph would only rewrite sources, for seconds.
        function = partial(tf.function, autograph=False)
        # On a CPU XLA is slower and takes long to compile. It compiles for a single device only.
        by_xla = self.preset.xla and replicas == 1
        self._step = function(self._step_body, jit_compile=by_xla)
        self._pairs = function(self._pairs_body, jit_compile=by_xla)
        self._see = function(lambda latents: base_of(self.ema)(latents, training=True))
        self._draw = function(lambda latents: self.ema(latents, training=False), reduce_retracing=True)

    def update(
        self, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> dict[str, Any]:
        """See `GanState.update`."""
        figures: dict[str, Any] = self._step(
            tf.nest.map_structure(tf.convert_to_tensor, inputs),
            part=part,
            with_penalty=with_penalty,
            with_heads=with_heads,
        )
        return figures

    def _step_body(
        self, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> dict[str, Any]:
        strategy = self._strategy

        def on_one_device(inputs: StepInputs) -> dict[str, Any]:
            return self._update_weights(
                _share_of(inputs), part=part, with_penalty=with_penalty, with_heads=with_heads
            )

        figures = strategy.run(on_one_device, (inputs,))
        for average, weight in self.ema_pairs():
            strategy.extended.update(
                average.value,
                lambda old, new: old.assign(new + inputs.ema_decay * (old - new)),
                args=(weight.value,),
            )
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in figures.items()
        }

    def _update_weights(
        self, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> dict[str, Any]:
        """Do one device's share of a step. The optimisers sum gradients over all devices."""
        results: list[tuple[list[list[Any]], list[Any], list[Any], dict[str, Any]]] = []
        num = self.preset.accumulate
        for pictures, latents, draws in zip(*(tf.split(array, num) for array in inputs[:3]), strict=True):
            # One after the other, so that the parts are not in memory at once.
            with tf.control_dependencies([figures["generator_loss"] for *_, figures in results[-1:]]):
                few = inputs._replace(
                    pictures=tf.identity(pictures), latents=tf.identity(latents), draws=tf.identity(draws)
                )
                results.append(
                    self._gradients(few, part=part, with_penalty=with_penalty, with_heads=with_heads)
                )
        for_generator, for_discriminator, for_heads, figures = tf.nest.map_structure(
            lambda *values: tf.add_n(values) / num if num > 1 else values[0], *results
        )
        for (model, optimizer), gradients in zip(self.trained[part], for_generator, strict=True):
            self._apply(optimizer, gradients, model)
        self._apply(self.discriminator_optimizer, for_discriminator, self.parts[part][1])
        if for_heads:
            self._apply(self.heads_optimizer, for_heads, self.heads)
        return dict(figures)

    def _gradients(
        self, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> tuple[list[list[Any]], list[Any], list[Any], dict[str, Any]]:
        """Return the gradients of `trained[part]`, discriminator and heads, and the figures."""
        generator, discriminator = self.parts[part]
        real = tf.cast(inputs.pictures, tf.float32) / 127.5 - 1.0
        if part == "coarse":
            real = halved(real)
        num = tf.shape(real)[0]
        with tf.GradientTape() as generator_tape:
            fake = generator(inputs.latents, training=True)
            fake_seen = self.augmented(fake, inputs.draws[num:], inputs)
        real_seen = self.augmented(real, inputs.draws[:num], inputs)
        seen = tf.concat([real_seen, fake_seen], axis=0)  # (2N, S, S, 3)
        criticised = criticise(
            discriminator, seen, self.preset.loss, inputs.penalty_weight if with_penalty else None
        )
        wanted, figures = criticised.wanted, dict(criticised.figures)
        for_heads: list[Any] = []
        if with_heads:
            projected_wish, for_heads, figures["heads_loss"] = self._project(real_seen, fake_seen)
            wanted = projected.combined(wanted, projected_wish, self.preset.projected_ratio)
        for_generator = generator_tape.gradient(
            fake_seen,
            [model.trainable_variables for model, _ in self.trained[part]],
            output_gradients=tf.stop_gradient(wanted),
        )
        return for_generator, criticised.gradients, for_heads, figures

    def learn_pairs(self, pictures: np.ndarray, noise: np.ndarray) -> Any:
        """See `GanState.learn_pairs`."""
        return self._pairs(tf.constant(pictures), tf.constant(noise))

    def _pairs_body(self, pictures: Any, noise: Any) -> Any:
        def on_one_device(pictures: Any, noise: Any) -> Any:
            expected = tf.cast(_share(pictures), tf.float32) / 127.5 - 1.0
            given = upsampler.noisy(halved(expected), _share(noise))
            expected_maps = self.eyes(expected, training=False)
            with tf.GradientTape() as tape:
                received = self.upsampler(given, training=True)
                maps = self.eyes(received, training=False)
                loss = upsampler.pair_loss(received, expected, maps, expected_maps)
            gradients = tape.gradient(loss, self.upsampler.trainable_variables)
            self._apply(self.upsampler_optimizer, gradients, self.upsampler)
            return loss

        each = self._strategy.run(on_one_device, (pictures, noise))
        return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, each, axis=None)

    def _project(self, real_seen: Any, fake_seen: Any) -> tuple[Any, list[Any], Any]:
        """Return the projected critic's ∂(generator loss)/∂picture, its heads' gradients and their loss."""
        with tf.GradientTape() as tape:
            tape.watch(fake_seen)
            fake_maps = self.eyes(fake_seen, training=False)
            loss = projected.generator_loss(self.heads(fake_maps, training=False))
        wish = tape.gradient(loss, fake_seen)
        real_maps = self.eyes(real_seen, training=False)
        with tf.GradientTape() as tape:
            real_logits = self.heads(real_maps, training=True)
            loss = projected.heads_loss(real_logits, self.heads(fake_maps, training=False))
        return wish, tape.gradient(loss, self.heads.trainable_variables), loss

    @staticmethod
    def _apply(optimizer: Any, gradients: list[Any], model: keras.Model) -> None:
        missing = [v.path for g, v in zip(gradients, model.trainable_variables, strict=True) if g is None]
        if missing:
            raise RuntimeError(f"expected a gradient for every variable of {model.name}, none for {missing}")
        gradients, _ = tf.clip_by_global_norm(gradients, GRADIENT_NORM_LIMIT)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            gradients = [gradient / replicas for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)

    def see(self, latents: np.ndarray) -> None:
        """See `GanState.see`."""
        self._see(tf.constant(latents))

    def pictures_of(self, latents: np.ndarray) -> np.ndarray:
        """See `GanState.pictures_of`."""
        pictures: np.ndarray = self._draw(tf.constant(latents, tf.float32)).numpy()
        return pictures


def _share_of(inputs: StepInputs) -> StepInputs:
    """Return this device's share of a batch that is distributed over several."""
    real_draws, fake_draws = tf.split(inputs.draws, 2)
    return inputs._replace(
        pictures=_share(inputs.pictures),
        latents=_share(inputs.latents),
        draws=tf.concat([_share(real_draws), _share(fake_draws)], axis=0),
    )


def _share(array: Any) -> Any:
    """Return this device's rows of an array."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return array
    num = tf.shape(array)[0] // context.num_replicas_in_sync
    start = context.replica_id_in_sync_group * num
    return array[start : start + num]
