"""Watch a run: overfitting steers the augmentation; collapse and divergence roll the run back.

Adaptive augmentation (Karras et al. 2020, arXiv:2006.06676, section 3): the discriminator's overfitting shows
in its logits of held-out pictures, which move from those of training pictures to those of generated ones.
"""

from __future__ import annotations

import numpy as np

from pika_gan.checkpoints import RunState
from pika_gan.config import Preset
from pika_gan.evaluate import Evaluation

NUM_SCORED = 64
"""Training pictures, and generated ones, whose logits are looked at; of held-out ones at most as many."""
WHOLE_WAY_PICTURES = 100_000
"""Shown while the augmentation's probability moves by 1. The paper takes 500,000 for runs of 25 million."""
MOST_AUGMENTED = 0.9
"""Where nearly every picture is augmented the generator begins to draw augmented ones."""
SMOOTHING = 0.8
"""What is kept of the overfitting measured before: one batch of held-out pictures says little."""
WRONG_LIMIT = 3
"""Evaluations in a row until it is called a collapse, or a divergence."""
DIVERGED_FACTOR = 3.0
"""A KID so many times the lowest so far is that of a run that falls apart."""
LEAST_KID = 0.02
"""KIDs below it are as good as the lowest: three times nothing is no divergence."""


def overfitting(trained: np.ndarray, held_out: np.ndarray, drawn: np.ndarray) -> float:
    """Return r_v of the paper, computed from the logits of each set.

    0 if held-out pictures are judged like training pictures, 1 if they are judged like drawn ones.
    """
    span = float(trained.mean() - drawn.mean())
    return 0.0 if span <= 0 else float(np.clip((trained.mean() - held_out.mean()) / span, 0.0, 1.0))


def steer(preset: Preset, state: RunState, measured: float, num_pictures: int) -> None:
    """Adapt the augmentation's probability so that overfitting approaches the preset's `augment_target`.

    It never falls below the preset's own value: early in a run nothing overfits, and less augmentation then
    made the figures worse.

    Args:
        preset: the recipe.
        state: of the run; its probability is changed.
        measured: the overfitting that was just measured.
        num_pictures: how many were shown since the last call.
    """
    if preset.augment_target is None:
        return
    before = measured if state.overfitting is None else state.overfitting
    state.overfitting = SMOOTHING * before + (1 - SMOOTHING) * measured
    probability = probability_of(preset, state)
    move = num_pictures / WHOLE_WAY_PICTURES
    probability += move if state.overfitting > preset.augment_target else -move
    state.augment_probability = float(np.clip(probability, preset.augment_probability, MOST_AUGMENTED))


def probability_of(preset: Preset, state: RunState) -> float:
    """Return the current probability of each kind of augmentation."""
    steered = state.augment_probability
    return preset.augment_probability if steered is None else steered


def judge(state: RunState, evaluation: Evaluation) -> str | None:
    """Return what has gone wrong, once WRONG_LIMIT evaluations in a row have shown it; otherwise None."""
    best = state.best_kid
    diverges = best is not None and evaluation.kid > DIVERGED_FACTOR * max(best, LEAST_KID)
    state.collapsed_evaluations = state.collapsed_evaluations + 1 if evaluation.collapsed else 0
    state.diverged_evaluations = state.diverged_evaluations + 1 if diverges else 0
    if state.collapsed_evaluations == WRONG_LIMIT:
        return (
            f"collapse at step {state.step}: its pictures differ only {evaluation.diversity:.2f} times "
            "as much as the training pictures do"
        )
    if state.diverged_evaluations == WRONG_LIMIT:
        return (
            f"divergence at step {state.step}: KID × 1000 is {1000 * evaluation.kid:.0f}, after "
            f"{1000 * (best or 0):.0f} at step {state.best_step}"
        )
    return None
