"""POST /is-pikachu. No TensorFlow here."""

import threading
from typing import Any

import numpy as np
from flask import Response, current_app, jsonify, request
from flask_openapi3 import Tag

from pika_classifier.http.answers import IsPikachuAnswer, PictureProblemAnswer
from pika_classifier.http.schemas import MAX_PICTURES, AskQuery
from pika_classifier.serve.predictor import BATCH_SIZE, Predictor, default_threshold, prepare
from pika_kit.contract import JSON_TYPE, answers, api_blueprint, in_json, picture_body
from pika_kit.following import Follower
from pika_kit.gates import Gate
from pika_kit.images import PictureError
from pika_kit.model_views import no_model_problem
from pika_kit.models import NoModel
from pika_kit.received import picture_problem, read_pictures
from pika_kit.service import Problem, request_id, state

PREDICTOR = "PIKA_CLASSIFIER_PREDICTOR"
_ASK = Tag(name="is it Pikachu?", description="Ask about pictures")
# Limit how many pictures are decoded at a time: a large one takes a hundred megabytes.
_ASKING = Gate("pictures to be looked at", at_once=4)
_DECODING = threading.BoundedSemaphore(2)

blueprint = api_blueprint("classifier", __name__, _ASK)


def predictors() -> Follower[Predictor]:
    """Return the predictors of this service."""
    predictors: Follower[Predictor] = current_app.config[PREDICTOR]
    return predictors


def current_predictor() -> Predictor:
    """Return the predictor of the current version. Raises Problem if there is none."""
    try:
        return predictors().get()
    except NoModel:
        raise no_model_problem(
            "classifier",
            "label pictures, train one with `pikastack train classifier` or POST /classifier/train, then ask "
            "again.",
        ) from None


_ONE, _PROBLEM = (in_json(model)[JSON_TYPE]["schema"] for model in (IsPikachuAnswer, PictureProblemAnswer))
_ONE_OR_MANY = {
    "description": "An answer, or a list of them",
    "content": {
        JSON_TYPE: {"schema": {"anyOf": [_ONE, {"type": "array", "items": {"anyOf": [_ONE, _PROBLEM]}}]}}
    },
}


@blueprint.post(
    "/is-pikachu",
    responses=answers(_ONE_OR_MANY, 429),
    openapi_extensions=picture_body(many=True),
)
def is_pikachu(query: AskQuery) -> Response:
    """Ask whether pictures show Pikachu.

    A picture sent as the request body, or as `image` in JSON, gets one answer, or a problem: 415 if it is
    not a picture, 422 if it cannot be read. Form files (any number, in the field `file`) and `images` in
    JSON get a list in the order sent, in which a picture that cannot be read has its own `problem`.
    """
    with _ASKING:
        return _ask(query)


def _ask(query: AskQuery) -> Response:
    received = read_pictures(request, MAX_PICTURES)
    predictor = current_predictor()
    threshold = _threshold(query, predictor)
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


def _threshold(query: AskQuery, predictor: Predictor) -> float:
    """Return the requested threshold, or that of the requested precision, or the default."""
    if query.precision is None:
        return query.threshold or default_threshold(state().settings, predictor)
    threshold = predictor.threshold_for(query.precision)
    if threshold is None:
        raise Problem(
            422,
            "precision-unknown",
            "The model knows no threshold for this precision",
            f"The card of {predictor.version} has no threshold for a precision of {query.precision:g}.",
            expected="a threshold, or a precision that the card of the current model lists",
            received=query.precision,
        )
    return threshold


def _listed(answer: dict[str, Any] | Problem) -> dict[str, Any]:
    return {"problem": answer.to_json()} if isinstance(answer, Problem) else answer


def _answer(
    sent: list[bytes | Problem], predictor: Predictor, threshold: float
) -> list[dict[str, Any] | Problem]:
    """Return one answer or problem for each picture, in order."""
    ready = [_pixels(picture) for picture in sent]
    pixels = [item for item in ready if isinstance(item, np.ndarray)]
    told = iter(_told(predictor, np.stack(pixels)) if pixels else [])
    answers: list[dict[str, Any] | Problem] = []
    for item in ready:
        if isinstance(item, Problem):
            answers.append(item)
            continue
        probability, novelty = next(told)
        answers.append(
            {
                "is_pikachu": probability >= threshold,
                "probability": probability,
                "threshold": threshold,
                "novelty": novelty,
                "model_version": predictor.version,
                "request_id": request_id(),
            }
        )
    return answers


def _told(predictor: Predictor, pixels: np.ndarray) -> list[tuple[float, float | None]]:
    """Return (probability, novelty) of each picture."""
    answers = predictor.answers(pixels)
    novelties = [None] * len(pixels) if answers.novelties is None else map(float, answers.novelties)
    return list(zip(map(float, answers.probabilities), novelties, strict=True))


def _pixels(picture: bytes | Problem) -> np.ndarray | Problem:
    if isinstance(picture, Problem):
        return picture
    try:
        with _DECODING:
            return prepare(picture)
    except PictureError as error:
        return picture_problem(error)
