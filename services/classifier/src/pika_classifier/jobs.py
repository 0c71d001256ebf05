"""The jobs of the queue `classifier`: labels → a published model, pictures → features, images → pikachu.

A run's id is its job's; its files are in the RUNS bucket under `classifier/<run id>/`.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pika_classifier.config import FeatureSet, FinetunedPreset, FrozenPreset, preset_named
from pika_classifier.filtering.borderline import save_borderline
from pika_classifier.filtering.predictions import Predictions, histogram
from pika_classifier.filtering.selection import Decision, apply, audited
from pika_classifier.labels import log as label_log
from pika_classifier.learn.threshold import threshold_for
from pika_classifier.serve.predictor import MODEL_NAME, Predictor, load_predictor
from pika_kit.models import NoModel, Registry, UnknownVersion
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext, JobError
from pika_kit.stages import Bucket

LIKELY = 0.5
"""Nobody who has not asked for them gets pictures that are more likely no Pikachu: where the two kinds are
easily told apart, a precision of 0.94 alone would fill up with them."""


def train(
    context: JobContext, *, preset: str | None = None, seed: int = 0, activate: bool = True
) -> dict[str, Any]:
    """Train on all labels and publish the model with its card.

    An interrupted run starts over, except for the features it has computed. A run that had already published
    only returns its result again.

    Raises:
        JobError: there are too few labels, or no such preset.
    """
    # Imported here, because a filter job does not need TensorFlow.
    from pika_classifier.finetuning import train_finetuned
    from pika_classifier.learn.data import TooFewLabels
    from pika_classifier.training import train_by_steps, train_frozen

    registry = Registry(context.store, MODEL_NAME)
    published = registry.published_by(context.job_id)
    if published:
        return _result(registry.card(published))
    try:
        chosen = preset_named(preset)
    except ValueError as error:
        raise JobError(str(error)) from error
    label_log.LabelSet(context.store).remove_withdrawn()
    with _scratch(context) as folder:
        try:
            if isinstance(chosen, FrozenPreset):
                made = train_frozen(context, folder, chosen, seed)
            elif isinstance(chosen, FinetunedPreset):
                made = train_finetuned(context, folder, chosen, seed)
            else:
                made = train_by_steps(context, folder, chosen, seed)
        except TooFewLabels as error:
            raise JobError(str(error)) from error
        version = registry.publish(
            folder / "model",
            made.card,
            run_id=context.job_id,
            activate=activate,
            faults=made.faults,
            pictures=made.picture_ids,
        )
    if made.probabilities:
        # So that filtering and label suggestions need not predict the pictures again.
        Predictions(context.store, version, Bucket.IMAGES).write(made.probabilities)
    context.store.put_json(Bucket.RUNS, f"classifier/{context.job_id}/version.json", {"version": version})
    return _result(registry.card(version))


def compute_features(context: JobContext) -> dict[str, Any]:
    """Compute the missing features of all pictures for the default preset.

    Training does this by itself; several of these jobs on several workers share the work.

    Returns:
        {"features", "num_pictures", "unreadable"}.
    """
    from pika_classifier.training import complete_bank

    features = FeatureSet()
    bank = complete_bank(context, features, Bucket.IMAGES)
    return {
        "features": features.key,
        "num_pictures": len(bank.ids),
        "unreadable": len(bank.ids) - len(bank.readable().ids),
    }


def _result(card: dict[str, Any]) -> dict[str, Any]:
    """Return the job's result for its user; the card has the rest."""
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


