"""The training loop: seeded, watched, resumable.

    result = train(dataset, preset_named("cpu-32"), Path("run"), minutes=10)

`folder` then holds config.json, manifest.json, log.jsonl, samples/, film.webp, nearest.png (drawn pictures
above the nearest training pictures), walk.webp, checkpoints/, best.npz (the averaged generator with the
lowest KID) and tensorboard/. Called again with the same
folder it goes on from the last checkpoint; given steps, an interrupted run gives what an uninterrupted one
gives.
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

from pika_gan import checkpoints, samples
from pika_gan.checkpoints import RunState
from pika_gan.config import Preset
from pika_gan.data import Dataset
from pika_gan.evaluate import Evaluation, Evaluator
from pika_gan.gan import Gan
from pika_gan.generate import latents_of
from pika_gan.runlog import RunLog
from pika_kit.queue import OnProgress

SHEET_SEEDS = 10_000  # sheets show seeds 10,000, 10,001, …; measurements draw from 1,000,000 on
EVALUATION_SEEDS = 1_000_000
KEEP_CHECKPOINTS = 3
MAX_ATTEMPTS = 3
NUM_NEIGHBOURS = 16  # drawn pictures shown with their nearest training pictures
NUM_STOPS = 6  # of the latent walk
COLLAPSED_LIMIT = 3  # evaluations in a row until it is called a collapse


class TrainingDiverged(RuntimeError):
    """The losses stopped being finite, again after rolling back."""


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


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; `evaluation` is that of the chosen generator, measured anew with an interval."""

    state: RunState
    resumed_from: int  # the step this sitting began at
    evaluation: Evaluation
    warnings: tuple[str, ...]
    nearest_ids: tuple[str, ...]  # of the training pictures on nearest.png, in the order of the drawn ones


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
    """Trains, or goes on training, in `folder`.

    `progress` may raise to interrupt the run: a checkpoint is written first, `on_checkpoint` called with its
    step, and the exception passed on. Raises TrainingDiverged, and ValueError for a budget without an end.
    """
    if steps is None and minutes is None:
        steps, minutes = preset.default_steps, preset.default_minutes
    run = _Run(dataset, preset, folder, seed, Budget(steps, minutes))
    run.report = progress or (lambda *_, **_details: None)
    run.on_checkpoint = on_checkpoint or (lambda _: None)
    run.checkpoint_seconds = checkpoint_seconds
    return run.go()


