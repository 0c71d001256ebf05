"""Fit a judge to the pictures of a run (see `networks.judge`), and keep it in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from keras import ops

from pika_gan.data import Dataset
from pika_gan.networks.judge import Judge, build_features, mean_of_nearest
from pika_gan.outputs import outputs_of

FILE = "judge.npz"
_MOST_REAL = 256
_REJECTED_SHARE = 0.4
"""Share of the real pictures that would not be accepted among the others.

Of the pictures of two generators from photographs half are accepted then; below, more that are torn are."""


def fit(dataset: Dataset) -> Judge:
    """Fit to a run's training pictures."""
    few = -(-len(dataset.train) // _MOST_REAL)
    real = dataset.train[::few]
    features = build_features(dataset.size)
    upright, mirrored = (outputs_of(features, pictures)[0] for pictures in (real, real[:, :, ::-1]))
    mean, deviation = upright.mean(axis=(0, 1)), upright.std(axis=(0, 1)) + 1e-3
    judge = Judge(mean, deviation, references=np.zeros(0), threshold=np.zeros(()))
    references = ops.convert_to_numpy(judge.directions(np.concatenate([upright, mirrored])))
    return replace(judge, references=references, threshold=_threshold(references))


def _threshold(references: np.ndarray) -> np.ndarray:
    """Return the score that _REJECTED_SHARE of the real pictures have not among the others.

    Args:
        references: unit vectors of the real pictures and, in the same order, of the mirrored ones.
    """
    num = len(references) // 2
    rows = np.arange(num)
    cosines = references[:num] @ references.T
    cosines[rows, rows] = cosines[rows, rows + num] = -1.0  # a picture would be nearest to itself
    scores = ops.convert_to_numpy(mean_of_nearest(cosines))
    return np.quantile(scores, _REJECTED_SHARE)


def judged_by(judge: keras.Model, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a built judge says of pictures uint8 (N, S, S, 3): scores (N,) and accepted bool (N,)."""
    scores, accepted = outputs_of(judge, pictures)
    return scores, accepted


def save(judge: Judge, folder: Path) -> None:
    """Write the judge into a run's folder, atomically."""
    partial = folder / f"{FILE}.partial.npz"
    np.savez(partial, **judge.arrays())  # type: ignore[arg-type]
    partial.replace(folder / FILE)


def load(folder: Path) -> Judge | None:
    """Read a run's judge; None if it has none."""
    path = folder / FILE
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return Judge(**arrays)