@contextmanager
def _scratch(context: JobContext) -> Iterator[Path]:
    """Create a temporary folder of this run's own."""
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
    precision: float | None = None,
    dry_run: bool = False,
    model_version: str | None = None,
) -> dict[str, Any]:
    """Make the bucket pikachu contain exactly the accepted pictures of images.

    See `selection` and `predictions`. Safe to repeat: nothing is predicted twice for one version, and the
    same decision changes nothing.

    Args:
        threshold: smallest accepted probability.
        precision: instead, the expected share of accepted pictures that show Pikachu; the threshold follows
            from the probabilities of the pictures at hand. With neither, the operator's threshold applies,
            otherwise the card's recommendation, at 0.5 or above.
        dry_run: only report what would be accepted.
        model_version: None for the current one.

    Raises:
        JobError: no such version or model, or a number outside 0 … 1.
    """
    for name, value in (("threshold", threshold), ("precision", precision)):
        if value is not None and not 0.0 < value < 1.0:
            raise JobError(f"{name}: expected a number between 0 and 1, received {value}")
    if threshold is not None and precision is not None:
        raise JobError("expected a threshold or a precision, received both")
    predictor = _load(context, model_version)
    is_told = threshold is not None or precision is not None
    if not is_told:
        threshold = context.settings.is_pikachu_threshold
        if threshold is None:
            precision = predictor.recommended_precision
            threshold = predictor.recommended_threshold if precision is None else None
    label_log.LabelSet(context.store).remove_withdrawn()
    kept = Predictions(context.store, predictor.version, Bucket.IMAGES)
    # Jobs on several workers predict together. Then one at a time decides, about the pictures there are by
    # then, and makes the bucket match.
    num_predicted = _predict(context, predictor, kept)[1]
    with context.exclusive("filter"):
        kept.merge()
        probabilities, num_more = _predict(context, predictor, kept)
        least = 0.0 if is_told else LIKELY
        report = _decide(
            context,
            predictor.version,
            probabilities,
            threshold=threshold,
            aim=(precision, least),
            dry_run=dry_run,
        )
    report["predicted_now"] = num_predicted + num_more
    key = f"classifier/{context.job_id}/filter.json"
    context.store.put(Bucket.RUNS, key, json.dumps(report).encode(), content_type="application/json")
    return report


def _load(context: JobContext, model_version: str | None) -> Predictor:
    try:
        return load_predictor(context.settings, context.store, model_version)
    except NoModel as error:
        raise JobError(f"{error}: train one first (POST /classifier/train)") from error
    except UnknownVersion as error:
        raise JobError(f"model_version: there is no {error.args[0]!r}") from error


def _predict(
    context: JobContext, predictor: Predictor, kept: Predictions
) -> tuple[dict[str, float | None], int]:
    return kept.complete(predictor, lambda done, total: context.progress(done, total, "classifying pictures"))


def _decide(
    context: JobContext,
    version: str,
    probabilities: dict[str, float | None],
    *,
    threshold: float | None,
    aim: tuple[float | None, float],
    dry_run: bool,
) -> dict[str, Any]:
    """Decide, make the bucket match, and return the report.

    Args:
        aim: without a threshold, the precision that determines it, and its lower limit.
    """
    precision, least = aim
    images, chosen = PictureBucket(context.store, Bucket.IMAGES), PictureBucket(context.store, Bucket.PIKACHU)
    readable = np.array([value for value in probabilities.values() if value is not None])
    if threshold is None:
        threshold = max(threshold_for(readable, precision or 0.5).threshold, least)
    current = label_log.LabelSet(context.store).current()
    by_hand = {picture_id: label["label"] for picture_id, label in current.items()}
    decision = Decision(version, threshold, probabilities, by_hand)
    changes = {"added": 0, "kept": 0, "removed": 0}
    if not dry_run:
        changes = apply(
            decision,
            images,
            chosen,
            lambda done, total: context.progress(done, total, "making the chosen pictures' bucket agree"),
        )
    seen = Registry(context.store, MODEL_NAME).pictures(version)
    return {
        "model_version": version,
        "threshold": threshold,
        "precision": precision,
        "dry_run": dry_run,
        **decision.counts(),
        **changes,
        **decision.certainty(audited(current, seen)),
        "histogram": histogram([float(value) for value in readable]),
        "borderline": save_borderline(context.store, context.job_id, decision, images),
    }