class _Run:
    """One sitting."""

    report: OnProgress
    on_checkpoint: Callable[[int], None]
    checkpoint_seconds: float

    def __init__(self, dataset: Dataset, preset: Preset, folder: Path, seed: int, budget: Budget) -> None:
        self.dataset, self.folder, self.seed, self.budget = dataset, folder, seed, budget
        self.preset = _remembered(preset, folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = folder / "checkpoints"
        self.gan = Gan(self.preset, seed)
        self.state = RunState()
        self.warnings: list[str] = []
        found = checkpoints.latest(self.checkpoints)
        if found:
            self.gan.load_state(found[0])
            self.state = found[1]
            if self.state.best_score is None:  # a checkpoint of an earlier release
                self.state.best_score = self.state.best_kid
        self.resumed_from = self.state.step
        self.log = RunLog(folder, self.state.step if found else -1)
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
        """The loop, from wherever the state stands to the end of the budget."""
        state = self.state
        self._clock = time.monotonic()
        self._saved_at, self._has_saved = self._clock, False
        sums: dict[str, list[float]] = {}
        try:
            if state.step == 0:
                samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", 0)
            while self.budget.fraction(state) < 1.0:
                batch = self.dataset.batch(state.step, self.preset.batch_size, self.seed, self.preset.flip)
                values = self.gan.train_step(batch, state.step, self.budget.fraction(state), state.attempt)
                state.step += 1
                self._tick()
                figures = {key: float(value) for key, value in values.items()}
                if not all(math.isfinite(value) for value in figures.values()):
                    self._roll_back()
                    sums = {}
                    continue
                for key, value in figures.items():  # penalties are not there at every step
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
        if state.step % self.preset.evaluate_every == 0:
            self._evaluate()
        self._tick()
        # The first one sooner: a run that is lost before it has one begins anew.
        wait = self.checkpoint_seconds if self._has_saved else self.checkpoint_seconds / 3
        if time.monotonic() - self._saved_at > wait and not self._checkpoint():
            self._roll_back()
            return
        remaining = self.budget.remaining_seconds(state)
        total = self.budget.steps
        if total is None:  # minutes alone: as many steps as the pace allows
            total = round(state.step * (1 + remaining / max(state.seconds, 1e-9)))
        message = f"step {state.step:,}, about {_duration(remaining)} left"
        if self.warnings:
            message += f"; {self.warnings[-1]}"
        self.report(state.step, total, message, **figures, remaining_seconds=remaining, kid=state.best_kid)

    def _evaluate(self) -> None:
        """Measures the averaged generator, and keeps it when its score is the lowest so far."""
        state = self.state
        self.gan.count_statistics()
        evaluation = self.evaluator.evaluate(self.gan.draw(self.evaluation_latents))
        scores = self.gan.score(self.dataset.train[:256]).mean(), self.gan.score(self.dataset.held_out).mean()
        values = {**evaluation.to_json(), "train_logit": float(scores[0]), "held_out_logit": float(scores[1])}
        self.log.write("evaluation", state.step, values)
        state.collapsed_evaluations = state.collapsed_evaluations + 1 if evaluation.collapsed else 0
        if state.collapsed_evaluations == COLLAPSED_LIMIT:
            self._warn(
                f"collapse at step {state.step}: its pictures differ only {evaluation.diversity:.2f} times "
                "as much as the training pictures do"
            )
        score = evaluation.kid if self.preset.keep == "kid" else state.discriminator_loss
        if state.best_score is None or (score is not None and score < state.best_score):
            ema = {name: array for name, array in self.gan.state().items() if name.startswith("ema/")}
            if not checkpoints.is_finite(ema):
                return  # the next checkpoint finds it, too, and goes back
            state.best_score, state.best_kid, state.best_step = score, evaluation.kid, state.step
            checkpoints.save(self.folder / "best.npz", ema, dataclasses.replace(state))

    def _checkpoint(self) -> bool:
        """Saves the run as it stands; False, and nothing saved, where a weight is not finite.

        Losses are those before the last update: they may be sound while the weights are not any more.
        """
        self._tick()
        arrays = self.gan.state()
        if not checkpoints.is_finite(arrays):
            return False
        checkpoints.save(checkpoints.path_of(self.checkpoints, self.state.step), arrays, self.state)
        checkpoints.prune(self.checkpoints, KEEP_CHECKPOINTS)
        self._saved_at, self._has_saved = time.monotonic(), True
        self.on_checkpoint(self.state.step)
        return True

    def _roll_back(self) -> None:
        """Losses or weights are not finite: back to the last checkpoint, with other random numbers."""
        step, attempt, seconds = self.state.step, self.state.attempt + 1, self.state.seconds
        found = checkpoints.latest(self.checkpoints)
        if attempt >= MAX_ATTEMPTS or (found is None and step > 1 and attempt > 1):
            raise TrainingDiverged(
                f"losses or weights were not finite at step {step}, {attempt} times: expected finite ones; "
                "a lower learning rate or a larger penalty weight helps"
            )
        if found:
            self.gan.load_state(found[0])
            self.state.__dict__.update(dataclasses.asdict(found[1]))
        else:
            self.gan.load_state(Gan(self.preset, self.seed).state())
            self.state.step = 0
        self.state.attempt, self.state.seconds = attempt, seconds
        self._warn(f"losses or weights were not finite at step {step}: went back to step {self.state.step}")

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.log.write("warning", self.state.step, {"text": text})

    def _finish(self) -> TrainingResult:
        """A last measurement, the film, a checkpoint; then the chosen generator is measured with an
        interval.
        """
        state = self.state
        if state.step % self.preset.evaluate_every or state.best_step is None:
            self._evaluate()
        samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder / "samples", state.step)
        if not self._checkpoint() and state.best_step is None:
            raise TrainingDiverged(f"weights were not finite at step {state.step}, and none before are kept")
        best, _ = checkpoints.load(self.folder / "best.npz")
        self.gan.load_state({**self.gan.state(), **best})
        more = [EVALUATION_SEEDS + 500_000 + i for i in range(2 * self.preset.evaluation_pictures)]
        evaluation = self.evaluator.evaluate(
            self.gan.draw(latents_of(more, self.preset.latent_dim)), interval=True
        )
        self.log.write("final", state.step, {"best_step": state.best_step, **evaluation.to_json()})
        samples.save_sheet(self.gan.draw(self.sheet_latents), self.folder, state.step).replace(
            self.folder / "best.png"
        )
        samples.save_film(self.folder / "samples", self.folder / "film.webp")
        nearest = self._show_neighbours()
        stops = samples.walk_latents(self.sheet_latents[:NUM_STOPS])
        samples.save_walk(self.gan.draw(stops), self.folder / "walk.webp")
        return TrainingResult(state, self.resumed_from, evaluation, tuple(self.warnings), nearest)

    def _show_neighbours(self) -> tuple[str, ...]:
        """Drawn pictures above the training pictures nearest to them; the ids of those."""
        drawn = self.gan.draw(self.sheet_latents[:NUM_NEIGHBOURS])
        rows = self.evaluator.nearest_training(drawn)
        samples.save_neighbours(drawn, self.dataset.train[rows], self.folder / "nearest.png")
        return tuple(self.dataset.train_ids[row] for row in rows)

    def _write_json(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value, indent=1) + "\n")


def _remembered(preset: Preset, folder: Path) -> Preset:
    """A resumed run keeps the preset it was started with, precision included."""
    path = folder / "config.json"
    if path.exists():
        return Preset.from_json(json.loads(path.read_text())["preset"])
    return preset.resolved()


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
