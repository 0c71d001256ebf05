"""Watching a run: overfitting steers the augmentation, collapse and divergence send the run back.

Adaptive augmentation (Karras et al. 2020, arXiv:2006.06676, section 3): how far the discriminator has learned
the training pictures by heart is told by where its logits put held-out ones, between trained and generated.
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
    """r_v of the paper, from logits of each.

    0 where held-out pictures are judged as trained ones are, 1 where they are judged as drawn ones are.
    """
    span = float(trained.mean() - drawn.mean())
    return 0.0 if span <= 0 else float(np.clip((trained.mean() - held_out.mean()) / span, 0.0, 1.0))


def steer(preset: Preset, state: RunState, found: float, num_pictures: int) -> None:
    """Moves the augmentation's probability so that overfitting comes to the preset's `augment_target`.

    It never falls below the preset's own: early in a run nothing overfits, and less augmentation then made
    worse figures.

    Args:
        found: the overfitting measured just now.
        num_pictures: how many were shown since the last time.
    """
    if preset.augment_target is None:
        return
    before = found if state.overfitting is None else state.overfitting
    state.overfitting = SMOOTHING * before + (1 - SMOOTHING) * found
    probability = probability_of(preset, state)
    move = num_pictures / WHOLE_WAY_PICTURES
    probability += move if state.overfitting > preset.augment_target else -move
    state.augment_probability = float(np.clip(probability, preset.augment_probability, MOST_AUGMENTED))


def probability_of(preset: Preset, state: RunState) -> float:
    """That of each kind of augmentation, as it stands."""
    steered = state.augment_probability
    return preset.augment_probability if steered is None else steered


def judge(state: RunState, evaluation: Evaluation) -> str | None:
    """What has gone wrong, said once, when WRONG_LIMIT evaluations in a row have shown it; None otherwise."""
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
