"""Checkpoints: one npz file with every array and the state as JSON; atomic, the last few are kept."""

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
    """What a run must remember besides its arrays. `seconds` is the total training time."""

    step: int = 0
    seconds: float = 0.0
    attempt: int = 0  # incremented at each rollback
    best_step: int | None = None
    best_kid: float | None = None
    best_score: float | None = None  # lowest value so far of the preset's `keep` criterion
    discriminator_loss: float | None = None  # the last logged mean
    collapsed_evaluations: int = 0  # consecutive
    diverged_evaluations: int = 0  # consecutive
    gentleness: int = 0  # number of rollbacks to gentler settings
    overfitting: float | None = None  # smoothed, see `watch`
    augment_probability: float | None = None  # as steered; None for the preset's value
    good_step: int | None = None  # the last checkpoint whose pictures were measured and sound
    measured_step: int | None = None  # whose pictures were measured last


def save(path: Path, arrays: dict[str, np.ndarray], state: RunState) -> None:
    """Write to a temporary file and rename it: readers see a complete file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    payload: dict[str, Any] = {**arrays, STATE_KEY: np.array(json.dumps(dataclasses.asdict(state)))}
    with partial.open("wb") as file:
        np.savez(file, **payload)
    partial.replace(path)


def load(path: Path) -> tuple[dict[str, np.ndarray], RunState]:
    """Read a checkpoint's arrays and state."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != STATE_KEY}
        told = json.loads(str(file[STATE_KEY]))
    known = {field.name for field in dataclasses.fields(RunState)}  # earlier releases stored more fields
    return arrays, RunState(**{name: value for name, value in told.items() if name in known})


def is_finite(arrays: dict[str, np.ndarray]) -> bool:
    """Return whether every number of every array is finite."""
    return all(bool(np.isfinite(array).all()) for array in arrays.values() if array.dtype.kind == "f")


def latest(folder: Path) -> tuple[dict[str, np.ndarray], RunState] | None:
    """Return the newest readable checkpoint of `folder`, or None; damaged ones are skipped."""
    for path in sorted(folder.glob(PATTERN), reverse=True):
        try:
            return load(path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            continue
    return None


def prune(folder: Path, keep: int, good_step: int | None = None) -> None:
    """Delete all but the `keep` newest checkpoints and that of `good_step`."""
    for path in sorted(folder.glob(PATTERN))[:-keep]:
        if good_step is None or path != path_of(folder, good_step):
            path.unlink(missing_ok=True)


def forget_after(folder: Path, step: int) -> None:
    """Delete the checkpoints after `step`, to which a run was rolled back."""
    for path in folder.glob(PATTERN):
        if path.name > path_of(folder, step).name:
            path.unlink(missing_ok=True)


def path_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of `step`; names sort by step."""
    return folder / f"step-{step:08d}.npz"
