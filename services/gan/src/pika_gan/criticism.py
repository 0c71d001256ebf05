"""One pass through the discriminator on TensorFlow, with what both players and the penalties need of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pika_gan import losses


@dataclass(frozen=True, eq=False)
class Criticised:
    """The result of one pass through the discriminator.

    Attributes:
        gradients: of the discriminator's objective, for each of its variables.
        wanted: ∂(generator loss)/∂picture (N, S, S, 3), of the generated half.
        figures: scalars for the log; with r1 and r2 if there was a penalty.
    """

    gradients: list[Any]
    wanted: Any
    figures: dict[str, Any]


def criticise(discriminator: keras.Model, seen: Any, loss: str, penalty_weight: Any) -> Criticised:
    """Run the discriminator once over pictures (2N, S, S, 3) and compute what both players need.

    The first half is real. Each logit depends on its own picture alone, so the gradient of any loss with
    respect to a picture is a multiple of ∂D/∂picture. With a penalty that derivative is computed
    separately; without one it comes out of the discriminator's own backward pass and is rescaled. Losses
    of the discriminator's own layers only concern the real half.

    Args:
        discriminator: of the part that is trained.
        seen: augmented pictures.
        loss: its name in `losses`.
        penalty_weight: γ, or None for no penalty.
    """
    num = tf.shape(seen)[0] // 2
    with tf.GradientTape() as tape:
        if penalty_weight is None and loss not in losses.ONE_SIDED:
            tape.watch(seen)
            logits, input_gradients = discriminator(seen, training=True), None
        else:
            logits, input_gradients = logits_and_input_gradients(discriminator, seen)
        real_logits, fake_logits = logits[:num], logits[num:]
        adversarial = tf.reduce_mean(losses.DISCRIMINATOR[loss](real_logits, fake_logits))
        objective, penalties = tf.add_n([adversarial, *discriminator.losses]), {}
        if input_gradients is not None and penalty_weight is not None:
            norms = losses.squared_gradient_norm(input_gradients)
            penalties = {"r1": tf.reduce_mean(norms[:num]), "r2": tf.reduce_mean(norms[num:])}
            objective += 0.5 * penalty_weight * (penalties["r1"] + penalties["r2"])
    variables = discriminator.trainable_variables
    generator_loss, wish = _derivative(losses.GENERATOR[loss], real_logits, fake_logits)
    if input_gradients is None:
        gradients = tape.gradient(objective, [*variables, seen])
        _, own = _derivative(losses.DISCRIMINATOR[loss], real_logits, fake_logits)
        # Only 0 if the logits have exploded; then there is nothing to learn from them.
        factor, input_gradients = tf.math.divide_no_nan(wish, own), gradients.pop()
    else:
        gradients, factor = tape.gradient(objective, variables), wish
    return Criticised(
        gradients,
        factor[:, None, None, None] * input_gradients[num:],
        {
            "discriminator_loss": adversarial,
            "generator_loss": generator_loss,
            "real_logit": tf.reduce_mean(real_logits),
            "fake_logit": tf.reduce_mean(fake_logits),
            **penalties,
        },
    )


def logits_and_input_gradients(discriminator: keras.Model, pictures: Any) -> tuple[Any, Any]:
    """Return D's logits (N,) for pictures (N, S, S, 3) in [-1, 1] and the gradients ∂D/∂picture."""
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        logits = discriminator(pictures, training=True)
        total = tf.reduce_sum(logits)
    input_gradients = tape.gradient(total, pictures)
    if input_gradients is None:
        raise RuntimeError("gradient penalty: expected ∂D/∂picture, received None")
    return logits, input_gradients


def _derivative(loss: Any, real_logits: Any, fake_logits: Any) -> tuple[Any, Any]:
    """Return a loss's mean and its derivative with respect to each generated picture's logit (N,)."""
    with tf.GradientTape() as tape:
        tape.watch(fake_logits)
        mean = tf.reduce_mean(loss(real_logits, fake_logits))
    return mean, tape.gradient(mean, fake_logits)
