"""When a run ends, and how long it has still to go."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pika_gan.checkpoints import RunState


@dataclass(frozen=True)
class Budget:
    """When a run ends: after `steps`, or after `minutes` of training time in all sittings, whichever is
    first.
    """

    steps: int | None
    minutes: float | None

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise ValueError("budget: expected steps or minutes, received neither")

    def fraction(self, state: RunState) -> float:
        """Share of the run that is done, 0 … 1."""
        by_steps = state.step / self.steps if self.steps else 0.0
        by_time = state.seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def remaining_seconds(self, state: RunState) -> float:
        """Estimated from the pace so far, evaluations and all; NaN before there is one."""
        estimates = []
        if self.steps is not None:
            pace = state.seconds / state.step if state.step else math.nan
            estimates.append((self.steps - state.step) * pace)
        if self.minutes is not None:
            estimates.append(60 * self.minutes - state.seconds)
        return max(0.0, min(estimates))

    def total_steps(self, state: RunState) -> int:
        """As many steps as there will be; with minutes alone, as many as the pace allows."""
        if self.steps is not None:
            return self.steps
        return round(state.step * (1 + self.remaining_seconds(state) / max(state.seconds, 1e-9)))


def duration(seconds: float) -> str:
    """For people: "45 s", "12 min"."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
