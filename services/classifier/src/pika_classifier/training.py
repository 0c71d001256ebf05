"""A training job's steps between labels and a published model: reading, learning, exporting, the card."""

import hashlib
import importlib.metadata
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pika_classifier.config import MISTAKES, FeatureSet, FinetunedPreset, FrozenPreset, Preset
from pika_classifier.features.bank import Bank, Features
from pika_classifier.features.publish import ensure_extractor
from pika_classifier.features.variations import variations_of
from pika_classifier.labels import log as label_log
from pika_classifier.labels.vocabulary import PIKACHU, SPLITS, UNCERTAIN
from pika_classifier.learn.data import LabelledPictures, check_counts
from pika_classifier.learn.frozen import LabelledFeatures, TrainedHead, train_head
from pika_classifier.learn.networks import frozen_model
from pika_classifier.learn.plots import PLOTS, surest_mistakes
from pika_classifier.learn.train import train as train_on
from pika_classifier.serve.export import export
from pika_classifier.serve.predictor import prepare
from pika_kit.images import sheet
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.withdrawn import withdrawn_ids

_LIBRARIES = ("keras", "tensorflow-cpu", "tensorflow", "tf2onnx", "onnxruntime", "numpy", "pillow")
_NUM_THREADS = 8
_NUM_COMPARED = 64
"""Pictures on which the exported model's runtimes are compared."""


@dataclass(frozen=True)
class Made:
    """What to publish; the model is in the given folder.

    Attributes:
        picture_ids: of the pictures it was trained on.
        faults: why it should not be served.
        probabilities: its predictions for pictures of the images bucket, as far as already computed.
    """

    card: dict[str, Any]
    picture_ids: list[str]
    faults: list[str]
    probabilities: dict[str, float | None] = field(default_factory=dict)


