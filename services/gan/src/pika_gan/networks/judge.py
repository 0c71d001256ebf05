"""The judge: a frozen network with two scores, by which the best of several candidates is chosen.

The critics that trained a generator cannot do that: it has learned what they look for. The judge looks
through another network, and is fitted after the run, to pictures of the finished generator (`judge`). It adds

- what a logistic regression on pooled features says, real or drawn, as in discriminator rejection sampling
  (Azadi et al. 2019, arXiv:1810.06758). Alone it also likes fragments: they lie beyond real pictures.
- how near the picture is to the most similar real ones, place by place, as in `likeness`, but in a deeper
  map. This is what agrees with the eye; alone it prefers a few usual poses.

Both are standardised over drawn pictures, and the first counts less.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pika_eyes.lite import LITE1, build_lite
from pika_gan.networks.projected import Interpolation

_SIDE = 128
_STAGE = "stage6"  # its map is 4×4
CLIP = 5.0  # standard deviations
NUM_NEAREST = 5
REGRESSION_WEIGHT = 0.3
"""Of the first score. With 1, its choice agreed less with the eye (docs/decisions/0018)."""


@dataclass(frozen=True, eq=False)
class Judge:
    """What a judge has learned; arrays are float32.

    Attributes:
        mean, deviation: of pooled features (F,).
        weights, offset: of the logistic regression on standardised features, (F,) and ().
        place_mean, place_deviation: of the features at places (C,).
        references: unit vectors (R, P · C), standardised places of real pictures and of their mirror images.
        score_mean, score_deviation: of both scores of drawn pictures, (2,).
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    place_mean: np.ndarray
    place_deviation: np.ndarray
    references: np.ndarray
    score_mean: np.ndarray
    score_deviation: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, for a file."""
        return {name: np.asarray(array, np.float32) for name, array in asdict(self).items()}

    def both_scores(self, pooled: Any, places: Any) -> Any:
        """Map features (N, F) and (N, P, C) to the two scores, (N, 2), not yet standardised."""
        known = self.arrays()
        rows = ops.clip((pooled - known["mean"]) / known["deviation"], -CLIP, CLIP)
        logits = ops.matmul(rows, known["weights"][:, None])[:, 0] + known["offset"]
        cosines = ops.matmul(self.directions(places), known["references"].T)
        nearest, _ = ops.top_k(cosines, min(NUM_NEAREST, cosines.shape[1]))
        return ops.stack([logits, ops.mean(nearest, axis=1)], axis=1)

    def directions(self, places: Any) -> Any:
        """Standardise places (N, P, C) and return their unit vectors (N, P · C)."""
        rows = (places - self.place_mean) / self.place_deviation
        rows = ops.reshape(rows, (-1, rows.shape[1] * rows.shape[2]))
        lengths = ops.sqrt(ops.sum(ops.square(rows), axis=1, keepdims=True))
        return rows / ops.maximum(lengths, 1e-6)


def build_features(resolution: int) -> keras.Model:
    """Build the frozen part: pictures (N, S, S, 3) float32 in [-1, 1] → pooled (N, F) and places (N, P, C).

    Pooled features are square roots, as in `spaces`.
    """
    pictures = keras.Input((resolution, resolution, 3), dtype="float32", name="pictures")
    x = Interpolation(_SIDE, dtype="float32")(pictures)
    x = layers.Rescaling(127.5 / 128, 0.5 / 128, dtype="float32")(x)  # as `pika_eyes.lite.normalise`
    stage, head = build_lite(LITE1, _SIDE, (_STAGE, "head"))(x)
    pooled = ops.sqrt(ops.relu(ops.mean(head, axis=(1, 2))))
    places = layers.Reshape((-1, stage.shape[-1]))(stage)
    return keras.Model(pictures, [pooled, places], name="judge_features")


def build_judge(judge: Judge, features: keras.Model) -> keras.Model:
    """Build the whole judge: pictures (N, S, S, 3) float32 in [-1, 1] → scores (N,), high for good ones."""
    scores = _Scores(judge, dtype="float32")(features.outputs)
    return keras.Model(features.input, scores, name="judge")


class _Scores(layers.Layer):
    """The weighted sum of both standardised scores."""

    def __init__(self, judge: Judge, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.judge = judge

    def call(self, features: list[Any]) -> Any:
        """(N, F) and (N, P, C) → (N,)."""
        known = self.judge.arrays()
        scores = self.judge.both_scores(*features)
        scores = (scores - known["score_mean"]) / known["score_deviation"]
        return REGRESSION_WEIGHT * scores[:, 0] + scores[:, 1]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None]:
        """Return (N,)."""
        return (shapes[0][0],)
