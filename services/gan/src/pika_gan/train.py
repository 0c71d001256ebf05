"""The training loop: seeded, watched, resumable.

    result = train(dataset, preset_named("cpu-32"), Path("run"), minutes=10)

`folder` then contains config.json, manifest.json, log.jsonl, samples/, film.webp, best.png, nearest.png
(drawn pictures above the nearest training pictures), walk.webp, checkpoints/, best.npz (the averaged
generator with the lowest KID), tensorboard/ and, with a judge, judge.npz and preferred.png (what it
accepts among several). Called again with the same folder it continues from the last checkpoint; with a
budget in steps, an interrupted run gives the same result as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pika_gan import checkpoints, finish, samples, watch
from pika_gan.backend import make_gan
from pika_gan.budget import Budget, duration
from pika_gan.candidates import CANDIDATES
from pika_gan.checkpoints import RunState
from pika_gan.config import Preset
from pika_gan.data import Dataset
from pika_gan.evaluate import Evaluation, Evaluator
from pika_gan.keeping import FOLDER, Keeper, TrainingDiverged
from pika_gan.latents import latents_of
from pika_gan.runlog import RunLog

if TYPE_CHECKING:
    from pika_kit.queue import OnProgress  # for its type alone; it imports the queue's client

SHEET_SEEDS = 10_000  # sheets show seeds 10,000, 10,001, …; measurements draw from 1,000,000 on
EVALUATION_SEEDS = 1_000_000


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; `evaluation` is a new measurement of the chosen generator, with an interval."""

    state: RunState
    resumed_from: int  # the step from which this call continued
    evaluation: Evaluation
    of_preferred: Evaluation | None
    """Of the first of CANDIDATES each that the judge accepts; None without a judge."""
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
    hooks = _Hooks(
        progress or (lambda *_, **_details: None), on_checkpoint or (lambda _: None), checkpoint_seconds
    )
    return _Run(dataset, preset, folder, seed, Budget(steps, minutes), hooks=hooks).go()


@dataclass(frozen=True)
class _Hooks:
    """What the caller of `train` is told, and how often."""

    report: OnProgress
    on_checkpoint: Callable[[int], None]
    checkpoint_seconds: float