def train_by_steps(context: JobContext, folder: Path, preset: Preset, seed: int) -> Made:
    """Train a network of our own on the labels' "trains", selected by their "valids".

    Raises:
        TooFewLabels: a split lacks pictures of a label.
    """
    labels = label_log.LabelSet(context.store)
    current = labels.current()
    context.progress(0, None, "reading the labelled pictures")
    rows = _labelled_rows(labels.pictures, current)
    trains, valids = (LabelledPictures.of(rows[split]) for split in SPLITS)
    trained = train_on(
        trains, valids, preset, seed=seed, log_folder=folder / "tensorboard", on_progress=context.progress
    )
    context.progress(0, None, "exporting")
    agreement = export(trained.model, folder / "model", valids.pixels[:_NUM_COMPARED])
    card = _card(context, asdict(preset), seed, current, agreement) | {
        "validation": trained.validation,
        "validated_on": "valids",
        "recommended_threshold": trained.validation["recommended_threshold"],
        "temperature": trained.temperature,
        "num_weights": trained.model.count_params(),
        "curves": trained.history,
        "training_seconds": round(trained.seconds, 1),
    }
    card["mistakes"] = _draw(
        folder, valids.ids, valids.is_pikachu, trained.valid_probabilities, lambda row: valids.pixels[row]
    )
    _keep(context, folder, card, dict(zip(valids.ids, trained.valid_probabilities, strict=True)))
    return Made(card, [*trains.ids, *valids.ids], _faults(card))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A frozen head and what it was trained on.

    Attributes:
        current: the labels, as `LabelSet.current`.
        pile, known: all pictures of the images bucket, and the readable ones.
        looking_seconds: how long features took.
    """

    current: dict[str, dict[str, Any]]
    labelled: LabelledFeatures
    pile: Features
    known: Features
    trained: TrainedHead
    looking_seconds: float


def train_frozen(context: JobContext, folder: Path, preset: FrozenPreset, seed: int) -> Made:
    """Train a head on frozen features of all pictures; see `learn.frozen`.

    Raises:
        TooFewLabels: there are hardly any pictures of a label.
    """
    started = time.monotonic()
    fitted = fit_frozen(context, preset, seed)
    context.progress(0, None, "exporting")
    model = frozen_model(preset.features, fitted.trained.head)
    agreement = export(model, folder / "model", some_pixels(context, fitted.labelled.ids))
    card = {"validation": fitted.trained.validation, **fitted.trained.facts}
    of_labels = fitted.trained.label_probabilities
    made = cross_fitted(
        context, folder, fitted, preset, facts=card, seed=seed, label_probabilities=of_labels,
        agreement=agreement, started=started,
    )  # fmt: skip
    return replace(made, probabilities=_answers(fitted.trained, fitted.pile, fitted.known))


def fit_frozen(context: JobContext, preset: FrozenPreset, seed: int) -> Fitted:
    """Complete the features, and train a head on them. Raises TooFewLabels."""
    started = time.monotonic()
    current = label_log.LabelSet(context.store).current()
    kinds = [label["label"] for label in current.values()]
    check_counts("labels", {label: kinds.count(label) for label in label_log.LABELS})
    pile = complete_bank(context, preset.features, Bucket.IMAGES)
    known = pile.readable()
    others = complete_bank(context, preset.features, Bucket.LABELS, without=frozenset(pile.ids)).readable()
    labelled = _labelled_features(known.joined(others), current)
    variations = variations_of(
        context.store,
        ensure_extractor(context.store, preset.features),
        preset,
        known.ids,
        lambda done, total: context.progress(done, total, "looking at variations of pictures"),
    )
    looked = time.monotonic()
    trained = train_head(labelled, known, variations, preset, seed=seed, on_progress=context.progress)
    return Fitted(current, labelled, pile, known, trained, looked - started)


def cross_fitted(
    context: JobContext,
    folder: Path,
    fitted: Fitted,
    preset: FrozenPreset | FinetunedPreset,
    *,
    seed: int,
    facts: dict[str, Any],
    label_probabilities: np.ndarray,
    agreement: dict[str, float],
    started: float,
) -> Made:
    """Complete the card of a model whose labels were answered by others that had not seen them.

    Args:
        facts: for the card.
        label_probabilities: float (N,), of the labels.
        agreement: of the exported runtimes.
        started: by `time.monotonic`.
    """
    features = preset.features if isinstance(preset, FrozenPreset) else preset.frozen.features
    card = _card(context, asdict(preset), seed, fitted.current, agreement) | {
        "validated_on": "labels that were not chosen as hard ones, each by heads that had not seen it",
        "features": features.key,
        **facts,
        "looking_seconds": round(fitted.looking_seconds, 1),
        "training_seconds": round(time.monotonic() - started - fitted.looking_seconds, 1),
    }
    pictures, labelled = label_log.LabelSet(context.store).pictures, fitted.labelled
    card["mistakes"] = _draw(
        folder,
        labelled.ids,
        labelled.is_pikachu,
        label_probabilities,
        lambda row: read_pixels(pictures, labelled.ids[row]),
    )
    _keep(context, folder, card, dict(zip(labelled.ids, label_probabilities, strict=True)))
    return Made(card, list(labelled.ids), _faults(card))


def complete_bank(
    context: JobContext, features: FeatureSet, bucket: Bucket, *, without: frozenset[str] = frozenset()
) -> Features:
    """Return the features of a bucket's pictures except `without`; missing ones are computed."""
    context.progress(0, None, "preparing the network")
    extractor = ensure_extractor(context.store, features)
    bank = Bank(context.store, features, bucket, without)
    gone = frozenset(withdrawn_ids(context.store))
    if gone:
        bank.forget(gone)
    return bank.complete(
        extractor, lambda done, total: context.progress(done, total, f"extracting features of {bucket}")
    )


