"""Checkpoints: one npz file with every array and the state as JSON; whole or absent, the last few kept."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STATE_KEY = "state_json"
PATTERN = "step-*.npz"


@dataclass
class RunState:
    """What a run has to remember beside its arrays. `seconds` is the training time of all sittings
    together.
    """

    step: int = 0
    seconds: float = 0.0
    attempt: int = 0  # raised with each roll-back
    best_step: int | None = None
    best_kid: float | None = None
    best_score: float | None = None  # of what the preset keeps the lowest of
    discriminator_loss: float | None = None  # the mean that was logged last
    collapsed_evaluations: int = 0  # in a row
    diverged_evaluations: int = 0  # in a row
    gentleness: int = 0  # how often the run went back to gentler settings
    overfitting: float | None = None  # smoothed, see `watch`
    augment_probability: float | None = None  # steered; None for the preset's
    good_step: int | None = None  # of the last checkpoint whose pictures were measured and sound


def save(path: Path, arrays: dict[str, np.ndarray], state: RunState) -> None:
    """Writes beside the target, then renames: a reader sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    payload: dict[str, Any] = {**arrays, STATE_KEY: np.array(json.dumps(dataclasses.asdict(state)))}
    with partial.open("wb") as file:
        np.savez(file, **payload)
    partial.replace(path)


def load(path: Path) -> tuple[dict[str, np.ndarray], RunState]:
    """The arrays and the state of a checkpoint."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != STATE_KEY}
        told = json.loads(str(file[STATE_KEY]))
    known = {field.name for field in dataclasses.fields(RunState)}  # an earlier release told more
    return arrays, RunState(**{name: value for name, value in told.items() if name in known})


def is_finite(arrays: dict[str, np.ndarray]) -> bool:
    """Whether every number of every array is."""
    return all(bool(np.isfinite(array).all()) for array in arrays.values() if array.dtype.kind == "f")


def latest(folder: Path) -> tuple[dict[str, np.ndarray], RunState] | None:
    """The newest checkpoint of `folder` that can be read, or None. A damaged one is passed over."""
    for path in sorted(folder.glob(PATTERN), reverse=True):
        try:
            return load(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            continue
    return None


def prune(folder: Path, keep: int, good_step: int | None = None) -> None:
    """Deletes all but the `keep` newest checkpoints and that of `good_step`."""
    for path in sorted(folder.glob(PATTERN))[:-keep]:
        if good_step is None or path != path_of(folder, good_step):
            path.unlink(missing_ok=True)


def forget_after(folder: Path, step: int) -> None:
    """Deletes the checkpoints of later steps, of a run that has gone back to `step`."""
    for path in folder.glob(PATTERN):
        if path.name > path_of(folder, step).name:
            path.unlink(missing_ok=True)


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of `step` lies; names sort by step."""
    return folder / f"step-{step:08d}.npz"
