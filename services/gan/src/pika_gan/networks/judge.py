"""The judge: a frozen network that scores pictures, and accepts those that are good enough.

The critics that trained a generator cannot do that: it has learned what they look for. The judge looks
through another network and is fitted to the real pictures after the run (`judge`). Its score says how near a
picture is, place by place, to the most similar real ones, as in `likeness`, but in a deeper map. Usual
pictures are good ones: a fault takes a picture away from all of them. Good enough is what scores no less than
some of the real pictures do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pika_eyes.lite import LITE1, build_lite
from pika_gan.networks.projected import Interpolation

_SIDE = 192
_STAGE = "stage6"  # its map is 6×6
NEAREST_SHARE = 0.15
"""Share of the real pictures that are "the most similar ones": more than there are of any rare kind."""


@dataclass(frozen=True, eq=False)
class Judge:
    """What a judge has learned; arrays are float32.

    Attributes:
        mean, deviation: of real pictures' features at places, (C,).
        references: unit vectors (R, P · C): standardised features of real pictures and of mirrored ones.
        threshold: the lowest score that is accepted, ().
    """

    mean: np.ndarray
    deviation: np.ndarray
    references: np.ndarray
    threshold: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, for a file."""
        return {name: np.asarray(array, np.float32) for name, array in asdict(self).items()}

    def scores(self, places: Any) -> Any:
        """Map features at places (N, P, C) to scores (N,), mean cosines."""
        return mean_of_nearest(ops.matmul(self.directions(places), ops.transpose(self.references)))

    def directions(self, places: Any) -> Any:
        """Standardise features at places (N, P, C) and return their unit vectors (N, P · C)."""
        rows = (places - self.mean) / self.deviation
        rows = ops.reshape(rows, (-1, rows.shape[1] * rows.shape[2]))
        lengths = ops.sqrt(ops.sum(ops.square(rows), axis=1, keepdims=True))
        return rows / ops.maximum(lengths, 1e-6)


def mean_of_nearest(cosines: Any) -> Any:
    """Map cosines (N, R) with all references to the mean of the highest NEAREST_SHARE of them, (N,)."""
    nearest, _ = ops.top_k(cosines, max(1, round(NEAREST_SHARE * cosines.shape[1])))
    return ops.mean(nearest, axis=1)


def build_features(resolution: int) -> keras.Model:
    """Build the frozen part: pictures (N, S, S, 3) float32 in [-1, 1] → features at places (N, P, C)."""
    pictures = keras.Input((resolution, resolution, 3), dtype="float32", name="pictures")
    x = Interpolation(_SIDE, dtype="float32")(pictures)
    x = layers.Rescaling(127.5 / 128, 0.5 / 128, dtype="float32")(x)  # as `pika_eyes.lite.normalise`
    (stage,) = build_lite(LITE1, _SIDE, (_STAGE,))(x)
    places = layers.Reshape((-1, stage.shape[-1]))(stage)
    return keras.Model(pictures, places, name="judge_features")


def build_judge(judge: Judge, features: keras.Model) -> keras.Model:
    """Build the whole judge: pictures (N, S, S, 3) float32 in [-1, 1] → scores (N,), accepted bool (N,).

    Scores are high for good pictures.
    """
    scores = _Scores(judge, dtype="float32")(features.output)
    return keras.Model(features.input, [scores, scores >= float(judge.threshold)], name="judge")


class _Scores(layers.Layer):
    """The judge's scores of features."""

    def __init__(self, judge: Judge, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.judge = Judge(**judge.arrays())

    def call(self, places: Any) -> Any:
        """(N, P, C) → (N,)."""
        return self.judge.scores(places)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None]:
        """Return (N,)."""
        return (shape[0],)
