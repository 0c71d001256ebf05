"""POST /is-pikachu, and the classifier's jobs and models. No TensorFlow here."""

import threading
from typing import Any

import numpy as np
from flask import Response, current_app, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from pika_classifier.predict import BATCH_SIZE, MODEL_NAME, CurrentPredictor, Predictor, prepare
from pika_classifier.received import picture_problem, read_pictures
from pika_classifier.requests import AskQuery, CurrentModelRequest, FilterRequest, TrainRequest
from pika_kit.gates import Gate
from pika_kit.images import PictureError
from pika_kit.models import NoModel, Registry
from pika_kit.service import Problem, request_id, start_job, state

PREDICTOR = "PIKA_CLASSIFIER_PREDICTOR"
_ASK = Tag(name="is it Pikachu?", description="Ask about pictures")
_MODELS = Tag(name="classifier models", description="Training, filtering, versions")
# A large picture takes a hundred megabytes while it is decoded: so many at a time, the others wait.
# A body of 64 MiB is in memory while it is looked at: so many at a time fit into the container's 768 MiB.
_ASKING = Gate("pictures to be looked at", at_once=4)
_DECODING = threading.BoundedSemaphore(2)

blueprint = APIBlueprint("classifier", __name__)


def current_predictor() -> Predictor:
    """The predictor of the current version, or the problem that there is none."""
    found: CurrentPredictor = current_app.config[PREDICTOR]
    try:
        return found.get()
    except NoModel:
        raise Problem(
            503,
            "model-missing",
            "No model yet",
            "No classifier is published yet: label pictures, train one with `pikastack train classifier` or "
            "POST /classifier/train, then ask again.",
        ) from None


@blueprint.post("/is-pikachu", tags=[_ASK])
def is_pikachu(query: AskQuery) -> Response:
    """Is it Pikachu? Send one picture as the body, one or many as multipart files, or base64 in JSON.

    One picture gets an answer or a problem: 415 when it is no picture, 422 when it cannot be read. Many get a
    list in the order sent, in which each that cannot be read has its own `problem`.
    """
    with _ASKING:
        return _ask(query)


def _ask(query: AskQuery) -> Response:
    received = read_pictures(request)
    predictor = current_predictor()
    threshold = query.threshold or state().settings.is_pikachu_threshold
    answers: list[dict[str, Any] | Problem] = []
    waiting: list[bytes | Problem] = []
    for picture in received.pictures:
        waiting.append(picture)
        if len(waiting) == BATCH_SIZE:
            answers += _answer(waiting, predictor, threshold)
            waiting = []
    answers += _answer(waiting, predictor, threshold)
    if received.is_many:
        return jsonify([_listed(answer) for answer in answers])
    if isinstance(answers[0], Problem):
        raise answers[0]
    return jsonify(answers[0])


def _listed(answer: dict[str, Any] | Problem) -> dict[str, Any]:
    return {"problem": answer.to_json()} if isinstance(answer, Problem) else answer


def _answer(
    sent: list[bytes | Problem], predictor: Predictor, threshold: float
) -> list[dict[str, Any] | Problem]:
    """One answer or problem for each picture, in order."""
    ready = [_pixels(picture) for picture in sent]
    pixels = [found for found in ready if isinstance(found, np.ndarray)]
    probabilities = iter(predictor.probabilities(np.stack(pixels)) if pixels else [])
    answers: list[dict[str, Any] | Problem] = []
    for found in ready:
        if isinstance(found, Problem):
            answers.append(found)
            continue
        probability = float(next(probabilities))
        answers.append(
            {
                "is_pikachu": probability >= threshold,
                "probability": probability,
                "threshold": threshold,
                "model_version": predictor.version,
                "request_id": request_id(),
            }
        )
    return answers


def _pixels(picture: bytes | Problem) -> np.ndarray | Problem:
    if isinstance(picture, Problem):
        return picture
    try:
        with _DECODING:
            return prepare(picture)
    except PictureError as error:
        return picture_problem(error)


@blueprint.post("/classifier/train", tags=[_MODELS])
def start_training(body: TrainRequest) -> tuple[Response, int, dict[str, str]]:
    """Train on all labels, as a job: 202 and its view."""
    return start_job("classifier-train", body.model_dump())


@blueprint.post("/filter", tags=[_MODELS])
def start_filter(body: FilterRequest) -> tuple[Response, int, dict[str, str]]:
    """Make the pikachu bucket hold the pictures of images that pass, as a job: 202 and its view."""
    if body.model_version is None:
        current_predictor()  # without a model the job could only fail
    return start_job("filter", body.model_dump())


@blueprint.get("/classifier/models", tags=[_MODELS])
def list_models() -> Response:
    """All versions with their cards, oldest first."""
    registry = Registry(state().store, MODEL_NAME)
    return jsonify({"models": registry.versions(), "current": registry.current()})


@blueprint.put("/classifier/models/current", tags=[_MODELS])
def set_current_model(body: CurrentModelRequest) -> Response:
    """Activate a version, or go back to the one before; front ends follow within a second."""
    registry = Registry(state().store, MODEL_NAME)
    if body.rollback:
        try:
            version = registry.rollback()
        except NoModel as error:
            raise Problem(409, "no-earlier-model", "No earlier version", f"{error}.") from None
    else:
        version = str(body.version)
        registry.activate(version)
    return jsonify({"current": version, "card": registry.card(version)})
