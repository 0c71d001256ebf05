"""The jobs `classifier-train` (labels → a published model) and `filter` (images → pikachu).

They run in the worker of queue `classifier`. A run's id is its job's; what it leaves behind lies in the RUNS
bucket below `classifier/<run id>/`.
"""

import hashlib
import importlib.metadata
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pika_classifier.config import Preset, preset_named
from pika_classifier.filtering.predictions import Predictions, histogram
from pika_classifier.filtering.selection import Decision, apply
from pika_classifier.labels import log as label_log
from pika_classifier.labels.vocabulary import SPLITS
from pika_classifier.serve.predictor import (
    MODEL_NAME,
    Predictor,
    default_threshold,
    load_predictor,
    prepare,
)
from pika_kit.models import NoModel, Registry, UnknownVersion
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext, JobError
from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing

_LIBRARIES = ("keras", "tensorflow-cpu", "tensorflow", "tf2onnx", "onnxruntime", "numpy", "pillow")
_NUM_THREADS = 8


def train(
    context: JobContext, *, preset: str | None = None, seed: int = 0, activate: bool = True
) -> dict[str, Any]:
    """Train on all labels and publish the model with its card.

    A run that was interrupted begins anew (it takes a minute or two); one that had published already only
    tells its result again.

    Raises:
        JobError: there are too few labels, or no such preset.
    """
    registry = Registry(context.store, MODEL_NAME)
    published = registry.published_by(context.job_id)
    if published:
        return _result(registry.card(published))
    try:
        chosen = preset_named(preset)
    except ValueError as error:
        raise JobError(str(error)) from error
    with _scratch(context) as folder:
        card, ids = _train(context, folder, chosen, seed)
        version = registry.publish(
            folder / "model",
            card,
            run_id=context.job_id,
            activate=activate,
            faults=_faults(card),
            pictures=ids,
        )
    context.store.put_json(Bucket.RUNS, f"classifier/{context.job_id}/version.json", {"version": version})
    return _result(registry.card(version))


