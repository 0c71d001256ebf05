"""A generator's model card, and what keeps it from being served."""

from __future__ import annotations

import importlib.metadata
import math
from typing import Any

from pika_gan.candidates import CANDIDATES
from pika_gan.config import Preset
from pika_gan.data import Dataset
from pika_gan.serving import FILES
from pika_gan.train import TrainingResult
from pika_kit.datasets import Manifest

MOST_COPIES = 0.5
"""With a larger share of near copies of training pictures a generator is not served automatically."""


def card_of(
    preset: Preset, dataset: Dataset, result: TrainingResult, chosen: Manifest | None
) -> dict[str, Any]:
    """Build a card from a run's recipe, pictures and result, as JSON-able data.

    Args:
        preset: the recipe.
        dataset: the pictures of the run.
        result: of `train.train`.
        chosen: the data set that was asked for; None for the whole bucket.
    """
    manifest = dataset.manifest()
    kept = ("sha256", "num_train", "num_held_out", "num_shown", "size", "pictures")
    return {
        "preset": preset.to_json(),
        "resolution": preset.resolution,
        "latent_dim": preset.latent_dim,
        "steps": result.state.step,
        "chosen_step": result.state.best_step,
        "minutes": round(result.state.seconds / 60, 2),
        "data": {
            **{key: manifest[key] for key in kept},
            "dataset": chosen.summary() if chosen else None,
        },
        "evaluation": result.evaluation.to_json(),
        "critic": None
        if result.of_preferred is None
        else {"candidates": CANDIDATES, "evaluation": result.of_preferred.to_json()},
        "warnings": list(result.warnings),
        "files": FILES,
        "nearest_ids": list(result.nearest_ids),
        "versions": {name: _version(name) for name in ("pika-gan", "tensorflow-cpu", "keras", "numpy")},
    }


def faults_of(preset: Preset, result: TrainingResult) -> list[str]:
    """Return why a generator should not be served."""
    measured, faults = result.evaluation, []
    if not math.isfinite(measured.kid):
        faults.append("its pictures are not finite")
    if measured.collapsed:
        faults.append(f"its pictures are alike: {measured.diversity:.2f} of the training pictures' diversity")
    if measured.near_copy_rate > MOST_COPIES:
        faults.append(f"it has learned by heart: {measured.near_copy_rate:.0%} are near copies")
    if result.state.step < preset.minimum_steps:
        faults.append(f"it was trained for {result.state.step} steps, of {preset.minimum_steps} at least")
    return faults


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
