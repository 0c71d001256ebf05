"""When a run ends, and an estimate of the time left."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pika_gan.checkpoints import RunState


@dataclass(frozen=True)
class Budget:
    """End a run after `steps` or after `minutes` of total training time, whichever is first."""

    steps: int | None
    minutes: float | None

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise ValueError("budget: expected steps or minutes, received neither")
        if (self.steps is not None and self.steps <= 0) or (self.minutes is not None and self.minutes <= 0):
            raise ValueError(f"budget: expected more than 0, received {self.steps} steps, {self.minutes} min")

    def fraction(self, state: RunState) -> float:
        """Return the completed share of the run, 0 … 1."""
        by_steps = state.step / self.steps if self.steps else 0.0
        by_time = state.seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def remaining_seconds(self, state: RunState) -> float:
        """Estimate the remaining time from the pace so far, including evaluations; NaN at the start."""
        estimates = []
        if self.steps is not None:
            pace = state.seconds / state.step if state.step else math.nan
            estimates.append((self.steps - state.step) * pace)
        if self.minutes is not None:
            estimates.append(60 * self.minutes - state.seconds)
        return max(0.0, min(estimates))

    def total_steps(self, state: RunState) -> int:
        """Return the total number of steps; with minutes only, the number that the pace allows."""
        if self.steps is not None:
            return self.steps
        return round(state.step * (1 + self.remaining_seconds(state) / max(state.seconds, 1e-9)))


def duration(seconds: float) -> str:
    """Format seconds for people: "45 s", "12 min"."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
