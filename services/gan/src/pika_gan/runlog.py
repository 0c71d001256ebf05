"""The curves of a run: one JSON object per line in log.jsonl, and the same figures for TensorBoard.

TensorBoard's own writer makes its files, so that a run on JAX needs no TensorFlow.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

_FLUSH_SECONDS = 10


class RunLog:
    """Append to log.jsonl and tensorboard/. A resumed run drops lines after its checkpoint."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        self.path = folder / "log.jsonl"
        kept = [line for line in self.read(folder) if line["step"] <= resume_step]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._events = EventFileWriter(str(folder / "tensorboard"), flush_secs=_FLUSH_SECONDS)

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Write one line: {"kind", "step", …}. Numbers also become TensorBoard scalars `kind/name`."""
        line = {"kind": kind, "step": step, **{key: _plain(value) for key, value in values.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        scalars = [
            Summary.Value(tag=f"{kind}/{key}", simple_value=value)
            for key, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if scalars:
            self._events.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars)))

    def close(self) -> None:
        """Write pending TensorBoard events."""
        self._events.close()

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
