"""The training loop: seeded, watched, resumable.

    result = train(dataset, preset_named("cpu-32"), Path("run"), minutes=10)

`folder` then contains config.json, manifest.json, log.jsonl, samples/, film.webp, nearest.png (drawn pictures
above the nearest training pictures), walk.webp, checkpoints/, best.npz (the averaged generator with the
lowest KID), judge.npz (which chooses among its pictures) and tensorboard/. Called again with the same folder
it continues from the last checkpoint; with a budget in steps, an interrupted run gives the same result as an
uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pika_gan import checkpoints, finish, samples, watch
from pika_gan.backend import make_gan
from pika_gan.budget import Budget, duration
from pika_gan.candidates import CANDIDATES
from pika_gan.checkpoints import RunState
from pika_gan.config import Preset
from pika_gan.data import Dataset
from pika_gan.evaluate import Evaluation, Evaluator
from pika_gan.latents import latents_of
from pika_gan.runlog import RunLog
from pika_kit.queue import OnProgress

SHEET_SEEDS = 10_000  # sheets show seeds 10,000, 10,001, …; measurements draw from 1,000,000 on
EVALUATION_SEEDS = 1_000_000
KEEP_CHECKPOINTS = 3
MAX_ATTEMPTS = 3  # the number of rollbacks plus one


class TrainingDiverged(RuntimeError):
    """The losses stopped being finite again after rollbacks."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; `evaluation` is a new measurement of the chosen generator, with an interval."""

    state: RunState
    resumed_from: int  # the step from which this call continued
    evaluation: Evaluation
    of_preferred: Evaluation | None
    """Of the pictures that the judge prefers among CANDIDATES each; None without a judge."""
    warnings: tuple[str, ...]
    nearest_ids: tuple[str, ...]  # of the training pictures on nearest.png, in order


def train(
    dataset: Dataset,
    preset: Preset,
    folder: Path,
    *,
    seed: int = 0,
    steps: int | None = None,
    minutes: float | None = None,
    progress: OnProgress | None = None,
    on_checkpoint: Callable[[int], None] | None = None,
    checkpoint_seconds: float = 60.0,
) -> TrainingResult:
    """Train, or continue training, in `folder`.

    Args:
        dataset: the pictures.
        preset: the recipe; a run that continues keeps the one it was started with.
        folder: of the run.
        seed: of all random numbers.
        steps, minutes: the budget; without either, the preset's.
        progress: may raise to interrupt the run: a checkpoint is written first and the exception passed on.
        on_checkpoint: called with the step of each checkpoint.
        checkpoint_seconds: time between checkpoints.

    Raises:
        TrainingDiverged: losses or weights were not finite, repeatedly.
        ValueError: the budget has no end.
    """
    if steps is None and minutes is None:
        steps, minutes = preset.default_steps, preset.default_minutes
    run = _Run(dataset, preset, folder, seed, Budget(steps, minutes))
    run.report = progress or (lambda *_, **_details: None)
    run.on_checkpoint = on_checkpoint or (lambda _: None)
    run.checkpoint_seconds = checkpoint_seconds
    return run.go()