def manifest_hash(current: dict[str, dict[str, Any]]) -> str:
    """Return the SHA-256 of the sorted lines `id label split`: equal labels give equal hashes."""
    lines = sorted(
        f"{picture_id} {label['label']} {label['split']}\n" for picture_id, label in current.items()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _labelled_features(bank: Features, current: dict[str, dict[str, Any]]) -> LabelledFeatures:
    """Return the labels whose pictures exist. Raises TooFewLabels if few are left."""
    labelled = bank.of([picture_id in current for picture_id in bank.ids])
    labels = [current[picture_id]["label"] for picture_id in labelled.ids]
    check_counts("labels whose pictures are there", {name: labels.count(name) for name in label_log.LABELS})
    return LabelledFeatures(
        labelled.ids,
        labelled.values,
        np.array([label == PIKACHU for label in labels], bool),
        np.array([current[picture_id].get("why") == UNCERTAIN for picture_id in labelled.ids], bool),
    )


def some_pixels(context: JobContext, ids: tuple[str, ...]) -> np.ndarray:
    pictures = label_log.LabelSet(context.store).pictures
    compared = [read_pixels(pictures, picture_id) for picture_id in ids[:_NUM_COMPARED]]
    return np.stack([pixels for pixels in compared if pixels is not None])


def _answers(trained: TrainedHead, pile: Features, known: Features) -> dict[str, float | None]:
    """Return the head's prediction for every picture of the pile; None for unreadable ones."""
    answers: dict[str, float | None] = dict.fromkeys(pile.ids)
    answers.update(zip(known.ids, map(float, trained.head.probabilities(known.values)), strict=True))
    return answers


def _card(
    context: JobContext,
    preset: dict[str, Any],
    seed: int,
    current: dict[str, dict[str, Any]],
    agreement: dict[str, float],
) -> dict[str, Any]:
    """Return the fields that every card has."""
    return {
        "run_id": context.job_id,
        "preset": preset,
        "seed": seed,
        "labels": label_log.counts(current),
        "label_manifest_sha256": manifest_hash(current),
        "largest_difference_between_runtimes": agreement,
        "libraries": _versions(),
    }


def _faults(card: dict[str, Any]) -> list[str]:
    """Return why a model should not be served, from its validation."""
    auc = card["validation"]["roc_auc"]
    if auc is None or not math.isfinite(auc):
        return ["its answers on the validation labels are not finite"]
    if auc <= 0.5:
        return [f"it ranks the validation pictures no better than chance does: ROC-AUC {auc:.2f}"]
    return []


def _labelled_rows(
    pictures: PictureBucket, current: dict[str, dict[str, Any]]
) -> dict[str, list[tuple[str, np.ndarray, str]]]:
    """Read rows of (id, pixels, label) by split."""
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        pixels = dict(zip(current, pool.map(lambda one: read_pixels(pictures, one), current), strict=True))
    rows: dict[str, list[tuple[str, np.ndarray, str]]] = {split: [] for split in SPLITS}
    for picture_id, label in current.items():
        square = pixels[picture_id]
        if square is not None:
            rows[label["split"]].append((picture_id, square, label["label"]))
    return rows


def read_pixels(pictures: PictureBucket, picture_id: str) -> np.ndarray | None:
    """Read a labelled picture; None if it was deleted."""
    try:
        return prepare(pictures.bytes(picture_id))
    except ObjectMissing:
        return None


def _draw(
    folder: Path,
    ids: Sequence[str],
    is_pikachu: np.ndarray,
    probabilities: np.ndarray,
    pixels_of: Callable[[int], np.ndarray | None],
) -> list[dict[str, Any]]:
    """Write the card's plots and a sheet of the most confident mistakes beside the model.

    Returns:
        The sheet's contents, row by row: {id, is_pikachu, probability}. Without mistakes there is no sheet.
    """
    for name, draw in PLOTS.items():
        (folder / "model" / name).write_text(draw(is_pikachu, probabilities), encoding="utf-8")
    wrong = [(row, pixels_of(row)) for row in surest_mistakes(is_pikachu, probabilities)]
    tiles = [(row, pixels) for row, pixels in wrong if pixels is not None]
    if tiles:
        (folder / "model" / MISTAKES).write_bytes(encode_png(sheet(np.stack([tile for _, tile in tiles]))))
    return [
        {
            "id": ids[row],
            "is_pikachu": bool(is_pikachu[row]),
            "probability": round(float(probabilities[row]), 4),
        }
        for row, _ in tiles
    ]


def _keep(context: JobContext, folder: Path, card: dict[str, Any], answers: dict[str, Any]) -> None:
    """Save TensorBoard's files, the card and the answers to held-out labels in the RUNS bucket."""
    prefix = f"classifier/{context.job_id}/"
    for path in sorted((folder / "tensorboard").rglob("*")):
        if path.is_file():
            context.store.put_file(Bucket.RUNS, prefix + path.relative_to(folder).as_posix(), path)
    context.store.put_json(Bucket.RUNS, f"{prefix}card.json", card)
    probabilities = {picture_id: float(value) for picture_id, value in answers.items()}
    context.store.put_json(Bucket.RUNS, f"{prefix}valid_probabilities.json", probabilities)


def _versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
