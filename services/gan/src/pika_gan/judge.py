"""Fit a judge to the pictures of a run (see `networks.judge`), and keep it in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from keras import ops

from pika_gan.data import Dataset
from pika_gan.networks.judge import Judge, build_features
from pika_gan.outputs import outputs_of

FILE = "judge.npz"
_MOST_REAL = 256


def fit(dataset: Dataset) -> Judge:
    """Fit to a run's training pictures."""
    few = -(-len(dataset.train) // _MOST_REAL)
    real = dataset.train[::few]
    features = build_features(dataset.size)
    upright, mirrored = (outputs_of(features, pictures)[0] for pictures in (real, real[:, :, ::-1]))
    mean, deviation = upright.mean(axis=(0, 1)), upright.std(axis=(0, 1)) + 1e-3
    judge = Judge(mean, deviation, references=np.zeros(0))
    references = judge.directions(np.concatenate([upright, mirrored]))
    return replace(judge, references=ops.convert_to_numpy(references))


def scores_of(judge: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Return the scores (N,) of a built judge for pictures uint8 (N, S, S, 3)."""
    return outputs_of(judge, pictures)[0]


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
