"""DiffAugment (Zhao et al. 2020, arXiv:2006.10738): colour, translation and cutout, in keras.ops.

Real and generated pictures are augmented alike, so that the discriminator cannot memorise the few real ones
while the generator still receives gradients. The random numbers are passed in as `draws` (N, NUM_DRAWS) in
[0, 1): the same draws give the same pictures on every backend. Everything can be differentiated twice: shifts
are multiplications by one-hot matrices, because the second-order gradient of resampling is missing.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any

KINDS = ("colour", "translation", "cutout")
NUM_DRAWS = 10  # 3 for colour, 2 for translation, 2 for cutout, 3 to decide which of them are applied
TRANSLATION = 0.125  # largest shift, as a share of the side
CUTOUT = 0.5  # side of the hole, as a share of the picture's


def augment(
    pictures: Tensor,
    draws: Tensor,
    kinds: tuple[str, ...] = KINDS,
    probability: Tensor = 1.0,
    colour_strength: float = 1.0,
) -> Tensor:
    """Augment pictures (N, S, S, 3) in [-1, 1] by draws (N, NUM_DRAWS) in [0, 1).

    Args:
        pictures: real or generated ones.
        draws: see the module's docstring.
        kinds: which augmentations to use, of KINDS.
        probability: of applying each kind to a picture.
        colour_strength: scale of the colour changes; 1 is that of the paper.

    Raises:
        ValueError: unknown kind.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"augment: expected kinds among {KINDS}, received {sorted(unknown)}")
    happens = ops.cast(draws[:, 7:10] < probability, pictures.dtype)  # (N, 3)
    if "colour" in kinds:
        pictures = colour(pictures, draws[:, 0:3], happens[:, 0] * colour_strength)
    if "translation" in kinds:
        pictures = translation(pictures, draws[:, 3:5], happens[:, 1])
    if "cutout" in kinds:
        pictures = cutout(pictures, draws[:, 5:7], happens[:, 2])
    return pictures


def colour(pictures: Tensor, draws: Tensor, happens: Tensor) -> Tensor:
    """Change brightness by ±0.5, saturation by ×0…2 and contrast by ×0.5…1.5, in this order.

    `happens` (N,) scales the change of each picture, 0–1.
    """
    strength = [_per_picture(happens * (draws[:, i] - 0.5)) for i in range(3)]
    x = pictures + strength[0]
    grey = ops.mean(x, axis=3, keepdims=True)
    x = grey + (x - grey) * (1 + 2 * strength[1])
    mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * (1 + strength[2])


def translation(pictures: Tensor, draws: Tensor, happens: Tensor) -> Tensor:
    """Shift by up to ±TRANSLATION of the side; the uncovered area is zero (mid-grey)."""
    size = pictures.shape[1]
    reach = int(size * TRANSLATION + 0.5)
    offsets = ops.floor(draws * (2 * reach + 1)) - reach  # (N, 2) in -reach … reach
    offsets = ops.cast(offsets * happens[:, None], "int32")
    for axis, pattern in enumerate(("nij,njwc->niwc", "nij,nhjc->nhic")):
        source = ops.arange(size, dtype="int32")[None, :] + offsets[:, axis : axis + 1]  # (N, S)
        shift = ops.cast(source[:, :, None] == ops.arange(size, dtype="int32"), pictures.dtype)  # (N, S, S)
        pictures = ops.einsum(pattern, shift, pictures)
    return pictures


def cutout(pictures: Tensor, draws: Tensor, happens: Tensor) -> Tensor:
    """Cut out a square of zeros, half the side, centred anywhere in the picture."""
    size = pictures.shape[1]
    half = size * CUTOUT / 2
    position = ops.arange(size, dtype=pictures.dtype) + 0.5  # (S,)
    inside = [
        ops.cast(ops.abs(position[None, :] - draws[:, i : i + 1] * size) < half, pictures.dtype)
        for i in (0, 1)
    ]
    hole = inside[0][:, :, None] * inside[1][:, None, :]  # (N, S, S)
    return pictures * (1 - hole * happens[:, None, None])[..., None]


def _per_picture(values: Tensor) -> Tensor:
    """Reshape (N,) to (N, 1, 1, 1)."""
    return values[:, None, None, None]