class _Run:
    """One call of `train`."""

    def __init__(
        self, dataset: Dataset, preset: Preset, folder: Path, seed: int, budget: Budget, *, hooks: _Hooks
    ) -> None:
        self.dataset, self.folder, self.budget, self.hooks = dataset, folder, budget, hooks
        self.seed = seed
        self.preset = _remembered(preset, folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.gan = make_gan(self.preset, seed)
        self.state = RunState()
        self.warnings: list[str] = []
        self._sums: dict[str, list[float]] = {}
        checkpoint = checkpoints.latest(folder / FOLDER)
        if checkpoint:
            self.gan.load_state(checkpoint[0])
            self.state = checkpoint[1]
            if self.state.best_score is None:  # a checkpoint of an earlier release
                self.state.best_score = self.state.best_kid
        self.resumed_from = self.state.step
        self.keeper = Keeper(folder, self.gan, self.state, warn=self._warn, on_checkpoint=hooks.on_checkpoint)
        self.log = RunLog(folder, self.state.step if checkpoint else -1)
        self.evaluator = Evaluator(dataset, self.preset.spaces)
        self.sheet_seeds = list(range(SHEET_SEEDS, SHEET_SEEDS + self.preset.sample_count))
        self.sheet_latents = latents_of(self.sheet_seeds, self.preset.latent_dim)
        self.evaluation_latents = latents_of(
            list(range(EVALUATION_SEEDS, EVALUATION_SEEDS + self.preset.evaluation_pictures)),
            self.preset.latent_dim,
        )
        self._write_json("config.json", {"preset": self.preset.to_json(), "seed": seed, **vars(budget)})
        self._write_json("manifest.json", dataset.manifest())

    def go(self) -> TrainingResult:
        """Run from the current state to the end of the budget."""
        self._clock = time.monotonic()
        try:
            self._learn()
            return self._finish()
        finally:
            self.log.close()

    def _learn(self) -> None:
        """Make all steps; whatever ends them early, a checkpoint is written first."""
        try:
            if self.state.step == 0:
                samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", 0)
            while self.budget.fraction(self.state) < 1.0:
                self._step()
        except TrainingDiverged:
            raise
        except BaseException:
            self._checkpoint()
            raise

    def _step(self) -> None:
        state, preset = self.state, self.preset
        values = self.gan.train_step(
            self.dataset.batch(state.step, preset.batch_size, self.seed, preset.flip),
            state.step,
            self.budget.fraction(state),
            state.attempt,
            gentleness=state.gentleness,
            augment_probability=watch.probability_of(preset, state),
        )
        state.step += 1
        self._tick()
        figures = {key: float(value) for key, value in values.items()}
        if not all(math.isfinite(value) for value in figures.values()):
            self._go_back_to_finite()
            return
        for key, value in figures.items():  # not every step has penalties
            self._sums.setdefault(key, []).append(value)
        if state.step % preset.log_every == 0:
            means = {key: sum(values) / len(values) for key, values in self._sums.items()}
            state.discriminator_loss = means["discriminator_loss"]
            self.log.write("train", state.step, means)
            self._sums = {}
        self._after_step(figures)

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
        if self.keeper.is_due(self.hooks.checkpoint_seconds) and not self._checkpoint():
            self._go_back_to_finite()
            return
        remaining, total = self.budget.remaining_seconds(state), self.budget.total_steps(state)
        message = f"step {state.step:,}, about {duration(remaining)} left"
        if self.warnings:
            message += f"; {self.warnings[-1]}"
        told = {**figures, "remaining_seconds": remaining, "kid": state.best_kid}
        self.hooks.report(state.step, total, message, **told)

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
        state.measured_step = state.step
        wrong = watch.judge(state, evaluation)
        if wrong is not None:
            self._warn(wrong)
            if self.preset.goes_back and self.keeper.go_back_to_good():
                return
        is_sound = not (state.collapsed_evaluations or state.diverged_evaluations)
        if self.preset.goes_back and not is_sound and state.best_step is not None:
            return  # a collapsed version is never the best, whatever its score
        score = evaluation.kid if self.preset.keep == "kid" else state.discriminator_loss
        self.keeper.keep_as_best(score, evaluation.kid)
        if self.preset.goes_back and is_sound:
            self._tick()
            self.keeper.checkpoint_as_good()

    def _checkpoint(self) -> bool:
        self._tick()
        return self.keeper.checkpoint()

    def _go_back_to_finite(self) -> None:
        self._sums = {}
        self.keeper.go_back_to_finite()

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.log.write("warning", self.state.step, {"text": text})

    def _finish(self) -> TrainingResult:
        """Finish with a last measurement, the film and a checkpoint; then measure the chosen generator."""
        state = self.state
        # A run that was stopped while it finished has been measured already.
        if state.measured_step != state.step or state.best_step is None:
            self._evaluate()
        samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", state.step)
        if not self._checkpoint() and state.best_step is None:
            raise TrainingDiverged(f"weights were not finite at step {state.step}, and none before are kept")
        self.keeper.load_best()

        def say(what: str) -> None:
            self.hooks.report(state.step, state.step, what, remaining_seconds=0.0, kid=state.best_kid)

        measured = finish.measure(self.gan, self.evaluator, self.dataset, self.folder, say=say)
        self.log.write("final", state.step, {"best_step": state.best_step, **measured.evaluation.to_json()})
        if measured.of_preferred is not None:
            told = {"candidates": CANDIDATES, **measured.of_preferred.to_json()}
            self.log.write("preferred", state.step, told)
        say("drawing the film and the neighbours")
        nearest = finish.save_pictures(
            self.gan,
            self.evaluator,
            self.dataset,
            self.folder,
            sheet_seeds=self.sheet_seeds,
            network=measured.judge,
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
