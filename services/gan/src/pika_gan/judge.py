"""Fit a judge to a finished generator (see `networks.judge`), and keep it in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from keras import ops

from pika_eyes.heads import fit_logistic
from pika_gan.data import Dataset
from pika_gan.networks.judge import CLIP, Judge, build_features
from pika_gan.outputs import outputs_of

FILE = "judge.npz"
_PENALTY = 1000.0
"""Of the logistic regression: with a hundredth of it its choice was no better, with ten times less varied."""
_MOST_REAL = 256
_MOST_POSED = 512


def fit(dataset: Dataset, drawn: np.ndarray) -> Judge:
    """Fit to a run's pictures and to pictures drawn by its generator, uint8 (N, S, S, 3).

    Pictures to choose among must be other ones than `drawn`.
    """
    real = _some(dataset.train, _MOST_REAL)
    features = build_features(dataset.size)
    upright, mirrored, posed, fake = (
        features_of(features, pictures)
        for pictures in (real, real[:, :, ::-1], _some(dataset.shown, _MOST_POSED), drawn)
    )
    pooled_real = np.concatenate([pooled for pooled, _ in (upright, mirrored, posed)])
    both = np.concatenate([pooled_real, fake[0]])
    mean, deviation = both.mean(axis=0), both.std(axis=0) + 1e-3
    rows = np.clip((both - mean) / deviation, -CLIP, CLIP)
    head = fit_logistic(rows.astype(np.float64), np.arange(len(rows)) < len(pooled_real), _PENALTY)
    judge = Judge(
        mean,
        deviation,
        head.weights,
        np.array(head.bias),
        upright[1].mean(axis=(0, 1)),
        upright[1].std(axis=(0, 1)) + 1e-3,
        references=np.zeros(0),
        score_mean=np.zeros(2),
        score_deviation=np.ones(2),
    )
    places = np.concatenate([upright[1], mirrored[1]])
    judge = replace(judge, references=ops.convert_to_numpy(judge.directions(places)))
    scores = ops.convert_to_numpy(judge.both_scores(*fake))
    return replace(judge, score_mean=scores.mean(axis=0), score_deviation=scores.std(axis=0) + 1e-6)


def features_of(features: keras.Model, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute both kinds of features of pictures uint8 (N, S, S, 3)."""
    pooled, places = outputs_of(features, pictures)
    return pooled, places


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


def _some(pictures: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` pictures, evenly spread."""
    return pictures[:: -(-len(pictures) // most)]
