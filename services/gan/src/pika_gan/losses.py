"""Adversarial losses and gradient penalties, in keras.ops.

RpGAN (Jolicoeur-Martineau 2018) with R1 and R2 is the pair that converges locally according to Huang et al.
2024 (R3GAN, arXiv:2501.05441); the non-saturating loss is the article's; hinge is FastGAN's. Every loss maps
logits (N,) to values (N,); the training step averages them.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def rpgan_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """softplus(-(D(x) - D(G(z)))): a real picture should score above the generated one it is paired with."""
    return ops.softplus(fake_logits - real_logits)


def rpgan_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The same pairs with exchanged roles."""
    return ops.softplus(real_logits - fake_logits)


def non_saturating_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Mean of the binary cross-entropies of real → 1 and generated → 0."""
    return 0.5 * (ops.softplus(-real_logits) + ops.softplus(fake_logits))


def non_saturating_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:  # noqa: ARG001 - same signature as the pair
    """Non-saturating: generated → 1."""
    return ops.softplus(-fake_logits)


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))) (Lim and Ye 2017, arXiv:1705.02894)."""
    return ops.relu(1 - real_logits) + ops.relu(1 + fake_logits)


def hinge_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:  # noqa: ARG001 - same signature as the pair
    """−D(G(z)), which has no minimum."""
    return -fake_logits


DISCRIMINATOR = {
    "rpgan": rpgan_discriminator,
    "non_saturating": non_saturating_discriminator,
    "hinge": hinge_discriminator,
}
GENERATOR = {"rpgan": rpgan_generator, "non_saturating": non_saturating_generator, "hinge": hinge_generator}
ONE_SIDED = ("hinge",)
"""Losses whose derivative by a generated picture's logit may be 0 while the generator's is not: the one's
gradient cannot be had from the other's."""


def squared_gradient_norm(gradients: Tensor) -> Tensor:
    """Return ‖∂D/∂picture‖² of each picture: (N, H, W, C) → (N,), in float32."""
    return ops.sum(ops.square(ops.cast(gradients, "float32")), axis=(1, 2, 3))
