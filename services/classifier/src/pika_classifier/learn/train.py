"""Train a network by steps: augmentation, early stopping, best weights, calibration.

    trained = train(trains, valids, preset_named("scratch"), seed=0, log_folder=Path("logs"))
    export(trained.model, folder, valids.pixels)

The number of steps does not depend on the number of labels, so a run takes at most about two minutes on two
cores.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pika_classifier.config import Preset
from pika_classifier.learn import metrics
from pika_classifier.learn.batches import (
    Batches,
    picture_batches,
    predict_in_batches,
    targets_of,
)
from pika_classifier.learn.calibrate import calibrated_loss, fit_temperature
from pika_classifier.learn.data import LabelledPictures, check_labels
from pika_classifier.learn.networks import build, logit_model, serving_model
from pika_kit.queue import OnProgress


def _silent(done: int, total: int | None, message: str, **details: Any) -> None:
    """Ignore progress."""


@dataclass
class Trained:
    """The result of a run.

    Attributes:
        model: a `networks.serving_model`: calibrated, with the best epoch's weights.
        temperature: divisor of its logits.
        history: one list per curve, one value per epoch.
        validation: `metrics.report` on the valids.
        valid_probabilities: float (N,) in the order of the valids.
        seconds: duration.
    """

    model: keras.Model
    temperature: float
    history: dict[str, list[float]]
    validation: dict[str, Any]
    valid_probabilities: np.ndarray
    seconds: float


def train(
    trains: LabelledPictures,
    valids: LabelledPictures,
    preset: Preset,
    *,
    seed: int = 0,
    log_folder: Path | None = None,
    on_progress: OnProgress = _silent,
) -> Trained:
    """Run one training, determined by its seed.

    Args:
        log_folder: for TensorBoard's files; None for none.
        on_progress: an exception ends the run.

    Raises:
        TooFewLabels: a split lacks pictures of a label.
    """
    started = time.monotonic()
    check_labels(trains, valids)
    keras.utils.set_random_seed(seed)
    network = build(preset)
    validation = (valids.pixels, targets_of(valids))
    callbacks = _callbacks(validation, preset, log_folder, on_progress)
    history = _fit(network, picture_batches(trains, preset, seed), validation, preset, callbacks)
    logits = logit_model(network, preset.mirror)
    valid_logits = predict_in_batches(logits, valids.pixels)
    temperature = fit_temperature(valid_logits, valids.is_pikachu)
    probabilities = 1 / (1 + np.exp(-valid_logits / temperature))
    return Trained(
        model=serving_model(logits, temperature),
        temperature=temperature,
        history=history,
        validation=metrics.report(valids.is_pikachu, probabilities),
        valid_probabilities=probabilities,
        seconds=time.monotonic() - started,
    )


def _fit(
    head: keras.Model,
    batches: Batches,
    validation: tuple[np.ndarray, np.ndarray],
    preset: Preset,
    callbacks: list[keras.callbacks.Callback],
) -> dict[str, list[float]]:
    """Train `head`, leave it with the weights of its best epoch, and return the curves."""
    schedule = keras.optimizers.schedules.CosineDecay(
        preset.learning_rate, preset.epochs * preset.steps_per_epoch
    )
    head.compile(
        keras.optimizers.AdamW(schedule, weight_decay=preset.weight_decay),
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=preset.label_smoothing),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
        jit_compile=False,  # on a CPU, compiling with XLA takes longer than the whole run
    )
    fitted = head.fit(
        batches,
        steps_per_epoch=preset.steps_per_epoch,
        epochs=preset.epochs,
        validation_data=validation,
        callbacks=callbacks,
        verbose=0,
    )
    return {name: [float(value) for value in values] for name, values in fitted.history.items()}


def _callbacks(
    validation: tuple[np.ndarray, np.ndarray],
    preset: Preset,
    log_folder: Path | None,
    on_progress: OnProgress,
) -> list[keras.callbacks.Callback]:
    """Create the callbacks in order: each sees what earlier ones added to an epoch's logs."""
    callbacks: list[keras.callbacks.Callback] = [
        _CalibratedLoss(*validation),
        keras.callbacks.EarlyStopping(
            "val_calibrated_loss",
            mode="min",
            patience=preset.patience,
            restore_best_weights=True,
            start_from_epoch=2,
        ),
        _Progress(preset.epochs, on_progress),
    ]
    if log_folder is not None:
        callbacks.append(keras.callbacks.TensorBoard(log_folder, write_graph=False))
    return callbacks


class _CalibratedLoss(keras.callbacks.Callback):
    """Add `val_calibrated_loss`: the validation loss at the epoch's best temperature.

    The plain loss grows with confidence long after the ranking has stopped getting worse, and confidence is
    corrected afterwards anyway.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        super().__init__()
        self._inputs, self._truth = inputs, targets[:, 0] > 0.5

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        logits = np.asarray(self.model.predict_on_batch(self._inputs))[:, 0]
        if logs is not None:
            logs["val_calibrated_loss"] = calibrated_loss(logits, self._truth)


class _Progress(keras.callbacks.Callback):
    def __init__(self, epochs: int, on_progress: OnProgress) -> None:
        super().__init__()
        self._epochs, self._on_progress = epochs, on_progress

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {name: round(float(value), 4) for name, value in (logs or {}).items()}
        self._on_progress(epoch + 1, self._epochs, "training", **figures)
