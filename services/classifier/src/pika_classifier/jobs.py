"""The jobs of queue `classifier`: labels → a published model, pictures → features, images → pikachu.

A run's id is its job's; what it leaves behind lies in the RUNS bucket below `classifier/<run id>/`.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pika_classifier.config import FeatureSet, FrozenPreset, preset_named
from pika_classifier.filtering.predictions import Predictions, histogram
from pika_classifier.filtering.selection import Decision, apply
from pika_classifier.labels import log as label_log
from pika_classifier.serve.predictor import MODEL_NAME, Predictor, default_threshold, load_predictor
from pika_kit.models import NoModel, Registry, UnknownVersion
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext, JobError
from pika_kit.stages import Bucket


def train(
    context: JobContext, *, preset: str | None = None, seed: int = 0, activate: bool = True
) -> dict[str, Any]:
    """Train on all labels and publish the model with its card.

    A run that was interrupted begins anew, but for the features that it has computed; one that had published
    already only tells its result again.

    Raises:
        JobError: there are too few labels, or no such preset.
    """
    # Imported here: a filter job needs no TensorFlow.
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
        # So that filtering and the next labels need not look at the pictures again.
        Predictions(context.store, version, Bucket.IMAGES).write(made.probabilities)
    context.store.put_json(Bucket.RUNS, f"classifier/{context.job_id}/version.json", {"version": version})
    return _result(registry.card(version))


def compute_features(context: JobContext) -> dict[str, Any]:
    """Look at every picture that nobody has looked at yet, for the default preset.

    Training does so by itself; several of these jobs on several workers share the work.

    Returns:
        {"features", "num_pictures", "unreadable"}.
    """
    from pika_classifier.training import complete_bank

    features = FeatureSet()
    found = complete_bank(context, features, Bucket.IMAGES)
    return {
        "features": features.key,
        "num_pictures": len(found.ids),
        "unreadable": len(found.ids) - len(found.readable().ids),
    }


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
