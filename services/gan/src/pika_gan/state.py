"""The networks of a run, their optimisers and the generator's average: everything a checkpoint holds.

`step_tensorflow` and `step_jax` add a training step for their backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from pika_gan import augment
from pika_gan.config import Preset
from pika_gan.latents import from_uint8, generator_for, to_uint8
from pika_gan.networks import base_of, build_discriminator, build_generator, coarse_parts, projected
from pika_gan.networks.fastgan import BATCH_NORM_MOMENTUM
from pika_gan.outputs import BATCHES_AT_ONCE
from pika_gan.schedule import Part, StepInputs, inputs_of, noise_of, pair_noise_of, settings_at
from pika_kit.threads import in_threads

# Far above the norms of a sound run: only keeps one extreme batch from spoiling Adam's moments.
GRADIENT_NORM_LIMIT = 1e3
DRAWN_AT_ONCE = 64
COUNTED_AT_ONCE = 64


class GanState(ABC):
    """Generator, discriminator, optimisers, and `ema`, the averaged float32 copy that is shown and exported.

    Attributes:
        parts: "full", with a coarse share "coarse", and with a joint one "joint": what draws, and the
            discriminator of that size.
        trained: for each part, what the generator's gradient trains, with its optimisers.
        eyes, heads: the frozen and trained parts of the projected critic, or None.
        upsampler: the generator's part that draws the details, or None.
        is_fine: whether the run has reached full size.
    """

    def __init__(self, preset: Preset, seed: int = 0) -> None:
        self.preset = preset = preset.resolved()
        self.seed = seed
        keras.utils.set_random_seed(seed)
        self.generator = build_generator(preset)
        self.discriminator = build_discriminator(preset)
        self.ema = build_generator(preset, precision="float32")
        for average, weight in self.ema_pairs():
            average.assign(weight)
        base = base_of(self.generator)
        self.parts = {"full": (base, self.discriminator)}
        if preset.coarse_share:
            self.parts["coarse"] = coarse_parts(base, self.discriminator)
        self.is_fine = keras.Variable(not preset.coarse_share, trainable=False, dtype="bool")
        betas = {"beta_1": preset.adam_beta_1, "beta_2": preset.adam_beta_2}
        self.generator_optimizer = keras.optimizers.Adam(preset.generator_learning_rate, **betas)
        self.discriminator_optimizer = keras.optimizers.Adam(preset.discriminator_learning_rate, **betas)
        self.eyes: Any = None
        self.heads: Any = None
        if preset.projected_ratio or preset.upsample_every:
            self.eyes = projected.build_eyes(preset)
        if preset.projected_ratio:
            self.heads = projected.build_heads(self.eyes)
            self.heads_optimizer = keras.optimizers.Adam(preset.projected_learning_rate, **betas)
            self.heads_optimizer.build(self.heads.trainable_variables)
        self.upsampler: Any = None
        if preset.upsample_every:
            self.upsampler = self.generator.get_layer("upsampler")
            self.upsampler_optimizer = keras.optimizers.Adam(preset.upsampler_learning_rate, beta_1=0.5)
            self.upsampler_optimizer.build(self.upsampler.trainable_variables)
        self.trained: dict[str, list[tuple[keras.Model, Any]]] = {
            part: [(drawing, self.generator_optimizer)] for part, (drawing, _) in self.parts.items()
        }
        if preset.joint_from < 1:
            # Another optimiser than for pairs: Adam's moments are those of one loss.
            self.joint_optimizer = keras.optimizers.Adam(preset.generator_learning_rate, **betas)
            self.joint_optimizer.build(self.upsampler.trainable_variables)
            self.parts["joint"] = (self.generator, self.discriminator)
            self.trained["joint"] = [
                (base, self.generator_optimizer),
                (self.upsampler, self.joint_optimizer),
            ]
        self.generator_optimizer.build(base.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(
        self,
        pictures: np.ndarray,
        step: int,
        fraction: float,
        attempt: int = 0,
        *,
        gentleness: int = 0,
        augment_probability: float | None = None,
    ) -> dict[str, Any]:
        """Update both networks and the average once.

        Args:
            pictures: uint8 (N, S, S, 3), real.
            step, fraction, gentleness, augment_probability: see `schedule.settings_at`.
            attempt: incremented after a rollback, so that the run takes another course.

        Returns:
            Scalars as tensors: the losses, the penalties, the mean logits.
        """
        is_fine = bool(ops.convert_to_numpy(self.is_fine))
        settings = settings_at(
            self.preset,
            step,
            fraction,
            is_fine=is_fine,
            gentleness=gentleness,
            augment_probability=augment_probability,
        )
        if settings.part != "coarse" and not is_fine:
            self._begin_full_size()
        self.generator_optimizer.learning_rate.assign(settings.generator_rate)
        self.discriminator_optimizer.learning_rate.assign(settings.discriminator_rate)
        if self.heads is not None:
            self.heads_optimizer.learning_rate.assign(settings.heads_rate)
        if settings.part == "joint":
            self.joint_optimizer.learning_rate.assign(settings.joint_rate)
        noise = noise_of(self.preset, self.seed, step, attempt, len(pictures))
        figures = {}
        if settings.upsampler_rate is not None:
            self.upsampler_optimizer.learning_rate.assign(settings.upsampler_rate)
            figures["pair_loss"] = self.learn_pairs(
                pictures, pair_noise_of(self.preset, self.seed, step, attempt)
            )
        return figures | self.update(
            inputs_of(pictures, noise, settings),
            part=settings.part,
            with_penalty=settings.penalty_weight is not None,
            with_heads=settings.with_heads,
        )

    @abstractmethod
    def update(
        self, inputs: StepInputs, *, part: Part, with_penalty: bool, with_heads: bool
    ) -> dict[str, Any]:
        """Run the step itself for a part, with or without penalty and projected critic."""

    @abstractmethod
    def learn_pairs(self, pictures: np.ndarray, noise: np.ndarray) -> Any:
        """Update the upsampler once on real pictures uint8 (N, S, S, 3), and return its loss.

        `noise`: see `upsampler.noisy`.
        """

    def augmented(self, pictures: Any, draws: Any, inputs: StepInputs) -> Any:
        """Augment pictures by the preset's recipe."""
        return augment.augment(
            pictures, draws, self.preset.augment, inputs.augment_probability, inputs.colour_strength
        )

    def _begin_full_size(self) -> None:
        """Restart Adam's count, so that the new weights' moments are corrected for their short history.

        The first updates of all other weights are smaller as a result.
        """
        self.is_fine.assign(True)
        self.generator_optimizer.iterations.assign(0)
        self.discriminator_optimizer.iterations.assign(0)

    def count_statistics(self, num_batches: int = 20) -> None:
        """Recompute the averaged generator's batch-normalisation statistics from latents of their own.

        Until then they are averages of the statistics of the generator at each step, which is another
        network. Nothing of them remains: counting starts from zero, and what is missing to a whole average
        after so many batches is made up for, as in Adam. Without an average there is nothing to recompute.
        """
        if not self.preset.average:
            return
        statistics = base_of(self.ema).non_trainable_variables
        for statistic in statistics:
            statistic.assign(np.zeros(statistic.shape, np.float32))
        random = generator_for(self.seed, 4)
        shape = (max(COUNTED_AT_ONCE, self.preset.batch_size), self.preset.latent_dim)
        for _ in range(num_batches):
            self.see(random.standard_normal(shape, np.float32))
        for statistic in statistics:
            statistic.assign(statistic.value / (1 - BATCH_NORM_MOMENTUM**num_batches))

    @abstractmethod
    def see(self, latents: np.ndarray) -> None:
        """Run the average's base in training mode, to update its statistics; an upsampler has none."""

    @abstractmethod
    def pictures_of(self, latents: np.ndarray) -> np.ndarray:
        """Draw with the average: float32 (N, S, S, 3) in [-1, 1]."""

    def draw(self, latents: np.ndarray, batch_size: int = DRAWN_AT_ONCE) -> np.ndarray:
        """Draw with the averaged generator: latents (N, latent_dim) → uint8 (N, S, S, 3)."""

        def drawn(start: int) -> np.ndarray:
            return to_uint8(self.pictures_of(latents[start : start + batch_size]))

        starts = range(0, len(latents), batch_size)
        return np.concatenate([pictures for _, pictures in in_threads(drawn, starts, BATCHES_AT_ONCE)])

    def score(self, pictures: np.ndarray) -> np.ndarray:
        """Return D's logits (N,) for uint8 (N, S, S, 3), not augmented; shows how far it has overfitted."""
        starts = range(0, len(pictures), DRAWN_AT_ONCE)
        parts = [from_uint8(pictures[i : i + DRAWN_AT_ONCE]) for i in starts]
        return np.concatenate(
            [ops.convert_to_numpy(self.discriminator(part, training=False)) for part in parts]
        )

    def ema_pairs(self) -> list[tuple[Any, Any]]:
        """Return (average, weight) for all weights, including batch-normalisation statistics."""
        return list(zip(self.ema.weights, self.generator.weights, strict=True))

    def variables(self) -> dict[str, Any]:
        """Return every variable of a checkpoint by a name that does not depend on Keras's counters."""
        parts = {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "ema": self.ema.variables,
            "generator_optimizer": self.generator_optimizer.variables,
            "discriminator_optimizer": self.discriminator_optimizer.variables,
        }
        if self.preset.coarse_share:
            parts["is_fine"] = [self.is_fine]
        if self.heads is not None:
            parts["heads"] = self.heads.variables
            parts["heads_optimizer"] = self.heads_optimizer.variables
        if self.upsampler is not None:
            parts["upsampler_optimizer"] = self.upsampler_optimizer.variables
        if self.preset.joint_from < 1:
            parts["joint_optimizer"] = self.joint_optimizer.variables
        return {f"{part}/{i:04d}": v for part, variables in parts.items() for i, v in enumerate(variables)}

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of all variables."""
        return {name: np.array(ops.convert_to_numpy(v)) for name, v in self.variables().items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned. Raises ValueError for another network's names or shapes."""
        variables = self.variables()
        if set(variables) != set(state):
            raise ValueError(f"checkpoint: expected {len(variables)} arrays, received {len(state)}")
        for name, variable in variables.items():
            if tuple(variable.shape) != state[name].shape:
                raise ValueError(
                    f"checkpoint, {name}: expected {tuple(variable.shape)}, received {state[name].shape}"
                )
            variable.assign(state[name])
