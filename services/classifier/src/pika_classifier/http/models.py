"""The classifier's jobs, the plots of its versions, and the comparison of two."""

from typing import Any

import numpy as np
from flask import Response, jsonify
from flask_openapi3 import Tag

from pika_classifier.config import MISTAKES
from pika_classifier.filtering.borderline import load_sheet
from pika_classifier.filtering.predictions import Predictions
from pika_classifier.http.answers import ComparisonAnswer
from pika_classifier.http.ask import current_predictor, predictors
from pika_classifier.http.schemas import (
    PLOT_NAMES,
    ClassifierTrainRequest,
    CompareQuery,
    FilterRequest,
    PlotPath,
    SheetPath,
)
from pika_classifier.labels.log import LabelSet
from pika_classifier.labels.vocabulary import PIKACHU
from pika_classifier.learn.comparison import compare
from pika_kit.contract import answers, api_blueprint, media
from pika_kit.images import blank_tiles, decode, sheet_columns
from pika_kit.job_views import JOB_STARTED
from pika_kit.models import UnknownVersion
from pika_kit.png import encode_png
from pika_kit.service import Problem, start_job, state
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.withdrawn import withdrawn_ids

_TAG = Tag(name="classifier models", description="Training, filtering, versions")
_NUM_NAMED = 100

models_blueprint = api_blueprint("classifier_jobs", __name__, _TAG)


@models_blueprint.post("/classifier/train", responses=JOB_STARTED)
def train_classifier(body: ClassifierTrainRequest) -> tuple[Response, int, dict[str, str]]:
    """Train the classifier on all labels, as a job."""
    return start_job("classifier-train", body.model_dump())


@models_blueprint.get(
    "/classifier/models/<version>/<name>",
    responses=answers(media("image/svg+xml", "image/png"), 404),
)
def model_plot(path: PlotPath) -> Response:
    """Show a plot from a version's card (reliability, PR curve, mistakes), on labels it had not seen.

    Withdrawn pictures are blank on the sheet of mistakes.
    """
    registry = predictors().registry
    try:
        data = registry.file(path.version, path.name)
        if path.name == MISTAKES:
            data = _without_withdrawn(data, registry.card(path.version))
    except UnknownVersion:
        raise Problem(
            404, "plot-missing", "Unknown version or plot", f"{path.version} has no {path.name}."
        ) from None
    headers = {
        "Cache-Control": "max-age=3600",
        "Content-Security-Policy": "default-src 'none'",
    }
    kind = "image/svg+xml" if path.name.endswith(".svg") else "image/png"
    return Response(data, content_type=kind, headers=headers)


@models_blueprint.get("/classifier/models/comparison", responses=answers(ComparisonAnswer, 404))
def compare_versions(query: CompareQuery) -> Response:
    """Compare two versions, on labels that neither had seen, and on all pictures.

    `difference` is the other version's figure minus the base's, over the labels both have answered, with a
    95 % interval from a paired bootstrap: if it contains 0, the labels cannot tell the versions apart.
    """
    registry, store = predictors().registry, state().store
    cards = {version: registry.card(version) for version in (query.base, query.other)}
    answers = [
        store.read_json(Bucket.RUNS, f"classifier/{card['run_id']}/valid_probabilities.json", {})[0]
        for card in cards.values()
    ]
    truth = {picture_id: label["label"] == PIKACHU for picture_id, label in LabelSet(store).current().items()}
    common = sorted(picture_id for picture_id in truth if all(picture_id in said for said in answers))
    base, other = (np.array([said[picture_id] for picture_id in common]) for said in answers)
    body: dict[str, Any] = {
        "base": _in_short(cards[query.base]),
        "other": _in_short(cards[query.other]),
        "labels_in_common": len(common),
        "difference": compare(np.array([truth[picture_id] for picture_id in common], bool), base, other),
        "pictures": _changes(cards),
    }
    return jsonify(body)


def _in_short(card: dict[str, Any]) -> dict[str, Any]:
    names = ("version", "published_at", "labels", "validated_on", "recommended_threshold", "training_seconds")
    return {name: card.get(name) for name in names} | {
        "preset": card["preset"]["name"],
        "validation": {name: value for name, value in card["validation"].items() if name != "at_thresholds"},
    }


def _changes(cards: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Count, among the pictures both have predicted, how many each accepts with its recommended threshold."""
    said = [Predictions(state().store, version, Bucket.IMAGES).read() for version in cards]
    thresholds = [card["recommended_threshold"] for card in cards.values()]
    common = sorted(picture_id for picture_id in said[0] if picture_id in said[1])
    accepted = [
        {picture_id for picture_id in common if (answers[picture_id] or 0.0) >= threshold}
        for answers, threshold in zip(said, thresholds, strict=True)
    ]
    return {
        "in_common": len(common),
        "accepted_by_both": len(accepted[0] & accepted[1]),
        "accepted_by_base_only": sorted(accepted[0] - accepted[1])[:_NUM_NAMED],
        "accepted_by_other_only": sorted(accepted[1] - accepted[0])[:_NUM_NAMED],
    }


def _without_withdrawn(data: bytes, card: dict[str, Any]) -> bytes:
    """Return the sheet of mistakes with withdrawn pictures blanked."""
    shown, gone = card.get("mistakes", []), set(withdrawn_ids(state().store))
    tiles = [index for index, mistake in enumerate(shown) if mistake["id"] in gone]
    return encode_png(blank_tiles(decode(data).pixels, tiles, sheet_columns(len(shown)))) if tiles else data


def plots_of(card: dict[str, Any]) -> dict[str, Any]:
    """Return links to a card's plots."""
    base = f"/classifier/models/{card['version']}"
    return {"plots": [f"{base}/{name}" for name in PLOT_NAMES]}


@models_blueprint.post("/classifier/features", responses=JOB_STARTED)
def start_features() -> tuple[Response, int, dict[str, str]]:
    """Extract the features of all pictures, as a job.

    Several jobs on several workers share the work. Training does this by itself; call it to do it earlier, or
    with more workers.
    """
    return start_job("classifier-features", {})


@models_blueprint.post("/filter", responses=JOB_STARTED)
def start_filter(body: FilterRequest) -> tuple[Response, int, dict[str, str]]:
    """Fill the bucket pikachu with exactly the pictures that pass the classifier, as a job."""
    if body.model_version is None:
        current_predictor()  # without a model the job could only fail
    return start_job("filter", body.model_dump())


@models_blueprint.get("/filter/<job_id>/<name>", responses=answers(media("image/png"), 404))
def filter_sheet(path: SheetPath) -> Response:
    """Show the pictures nearest to a filter's threshold: accepted ones, or rejected ones."""
    try:
        data = load_sheet(state().store, path.job_id, path.name)
    except ObjectMissing:
        detail = f"No filter job of that id has left {path.name}."
        raise Problem(404, "sheet-missing", "Unknown job or sheet", detail, received=path.job_id) from None
    headers = {"Cache-Control": "max-age=60", "Content-Security-Policy": "default-src 'none'"}
    return Response(data, content_type="image/png", headers=headers)
