"""Fine-tune the last blocks of the frozen network, and let one network learn what several agree on.

feature maps of labelled pictures, varied ─▶ a committee: each network learns without a part of the labels
committee + frozen head ─▶ score, calibrated on the labels that a network had not seen ─▶ soft answers for
the pile ─▶ one network that learns the labels and those answers (distillation, Hinton et al. 2015)

The feature maps below are computed once; only what lies above them is trained, which takes minutes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pika_classifier.config import IMAGE_SIZE, FinetunedPreset
from pika_classifier.learn.calibrate import ENOUGH_PILE, expected_logits, fit_platt, pile_prior, sigmoid
from pika_eyes.heads import folds
from pika_eyes.lite import LITES, build_top
from pika_kit.queue import OnProgress

_BOOST = 10.0
"""The last layer starts from nothing and learns ten times as fast as the blocks below it."""
_AT_ONCE = 64
_REPORT_EVERY = 10

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is learned from, as feature maps of any float type and in the frozen head's opinion.

    Attributes:
        labelled: (N, V, h, w, C): of each labelled picture itself, its mirror image, and variations.
        is_pikachu: bool (N,).
        typical: rows of the labels to calibrate on.
        label_logits: float (N,), the frozen head's, by heads that had not seen the label.
        pile: (P, h, w, C), of unlabelled pictures.
        pile_logits: float (P,), the frozen head's.
    """

    labelled: np.ndarray
    is_pikachu: np.ndarray
    typical: np.ndarray
    label_logits: np.ndarray
    pile: np.ndarray
    pile_logits: np.ndarray


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A network and its calibration: probability = sigmoid(slope · logit + offset + shift).

    Attributes:
        network: feature maps (N, h, w, C) → logits (N, 1).
        slope, offset: to logits for a pile with the labels' share of Pikachus.
        shift: to those for the pile's share; `share` is None if the pile is too small to tell.
        label_probabilities: float (N,), by members of the committee that had not seen the label.
        pile_probabilities: float (P,).
    """

    network: keras.Model
    slope: float
    offset: float
    shift: float
    share: float | None
    label_probabilities: np.ndarray
    pile_probabilities: np.ndarray


def fine_tune(
    pictures: Pictures,
    preset: FinetunedPreset,
    *,
    seed: int = 0,
    on_progress: OnProgress = lambda *_args, **_details: None,
) -> FineTuned:
    """Train the committee, calibrate it, and distil it.

    Args:
        on_progress: called with (done, total) steps; an exception ends the training.
    """
    progress = _Steps(preset, on_progress)
    of_labels, of_pile = _committee(pictures, preset, seed, progress)
    # Both opinions count alike, measured by how far they differ over the pictures.
    everything = [
        np.concatenate(pair) for pair in ((pictures.pile_logits, pictures.label_logits), (of_pile, of_labels))
    ]
    scales = [np.std(values) + 1e-6 for values in everything]
    label_scores, pile_scores = (
        frozen / scales[0] + tuned / scales[1]
        for frozen, tuned in ((pictures.label_logits, of_labels), (pictures.pile_logits, of_pile))
    )
    truth = pictures.is_pikachu[pictures.typical]
    platt = fit_platt(label_scores[None, pictures.typical], truth)
    answers = expected_logits(platt.logits(pile_scores), platt.variances(pile_scores))
    share, shift = pile_prior(answers, float(truth.mean()))
    keras.utils.set_random_seed(seed)
    student = build_network(preset)
    batches = _distilling(pictures, sigmoid(answers), preset, seed)
    _train(student, batches, preset, preset.student_steps, progress.of("what they agree on"))
    learned = logits_of(student, pictures.pile)
    slope, offset = _line(student, pictures, learned, answers, platt.logits(label_scores))
    return FineTuned(
        student,
        float(slope),
        float(offset),
        shift,
        share,
        sigmoid(platt.logits(label_scores)),
        sigmoid(slope * learned + offset + shift),
    )


def _line(
    student: keras.Model, pictures: Pictures, learned: np.ndarray, answers: np.ndarray, of_labels: np.ndarray
) -> np.ndarray:
    """Return slope and offset from the student's logits to the committee's, whose calibration holds.

    Over the pile (P,), which it has not memorised; over the labels (N,) only where there is hardly a pile.
    """
    if len(answers) < ENOUGH_PILE:
        learned, answers = logits_of(student, pictures.labelled[:, 0]), of_labels
    return np.polyfit(learned, answers, 1)


def build_network(preset: FinetunedPreset) -> keras.Model:
    """Build the trainable part: feature maps (N, h, w, C) → logits (N, 1)."""
    top = build_top(LITES[preset.frozen.features.lite], IMAGE_SIZE, preset.tap)
    maps = keras.Input(top.input_shape[1:], name="maps")
    x = keras.layers.Dropout(preset.dropout)(keras.layers.GlobalAveragePooling2D()(top(maps)))
    logit = keras.layers.Dense(1, kernel_initializer="zeros", name="logit")(x)
    return keras.Model(maps, keras.layers.Rescaling(_BOOST)(logit), name="finetuned")


def logits_of(network: keras.Model, maps: np.ndarray) -> np.ndarray:
    """Map feature maps (N, h, w, C) to float32 logits (N,)."""
    chunks = [
        np.asarray(network.predict_on_batch(maps[at : at + _AT_ONCE].astype(np.float32)))[:, 0]
        for at in range(0, len(maps), _AT_ONCE)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)


def _committee(
    pictures: Pictures, preset: FinetunedPreset, seed: int, progress: "_Steps"
) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of each label (N,) by the member that had not seen it, and mean ones of the pile (P,)."""
    truth = pictures.is_pikachu
    num = min(preset.num_members, int(truth.sum()), int((~truth).sum()))
    fold_of = folds(truth, num, seed)
    of_labels, of_pile = np.zeros(truth.size), np.zeros(len(pictures.pile))
    for member in range(num):
        keras.utils.set_random_seed(seed * 1000 + member)
        network = build_network(preset)
        held_out = fold_of == member
        batches = _labelled(pictures, np.flatnonzero(~held_out), preset, seed * 1000 + member)
        _train(network, batches, preset, preset.steps, progress.of(f"network {member + 1} of {num}"))
        of_labels[held_out] = (
            sum(logits_of(network, pictures.labelled[held_out, side]) for side in (0, 1)) / 2
        )
        of_pile += logits_of(network, pictures.pile) / num
    return of_labels, of_pile


