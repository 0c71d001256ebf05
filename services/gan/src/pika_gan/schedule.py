"""The inputs of a training step: rates, weights and random numbers, the same on every backend.

They depend only on the preset, the step, the completed share of the run and the decisions of `watch`, so that
a resumed run continues as if it had never stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from pika_gan.augment import NUM_DRAWS
from pika_gan.config import Preset
from pika_gan.latents import generator_for
from pika_gan.networks.upsampler import noise_size

GENTLER = 0.5
"""After each roll-back learning rates are multiplied by it, and γ is divided by it."""
_UPSAMPLER_RATE_END = 0.05
"""Final share of the upsampler's learning rate."""
_JOINT_RATE = 0.3
"""Learning rate of the upsampler from critics, as a multiple of the generator's."""

_MOST_COARSE = 0.7
"""Completed share of a run at which its coarse part ends, however few steps it had."""

Part = Literal["coarse", "full", "joint"]
"""What is trained: both networks at half size, the generator without its upsampler, or all of it."""


@dataclass(frozen=True)
class StepSettings:
    """The numbers of one step.

    Attributes:
        generator_rate, discriminator_rate, heads_rate: learning rates.
        penalty_weight: γ of R1 and R2, including the factor for skipped steps; None for no penalty.
        ema_decay: share of the average that is kept.
        augment_probability: of each kind of augmentation.
        colour_strength: scale of its colour changes.
        part: what is trained, a key of `GanState.parts`.
        with_heads: whether the projected critic takes part.
        upsampler_rate: learning rate of the upsampler from pairs; None if it learns from none at this step.
        joint_rate: learning rate of the upsampler from critics, for the part "joint".
    """

    generator_rate: float
    discriminator_rate: float
    heads_rate: float
    penalty_weight: float | None
    ema_decay: float
    augment_probability: float
    colour_strength: float
    part: Part
    with_heads: bool
    upsampler_rate: float | None
    joint_rate: float


class StepInputs(NamedTuple):
    """The inputs of a compiled step: everything that changes from step to step.

    Pictures uint8 (N, S, S, 3), latents (N, L) and draws (2N, NUM_DRAWS) float32; the others are scalars.
    """

    pictures: Any
    latents: Any
    draws: Any
    penalty_weight: Any
    ema_decay: Any
    augment_probability: Any
    colour_strength: Any


def settings_at(
    preset: Preset,
    step: int,
    fraction: float,
    *,
    is_fine: bool = False,
    gentleness: int = 0,
    augment_probability: float | None = None,
) -> StepSettings:
    """Compute the settings of a step.

    Args:
        preset: the recipe.
        step: number of completed steps.
        fraction: completed share of the run, 0 … 1; rates, γ and colour changes fall with it along a cosine.
        is_fine: whether the run has reached full size, where it stays when it gets a larger budget.
        gentleness: number of rollbacks to gentler settings.
        augment_probability: overrides the preset's.
    """
    cosine = 0.5 * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0)))  # 1 → 0
    rate = (preset.learning_rate_end + (1 - preset.learning_rate_end) * cosine) * GENTLER**gentleness
    penalty = preset.penalty_weight_end + (preset.penalty_weight - preset.penalty_weight_end) * cosine
    has_penalty = preset.penalty_weight > 0 and step % preset.penalty_every == 0
    seen = (step + 1) * preset.batch_size
    part = _part_at(preset, step, fraction, is_fine)
    half_life = min(preset.ema_half_life, seen * preset.ema_ramp)
    return StepSettings(
        generator_rate=preset.generator_learning_rate * rate,
        discriminator_rate=preset.discriminator_learning_rate * rate,
        heads_rate=preset.projected_learning_rate * rate,
        penalty_weight=penalty * preset.penalty_every / GENTLER**gentleness if has_penalty else None,
        ema_decay=0.5 ** (preset.batch_size / half_life) if preset.average else 0.0,
        augment_probability=(
            preset.augment_probability if augment_probability is None else augment_probability
        ),
        colour_strength=preset.colour_strength
        * (preset.colour_strength_end + (1 - preset.colour_strength_end) * cosine),
        part=part,
        with_heads=preset.projected_ratio > 0 and part != "coarse" and fraction >= preset.projected_from,
        upsampler_rate=(
            preset.upsampler_learning_rate * (_UPSAMPLER_RATE_END + (1 - _UPSAMPLER_RATE_END) * cosine)
            if preset.upsample_every and step % preset.upsample_every == 0
            else None
        ),
        joint_rate=preset.generator_learning_rate * rate * _JOINT_RATE,
    )


def _part_at(preset: Preset, step: int, fraction: float, is_fine: bool) -> Part:
    """Return the part to train. Within a budget no step is followed by one of an earlier part."""
    is_early = fraction < preset.coarse_share or (step < preset.coarse_steps and fraction < _MOST_COARSE)
    if is_early and not is_fine:
        return "coarse"
    return "joint" if preset.joint_from < 1 and fraction >= preset.joint_from else "full"


def inputs_of(
    pictures: np.ndarray, noise: tuple[np.ndarray, np.ndarray], settings: StepSettings
) -> StepInputs:
    """Combine a step's pictures, latents, draws and settings as float32; without a penalty γ is 0."""
    return StepInputs(
        pictures,
        *noise,
        np.float32(settings.penalty_weight or 0.0),
        np.float32(settings.ema_decay),
        np.float32(settings.augment_probability),
        np.float32(settings.colour_strength),
    )


def noise_of(
    preset: Preset, seed: int, step: int, attempt: int = 0, num: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the random numbers of one step: latents (N, latent_dim), draws (2N, NUM_DRAWS), float32.

    The first half of the draws augments real pictures, the second half generated ones. `attempt` is
    incremented after a rollback, so that the run takes another course.
    """
    random = generator_for(seed, 3, attempt, step)
    num = num or preset.batch_size
    latents = random.standard_normal((num, preset.latent_dim), np.float32)
    return latents, random.random((2 * num, NUM_DRAWS), np.float32)


def pair_noise_of(preset: Preset, seed: int, step: int, attempt: int = 0) -> np.ndarray:
    """Return the upsampler's random numbers of one step, float32 (N, noise_size), see `upsampler.noisy`."""
    random = generator_for(seed, 5, attempt, step)
    noise = random.standard_normal((preset.batch_size, noise_size(preset.resolution // 2)), np.float32)
    noise[:, 0] = random.random(preset.batch_size, np.float32)
    return noise
