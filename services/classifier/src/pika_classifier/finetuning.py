"""A fine-tuning job's steps: the frozen head, feature maps of the pictures, fine-tuning, export, the card."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import keras
import numpy as np

from pika_classifier.config import IMAGE_SIZE, FinetunedPreset
from pika_classifier.features.preprocessing import picture_input
from pika_classifier.features.variations import choose_varied
from pika_classifier.labels import log as label_log
from pika_classifier.labels.vocabulary import OTHERS, PIKACHU
from pika_classifier.learn import metrics
from pika_classifier.learn.augment import augment
from pika_classifier.learn.batches import compiled
from pika_classifier.learn.calibrate import logit
from pika_classifier.learn.data import check_counts
from pika_classifier.learn.finetune import Pictures, fine_tune
from pika_classifier.learn.networks import finetuned_model
from pika_classifier.learn.recommend import recommendations
from pika_classifier.serve.export import export
from pika_classifier.training import Fitted, Made, cross_fitted, fit_frozen, read_pixels, some_pixels
from pika_eyes.lite import LITES, build_lite, normalise
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.threads import in_threads

_CHUNK = 32
_READERS = 8


def train_finetuned(context: JobContext, folder: Path, preset: FinetunedPreset, seed: int) -> Made:
    """Train a frozen head, then networks whose last blocks are fine-tuned; see `learn.finetune`.

    Raises:
        TooFewLabels: there are hardly any pictures of a label.
    """
    started = time.monotonic()
    fitted = fit_frozen(context, preset.frozen, seed)
    pictures, there = _pictures(context, fitted, preset)
    tuned = fine_tune(pictures, preset, seed=seed, on_progress=context.progress)
    context.progress(0, None, "exporting")
    head = fitted.trained.head
    model = finetuned_model(preset.frozen.features, head, preset.tap, tuned)
    agreement = export(model, folder / "model", some_pixels(context, fitted.labelled.ids))
    truth, typical = pictures.is_pikachu, pictures.typical
    facts = {
        "validation": metrics.report(truth[typical], tuned.label_probabilities[typical]),
        "num_typical_labels": len(typical),
        "distilled_from": len(pictures.pile),
        **recommendations(
            tuned.pile_probabilities,
            num_labels=truth.size,
            num_unlabelled=len(fitted.known.ids),
            share=tuned.share,
            shift=tuned.shift,
        ),
    }
    of_labels = fitted.trained.label_probabilities.copy()
    of_labels[there] = tuned.label_probabilities
    return cross_fitted(
        context, folder, fitted, preset, facts=facts, seed=seed, label_probabilities=of_labels,
        agreement=agreement, started=started,
    )  # fmt: skip


def lower_network(preset: FinetunedPreset) -> keras.Model:
    """Build the part that stays frozen: uint8 pictures (N, 256, 256, 3) → feature maps (N, h, w, C)."""
    pictures = picture_input()
    lower = build_lite(LITES[preset.frozen.features.lite], IMAGE_SIZE, taps=(preset.tap,))
    maps = lower(normalise(pictures))
    return keras.Model(pictures, maps[0] if isinstance(maps, list) else maps, name="lower")


def look(
    lower: Callable[[np.ndarray], np.ndarray],
    labelled: Iterable[tuple[str, np.ndarray]],
    pile: Iterable[tuple[str, np.ndarray]],
    preset: FinetunedPreset,
    num_labels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute feature maps, in half precision because they are many.

    Args:
        lower: a compiled `lower_network`.
        labelled, pile: (id, uint8 (256, 256, 3)) in order; the id seeds what is random about a picture.
        num_labels: how many are labelled.

    Returns:
        float16 (N, V, h, w, C): each labelled picture, its mirror image, and variations; and (P, h, w, C):
        one of the two sides of each unlabelled picture.
    """
    num = max(1, min(preset.num_variations, preset.max_variations // max(1, num_labels)))
    variants = (
        np.stack([pixels, pixels[:, ::-1], *_varied(pixels, picture_id, preset, num)])
        for picture_id, pixels in labelled
    )
    of_labels = [lower(several).astype(np.float16) for several in variants]
    of_pile, sides = [], (_one_side(picture_id, pixels) for picture_id, pixels in pile)
    while chunk := list(islice(sides, _CHUNK)):
        of_pile.append(lower(np.stack(chunk)).astype(np.float16))
    shape = lower(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)).shape[1:]
    return (
        np.stack(of_labels) if of_labels else np.zeros((0, num + 2, *shape), np.float16),
        np.concatenate([np.zeros((0, *shape), np.float16), *of_pile]),
    )


def _varied(pixels: np.ndarray, picture_id: str, preset: FinetunedPreset, num: int) -> list[np.ndarray]:
    rng = np.random.default_rng(list(picture_id.encode()))
    return [augment(pixels, rng, preset.variation, IMAGE_SIZE) for _ in range(num)]


def _one_side(picture_id: str, pixels: np.ndarray) -> np.ndarray:
    return pixels[:, ::-1] if sum(picture_id.encode()) % 2 else pixels


def _pictures(context: JobContext, fitted: Fitted, preset: FinetunedPreset) -> tuple[Pictures, np.ndarray]:
    """Read the pictures and look at them; also return which labels' pictures were still there, bool (N,).

    Raises:
        TooFewLabels: nearly all pictures of a label were deleted meanwhile.
    """
    labelled, trained, known = fitted.labelled, fitted.trained, fitted.known
    row_of = {picture_id: row for row, picture_id in enumerate(known.ids)}
    unlabelled = tuple(set(known.ids) - set(labelled.ids))
    total = len(labelled.ids) + min(len(unlabelled), preset.max_pile)
    seen: list[str] = []

    def read(pictures: PictureBucket, ids: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        for picture_id, pixels in in_threads(lambda one: read_pixels(pictures, one), ids, _READERS):
            if len(seen) % _CHUNK == 0:
                context.progress(len(seen), total, "looking at the pictures to fine-tune on")
            if pixels is not None:
                seen.append(picture_id)
                yield picture_id, pixels

    maps, pile = look(
        compiled(lower_network(preset)),
        read(label_log.LabelSet(context.store).pictures, labelled.ids),
        read(PictureBucket(context.store, Bucket.IMAGES), choose_varied(unlabelled, preset.max_pile)),
        preset,
        len(labelled.ids),
    )
    there = np.isin(labelled.ids, seen)
    is_pikachu = labelled.is_pikachu[there]
    counts = {PIKACHU: int(is_pikachu.sum()), OTHERS: int((~is_pikachu).sum())}
    check_counts("labelled pictures that still exist", counts)
    of_pile = known.values[[row_of[picture_id] for picture_id in seen[len(maps) :]]]
    learned = Pictures(
        maps,
        is_pikachu,
        np.flatnonzero(np.isin(np.flatnonzero(there), labelled.typical())),
        logit(trained.label_probabilities[there]),
        pile,
        trained.head.platt.logits(trained.head.scores(of_pile)),
    )
    return learned, there
