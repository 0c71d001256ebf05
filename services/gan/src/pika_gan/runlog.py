"""The curves of a run: one JSON object per line in log.jsonl, and the same figures for TensorBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import tensorflow as tf


class RunLog:
    """Append to log.jsonl and tensorboard/. A resumed run drops lines after its checkpoint."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        self.path = folder / "log.jsonl"
        kept = [line for line in self.read(folder) if line["step"] <= resume_step]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._writer = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Write one line: {"kind", "step", …}. Numbers also become TensorBoard scalars `kind/name`."""
        line = {"kind": kind, "step": step, **{key: _plain(value) for key, value in values.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        with self._writer.as_default(step=step):
            for key, value in values.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    tf.summary.scalar(f"{kind}/{key}", value)

    def close(self) -> None:
        """Flush pending TensorBoard events."""
        self._writer.close()

    @staticmethod
    def read(folder: Path) -> list[dict[str, Any]]:
        """Read all complete lines of a run's log."""
        path = folder / "log.jsonl"
        if not path.exists():
            return []
        lines = []
        for text in path.read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:  # the last line of a killed process
                continue
        return lines


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN
    return round(value, 6) if isinstance(value, float) else value