def _labelled(pictures: Pictures, rows: np.ndarray, preset: FinetunedPreset, seed: int) -> Batches:
    """Yield batches of labelled pictures in any of their variations, half of them Pikachus."""
    rng = np.random.default_rng(seed)
    kinds = [rows[pictures.is_pikachu[rows] == kind] for kind in (True, False)]
    targets = np.repeat([preset.certainty, 1 - preset.certainty], preset.batch_size // 2)
    while True:
        chosen = np.concatenate([rng.choice(kind, preset.batch_size // 2) for kind in kinds])
        variations = rng.integers(pictures.labelled.shape[1], size=chosen.size)
        yield (
            pictures.labelled[chosen, variations].astype(np.float32),
            targets[:, None].astype(np.float32),
        )


def _distilling(pictures: Pictures, answers: np.ndarray, preset: FinetunedPreset, seed: int) -> Batches:
    """Yield batches of labelled pictures with their labels and of the pile's with soft answers (P,)."""
    rng = np.random.default_rng(seed)
    for maps, targets in _labelled(pictures, np.arange(pictures.is_pikachu.size), preset, seed):
        rows = rng.integers(len(answers), size=preset.pile_batch_size if len(answers) else 0)
        yield (
            np.concatenate([maps, pictures.pile[rows].astype(np.float32)]),
            np.concatenate([targets, answers[rows, None].astype(np.float32)]),
        )


def _train(
    network: keras.Model,
    batches: Batches,
    preset: FinetunedPreset,
    steps: int,
    callback: keras.callbacks.Callback,
) -> None:
    schedule = keras.optimizers.schedules.CosineDecay(preset.learning_rate, steps)
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=preset.weight_decay),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,  # on a CPU, compiling with XLA takes longer than the whole run
    )
    network.fit(batches, steps_per_epoch=steps, epochs=1, callbacks=[callback], shuffle=False, verbose=0)


class _Steps:
    """Count the steps of all networks together."""

    def __init__(self, preset: FinetunedPreset, on_progress: OnProgress) -> None:
        self._total = preset.num_members * preset.steps + preset.student_steps
        self._done, self._on_progress = 0, on_progress

    def of(self, what: str) -> keras.callbacks.Callback:
        """Return the callback for one network's training."""

        def after(step: int, logs: dict[str, Any] | None = None) -> None:
            self._done += 1
            if step % _REPORT_EVERY == 0:
                loss = round(float((logs or {}).get("loss", 0.0)), 4)
                self._on_progress(self._done, self._total, f"fine-tuning: {what}", loss=loss)

        callback: Callable[..., keras.callbacks.Callback] = keras.callbacks.LambdaCallback
        return callback(on_train_batch_end=after)
