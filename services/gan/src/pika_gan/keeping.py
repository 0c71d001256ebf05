"""What a run keeps on disk and returns to when it has gone wrong: its checkpoints and its best version."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pika_gan import checkpoints
from pika_gan.backend import make_gan
from pika_gan.checkpoints import RunState
from pika_gan.state import GanState

KEEP_CHECKPOINTS = 3
MAX_ATTEMPTS = 3
"""The number of rollbacks plus one."""
FOLDER, BEST_FILE = "checkpoints", "best.npz"


class TrainingDiverged(RuntimeError):
    """The losses stopped being finite again after rollbacks."""


class Keeper:
    """Keeps the checkpoints and the best version of one run in its folder.

    Args:
        folder: of the run.
        gan: the networks; a rollback loads earlier weights into them.
        state: of the run; a rollback changes it.
        warn: is told each rollback and its cause.
        on_checkpoint: called with the step of each checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        gan: GanState,
        state: RunState,
        *,
        warn: Callable[[str], None],
        on_checkpoint: Callable[[int], None],
    ) -> None:
        self._folder, self._best = folder / FOLDER, folder / BEST_FILE
        self._gan, self._state = gan, state
        self._warn, self._on_checkpoint = warn, on_checkpoint
        self._saved_at, self._has_saved = time.monotonic(), False

    def is_due(self, seconds: float) -> bool:
        """Return whether the last checkpoint is more than `seconds` old.

        The first one is due after a third of them: a run that is lost before it has one starts over.
        """
        return time.monotonic() - self._saved_at > (seconds if self._has_saved else seconds / 3)

    def checkpoint(self) -> bool:
        """Save the run as it is; return False, with nothing saved, if a weight is not finite.

        Losses are computed before the update: they may be sound while the weights no longer are.
        """
        arrays = self._gan.state()
        if not checkpoints.is_finite(arrays):
            return False
        checkpoints.save(checkpoints.path_of(self._folder, self._state.step), arrays, self._state)
        checkpoints.prune(self._folder, KEEP_CHECKPOINTS, self._state.good_step)
        self._saved_at, self._has_saved = time.monotonic(), True
        self._on_checkpoint(self._state.step)
        return True

    def checkpoint_as_good(self) -> bool:
        """Save the run as one whose pictures were measured and are sound; False as for `checkpoint`."""
        good, self._state.good_step = self._state.good_step, self._state.step
        if self.checkpoint():
            return True
        self._state.good_step = good
        return False

    def keep_as_best(self, score: float | None, kid: float) -> None:
        """Keep the averaged generator if its score is the lowest so far and its weights are finite.

        Weights that are not finite are left to the next checkpoint, which detects them.
        """
        state = self._state
        if state.best_score is not None and (score is None or score >= state.best_score):
            return
        best = {name: array for name, array in self._gan.state().items() if name.startswith("ema/")}
        if checkpoints.is_finite(best):
            state.best_score, state.best_kid, state.best_step = score, kid, state.step
            checkpoints.save(self._best, best, dataclasses.replace(state))

    def load_best(self) -> None:
        """Load the weights of the best version into the averaged generator."""
        best, _ = checkpoints.load(self._best)
        self._gan.load_state({**self._gan.state(), **best})

    def go_back_to_good(self) -> bool:
        """Return to the last checkpoint that was sound; False if there is none or no attempt left."""
        good = self._state.good_step
        if good is None or self._state.attempt >= MAX_ATTEMPTS:
            return False
        self._go_back(checkpoints.load(checkpoints.path_of(self._folder, good)))
        return True

    def go_back_to_finite(self) -> None:
        """Return to the last checkpoint, which is finite, because losses or weights are not.

        Raises:
            TrainingDiverged: this has been tried often enough.
        """
        step, attempt = self._state.step, self._state.attempt + 1
        checkpoint = checkpoints.latest(self._folder)
        if attempt >= MAX_ATTEMPTS or (checkpoint is None and step > 1 and attempt > 1):
            raise TrainingDiverged(
                f"losses or weights were not finite at step {step}, {attempt} times: expected finite ones; "
                "a lower learning rate or a larger penalty weight helps"
            )
        self._warn(f"losses or weights were not finite at step {step}")
        self._go_back(checkpoint)

    def _go_back(self, checkpoint: tuple[dict[str, np.ndarray], RunState] | None) -> None:
        """Continue from a checkpoint, or from the start, with other random numbers and gentler settings.

        The elapsed time stays spent. The best version is the one in its file.
        """
        gan, state = self._gan, self._state
        kept = {
            "seconds": state.seconds,
            "attempt": state.attempt + 1,
            "gentleness": state.gentleness + 1,
        }
        arrays, then = checkpoint or (make_gan(gan.preset, gan.seed).state(), RunState())
        gan.load_state(arrays)
        if self._best.exists():
            its = checkpoints.load(self._best)[1]
            kept |= {name: getattr(its, name) for name in ("best_step", "best_kid", "best_score")}
        state.__dict__.update(dataclasses.asdict(then) | kept)
        self._warn(f"went back to step {state.step}, with gentler settings")
        checkpoints.forget_after(self._folder, state.step)
        self.checkpoint()  # if killed before it, the run would roll back again