def _train(context: JobContext, folder: Path, preset: Preset, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Everything up to publishing: `folder/model` holds the exported model; the card and the ids."""
    # Imported here: a filter job needs no TensorFlow.
    from pika_classifier.learn.data import LabelledPictures, TooFewLabels
    from pika_classifier.learn.train import train as train_on
    from pika_classifier.serve.export import export

    labels = label_log.LabelSet(context.store)
    labels.remove_withdrawn()
    current = labels.current()
    context.progress(0, None, "reading the labelled pictures")
    rows = _labelled_rows(labels.pictures, current)
    trains, valids = (LabelledPictures.of(rows[split]) for split in SPLITS)
    try:
        trained = train_on(
            trains, valids, preset, seed=seed, log_folder=folder / "tensorboard", on_progress=context.progress
        )
    except TooFewLabels as error:
        raise JobError(str(error)) from error
    context.progress(0, None, "exporting")
    agreement = export(trained.model, folder / "model", valids.pixels[:64])
    card = {
        "run_id": context.job_id,
        "preset": asdict(preset),
        "seed": seed,
        "labels": label_log.counts(current),
        "label_manifest_sha256": manifest_hash(current),
        "validation": trained.validation,
        "recommended_threshold": trained.validation["recommended_threshold"],
        "temperature": trained.temperature,
        "curves": trained.history,
        "training_seconds": round(trained.seconds, 1),
        "largest_difference_between_runtimes": agreement,
        "libraries": _versions(),
    }
    _keep(context, folder, card, dict(zip(valids.ids, trained.valid_probabilities, strict=True)))
    return card, [*trains.ids, *valids.ids]


def _faults(card: dict[str, Any]) -> list[str]:
    """Why a model should not be served, from its validation."""
    auc = card["validation"]["roc_auc"]
    if not math.isfinite(auc):
        return ["its answers on the validation labels are not finite"]
    if auc <= 0.5:
        return [f"it ranks the validation pictures no better than chance does: ROC-AUC {auc:.2f}"]
    return []


def _labelled_rows(
    pictures: PictureBucket, current: dict[str, dict[str, Any]]
) -> dict[str, list[tuple[str, np.ndarray, str]]]:
    """Split → rows of (id, pixels, label)."""
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        pixels = dict(zip(current, pool.map(lambda found: _pixels(pictures, found), current), strict=True))
    rows: dict[str, list[tuple[str, np.ndarray, str]]] = {split: [] for split in SPLITS}
    for picture_id, label in current.items():
        found = pixels[picture_id]
        if found is not None:
            rows[label["split"]].append((picture_id, found, label["label"]))
    return rows


def _pixels(pictures: PictureBucket, picture_id: str) -> np.ndarray | None:
    """None where a labelled picture was deleted."""
    try:
        return prepare(pictures.bytes(picture_id))
    except ObjectMissing:
        return None


def manifest_hash(current: dict[str, dict[str, Any]]) -> str:
    """SHA-256 over the sorted lines `id label split`: the same labels give the same hash."""
    lines = sorted(f"{found} {label['label']} {label['split']}\n" for found, label in current.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _keep(context: JobContext, folder: Path, card: dict[str, Any], valid: dict[str, Any]) -> None:
    """Put TensorBoard's files, the curves and the validation answers into the RUNS bucket."""
    prefix = f"classifier/{context.job_id}/"
    for path in sorted((folder / "tensorboard").rglob("*")):
        if path.is_file():
            context.store.put_file(Bucket.RUNS, prefix + path.relative_to(folder).as_posix(), path)
    context.store.put_json(Bucket.RUNS, f"{prefix}card.json", card)
    answers = {picture_id: float(value) for picture_id, value in valid.items()}
    context.store.put_json(Bucket.RUNS, f"{prefix}valid_probabilities.json", answers)


def _result(card: dict[str, Any]) -> dict[str, Any]:
    """What the job's user is told; the card has the rest."""
    validation = card["validation"]
    return {
        "version": card["version"],
        "preset": card["preset"]["name"],
        "roc_auc": validation["roc_auc"],
        "pr_auc": validation["pr_auc"],
        "recommended_threshold": card["recommended_threshold"],
        "labels": card["labels"],
        "validation": validation,
        "training_seconds": card["training_seconds"],
        "run": f"classifier/{card['run_id']}/",
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@contextmanager
def _scratch(context: JobContext) -> Iterator[Path]:
    """A folder of this run's own, gone afterwards."""
    context.settings.state_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="classifier-", dir=context.settings.state_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def filter_bucket(
    context: JobContext,
    *,
    threshold: float | None = None,
    source: str = "images",
    target: str = "pikachu",
    model_version: str | None = None,
) -> dict[str, Any]:
    """Make `target` hold exactly the pictures of `source` that pass; see `selection` and `predictions`.

    Safe to run again: nothing is predicted twice for one version, and the same decision changes nothing.

    Args:
        threshold: probability from which a picture passes; None for the operator's, or else the card's.
        model_version: None for the current one.

    Raises:
        JobError: no such bucket, version or model, or a threshold outside of 0 … 1.
    """
    if threshold is not None and not 0.0 < threshold < 1.0:
        raise JobError(f"threshold: expected a number between 0 and 1, received {threshold}")
    if (source, target) != (Bucket.IMAGES.value, Bucket.PIKACHU.value):
        raise JobError(f"expected source 'images' and target 'pikachu', received {source!r} and {target!r}")
    try:
        predictor = load_predictor(context.settings, context.store, model_version)
    except NoModel as error:
        raise JobError(f"{error}: train one first (POST /classifier/train)") from error
    except UnknownVersion as error:
        raise JobError(f"model_version: there is no {error.args[0]!r}") from error
    if threshold is None:
        threshold = default_threshold(context.settings, predictor)
    label_log.LabelSet(context.store).remove_withdrawn()
    with context.exclusive("filter"):
        return _filter(context, predictor, threshold, source, target)


def _filter(
    context: JobContext, predictor: Predictor, threshold: float, source: str, target: str
) -> dict[str, Any]:
    """Predict what is missing, decide, and make the target agree; one job at a time."""
    kept = Predictions(context.store, predictor.version, Bucket(source))
    probabilities, num_predicted = kept.complete(
        predictor, lambda done, total: context.progress(done, total, "looking at the pictures")
    )
    current = label_log.LabelSet(context.store).current()
    by_hand = {found: label["label"] for found, label in current.items()}
    decision = Decision(predictor.version, threshold, probabilities, by_hand)
    changes = apply(
        decision,
        PictureBucket(context.store, Bucket(source)),
        PictureBucket(context.store, Bucket(target)),
        lambda done, total: context.progress(done, total, "making the chosen pictures' bucket agree"),
    )
    report = {
        "model_version": predictor.version,
        "threshold": threshold,
        **decision.counts(),
        **changes,
        "predicted_now": num_predicted,
        "histogram": histogram([value for value in probabilities.values() if value is not None]),
    }
    key = f"classifier/{context.job_id}/filter.json"
    context.store.put(Bucket.RUNS, key, json.dumps(report).encode(), content_type="application/json")
    return report