class _Run:
    """One call of `train`."""

    report: OnProgress
    on_checkpoint: Callable[[int], None]
    checkpoint_seconds: float

    def __init__(self, dataset: Dataset, preset: Preset, folder: Path, seed: int, budget: Budget) -> None:
        self.dataset, self.folder, self.seed, self.budget = dataset, folder, seed, budget
        self.preset = _remembered(preset, folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = folder / "checkpoints"
        self.gan = make_gan(self.preset, seed)
        self.state = RunState()
        self.warnings: list[str] = []
        checkpoint = checkpoints.latest(self.checkpoints)
        if checkpoint:
            self.gan.load_state(checkpoint[0])
            self.state = checkpoint[1]
            if self.state.best_score is None:  # a checkpoint of an earlier release
                self.state.best_score = self.state.best_kid
        self.resumed_from = self.state.step
        self.log = RunLog(folder, self.state.step if checkpoint else -1)
        self.evaluator = Evaluator(dataset, self.preset.spaces)
        self.sheet_latents = latents_of(
            list(range(SHEET_SEEDS, SHEET_SEEDS + self.preset.sample_count)), self.preset.latent_dim
        )
        self.evaluation_latents = latents_of(
            list(range(EVALUATION_SEEDS, EVALUATION_SEEDS + self.preset.evaluation_pictures)),
            self.preset.latent_dim,
        )
        self._write_json("config.json", {"preset": self.preset.to_json(), "seed": seed, **vars(budget)})
        self._write_json("manifest.json", dataset.manifest())

    def go(self) -> TrainingResult:
        """Run from the current state to the end of the budget."""
        state = self.state
        self._clock = time.monotonic()
        self._saved_at, self._has_saved = self._clock, False
        sums: dict[str, list[float]] = {}
        try:
            if state.step == 0:
                samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", 0)
            while self.budget.fraction(state) < 1.0:
                batch = self.dataset.batch(state.step, self.preset.batch_size, self.seed, self.preset.flip)
                values = self.gan.train_step(
                    batch,
                    state.step,
                    self.budget.fraction(state),
                    state.attempt,
                    gentleness=state.gentleness,
                    augment_probability=watch.probability_of(self.preset, state),
                )
                state.step += 1
                self._tick()
                figures = {key: float(value) for key, value in values.items()}
                if not all(math.isfinite(value) for value in figures.values()):
                    self._leave_what_is_not_finite()
                    sums = {}
                    continue
                for key, value in figures.items():  # not every step has penalties
                    sums.setdefault(key, []).append(value)
                if state.step % self.preset.log_every == 0:
                    means = {key: sum(values) / len(values) for key, values in sums.items()}
                    state.discriminator_loss = means["discriminator_loss"]
                    self.log.write("train", state.step, means)
                    sums = {}
                self._after_step(figures)
            return self._finish()
        except BaseException as error:
            if not isinstance(error, TrainingDiverged):
                self._checkpoint()
            raise
        finally:
            self.log.close()

    def _tick(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._clock
        self._clock = now

    def _after_step(self, figures: dict[str, float]) -> None:
        state = self.state
        if state.step % self.preset.sample_every == 0:
            samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", state.step)
            self._steer()
        if state.step % self.preset.evaluate_every == 0:
            self._evaluate()
        self._tick()
        # The first one sooner: a run that is lost before it has one starts over.
        wait = self.checkpoint_seconds if self._has_saved else self.checkpoint_seconds / 3
        if time.monotonic() - self._saved_at > wait and not self._checkpoint():
            self._leave_what_is_not_finite()
            return
        remaining, total = self.budget.remaining_seconds(state), self.budget.total_steps(state)
        message = f"step {state.step:,}, about {duration(remaining)} left"
        if self.warnings:
            message += f"; {self.warnings[-1]}"
        self.report(state.step, total, message, **figures, remaining_seconds=remaining, kid=state.best_kid)

    def _steer(self) -> None:
        """Measure the discriminator's overfitting and adapt the augmentation."""
        if self.preset.augment_target is None:
            return
        shown = (
            self.dataset.train,
            self.dataset.held_out,
            self.gan.draw(self.evaluation_latents[: watch.NUM_SCORED]),
        )
        scores = [self.gan.score(pictures[: watch.NUM_SCORED]) for pictures in shown]
        overfitting = watch.overfitting(*scores)
        watch.steer(self.preset, self.state, overfitting, self.preset.sample_every * self.preset.batch_size)
        told = {"overfitting": overfitting, "augment_probability": self.state.augment_probability}
        self.log.write("watch", self.state.step, told)

    def _evaluate(self) -> None:
        """Measure the averaged generator and keep it if its score is the lowest so far.

        A run that has collapsed or diverged is rolled back.
        """
        state = self.state
        self.gan.count_statistics()
        evaluation = self.evaluator.evaluate(self.gan.draw(self.evaluation_latents))
        scores = self.gan.score(self.dataset.train[:256]).mean(), self.gan.score(self.dataset.held_out).mean()
        values = {**evaluation.to_json(), "train_logit": float(scores[0]), "held_out_logit": float(scores[1])}
        self.log.write("evaluation", state.step, values)
        wrong = watch.judge(state, evaluation)
        if wrong is not None:
            self._warn(wrong)
            if self.preset.goes_back and state.good_step is not None and state.attempt < MAX_ATTEMPTS:
                self._go_back(checkpoints.load(checkpoints.path_of(self.checkpoints, state.good_step)))
                return
        is_sound = not (state.collapsed_evaluations or state.diverged_evaluations)
        if self.preset.goes_back and not is_sound and state.best_step is not None:
            return  # a collapsed version is never the best, whatever its score
        score = evaluation.kid if self.preset.keep == "kid" else state.discriminator_loss
        if state.best_score is None or (score is not None and score < state.best_score):
            best = {name: array for name, array in self.gan.state().items() if name.startswith("ema/")}
            if not checkpoints.is_finite(best):
                return  # the next checkpoint detects it and rolls back
            state.best_score, state.best_kid, state.best_step = score, evaluation.kid, state.step
            checkpoints.save(self.folder / "best.npz", best, dataclasses.replace(state))
        if self.preset.goes_back and is_sound:
            good, state.good_step = state.good_step, state.step
            if not self._checkpoint():
                state.good_step = good

    def _checkpoint(self) -> bool:
        """Save the run as it is; return False, with nothing saved, if a weight is not finite.

        Losses are computed before the update: they may be sound while the weights no longer are.
        """
        self._tick()
        arrays = self.gan.state()
        if not checkpoints.is_finite(arrays):
            return False
        checkpoints.save(checkpoints.path_of(self.checkpoints, self.state.step), arrays, self.state)
        checkpoints.prune(self.checkpoints, KEEP_CHECKPOINTS, self.state.good_step)
        self._saved_at, self._has_saved = time.monotonic(), True
        self.on_checkpoint(self.state.step)
        return True

    def _leave_what_is_not_finite(self) -> None:
        """Return to the last checkpoint, which is finite, because losses or weights are not."""
        step, attempt = self.state.step, self.state.attempt + 1
        checkpoint = checkpoints.latest(self.checkpoints)
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
        state = self.state
        kept = {
            "seconds": state.seconds,
            "attempt": state.attempt + 1,
            "gentleness": state.gentleness + 1,
        }
        arrays, then = checkpoint or (make_gan(self.preset, self.seed).state(), RunState())
        self.gan.load_state(arrays)
        best = self.folder / "best.npz"
        if best.exists():
            its = checkpoints.load(best)[1]
            kept |= {name: getattr(its, name) for name in ("best_step", "best_kid", "best_score")}
        state.__dict__.update(dataclasses.asdict(then) | kept)
        self._warn(f"went back to step {state.step}, with gentler settings")
        checkpoints.forget_after(self.checkpoints, state.step)
        self._checkpoint()  # if killed before it, the run would roll back again

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.log.write("warning", self.state.step, {"text": text})

    def _finish(self) -> TrainingResult:
        """Finish with a last measurement, the film and a checkpoint; then measure the chosen generator."""
        state = self.state
        if state.step % self.preset.evaluate_every or state.best_step is None:
            self._evaluate()
        samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", state.step)
        if not self._checkpoint() and state.best_step is None:
            raise TrainingDiverged(f"weights were not finite at step {state.step}, and none before are kept")
        best, _ = checkpoints.load(self.folder / "best.npz")
        self.gan.load_state({**self.gan.state(), **best})
        measured = finish.measure(self.gan, self.evaluator, self.dataset, self.folder)
        self.log.write("final", state.step, {"best_step": state.best_step, **measured.evaluation.to_json()})
        if measured.of_preferred is not None:
            told = {"candidates": CANDIDATES, **measured.of_preferred.to_json()}
            self.log.write("preferred", state.step, told)
        nearest = finish.save_pictures(
            self.gan, self.evaluator, self.dataset, self.sheet_latents, self.folder
        )
        return TrainingResult(
            state,
            self.resumed_from,
            measured.evaluation,
            measured.of_preferred,
            tuple(self.warnings),
            nearest,
        )

    def _write_json(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value, indent=1) + "\n")


def _remembered(preset: Preset, folder: Path) -> Preset:
    """Return the preset that a resumed run was started with, including its precision."""
    path = folder / "config.json"
    if path.exists():
        return Preset.from_json(json.loads(path.read_text())["preset"])
    return preset.resolved()
