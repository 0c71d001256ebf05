"""POST and GET /generate, and POST /project. No TensorFlow here."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import time
from typing import Any

import numpy as np
from flask import Response, jsonify, request
from flask_openapi3 import Tag

from pika_gan.candidates import candidate_latents
from pika_gan.data import resize
from pika_gan.http.answers import GenerateAnswer, ProjectAnswer
from pika_gan.http.current import models
from pika_gan.http.schemas import MAX_PIXELS, GenerateQuery, GenerateRequest, ProjectQuery
from pika_gan.invert import project
from pika_gan.latents import MAX_SEED, from_uint8, latents_of, to_uint8
from pika_gan.serving import LoadedModel, NoCritic
from pika_kit.contract import answers, api_blueprint, in_json, media, picture_body
from pika_kit.gates import Gate
from pika_kit.images import PictureError, decode, encode, sheet, square
from pika_kit.model_views import no_model_problem
from pika_kit.models import NoModel
from pika_kit.received import picture_problem, read_pictures
from pika_kit.service import Problem, request_id, state

_DRAWING = Gate("drawing", at_once=os.cpu_count() or 1)
# Bodies are in memory while they are processed: limit how many, before reading any of them.
_RECEIVING = Gate("pictures to be projected", at_once=4)
# A projection draws about a thousand pictures.
_PROJECTING = Gate("a projection", at_once=1)

blueprint = api_blueprint("gan", __name__, Tag(name="generate", description="New pictures"))


_PICTURES = {f"image/{kind}": kind for kind in ("png", "jpeg", "webp")}
_DRAWN = media(
    *_PICTURES,
    description="One picture, or a sheet; or JSON with all of them",
    headers=("X-Model-Version", "X-Seeds", "X-Candidates", "ETag", "Cache-Control"),
)
_ANSWERS = answers(_DRAWN | {"content": {**_DRAWN["content"], **in_json(GenerateAnswer)}}, 404, 429)
_A_DAY = 86_400


@blueprint.post("/generate", responses=_ANSWERS)
def post_generate(body: GenerateRequest) -> Response:
    """Draw new pictures.

    The response is the bytes of one picture or a grid, or JSON with base64 for several pictures. If the
    request does not specify the form, `Accept` does: `image/webp` for that format, `application/json` for
    JSON.
    """
    return _generate(body)


@blueprint.get("/generate", responses=_ANSWERS)
def get_generate(query: GenerateQuery) -> Response:
    """Draw new pictures, with query parameters, for a browser or curl.

    A response to a request with seeds can be cached: it has an ETag, and with `model_version` it is valid
    for a day.
    """
    return _generate(query)


def _generate(asked: GenerateQuery) -> Response:
    model = _model(asked.model_version)
    seeds, latents = _latents(asked, model)
    _check_size(asked, model)
    kind, as_json = _form(asked)
    headers = {"X-Model-Version": model.version, "Cache-Control": "no-store", "Vary": "Accept"}
    is_seeded = asked.seed is not None or asked.seeds is not None
    if is_seeded and request.method != "POST":
        headers |= _how_long_good(asked, model, kind)
    if not as_json and headers.get("ETag") and request.if_none_match.contains(headers["ETag"].strip('"')):
        return Response(status=304, headers=headers)
    with _DRAWING:
        if seeds is not None and asked.candidates > 1:
            pictures, latents = _preferred(asked, model, seeds)
        else:
            pictures = model.draw(latents)
        if asked.size is not None:
            pictures = np.stack([resize(picture, asked.size) for picture in pictures])
        shown = [sheet(pictures)] if asked.grid else list(pictures)
        data = [encode(picture, kind, asked.quality) for picture in shown]
    if as_json:
        return jsonify(_as_json(asked, model, seeds, latents, kind=kind, data=data))
    if seeds is not None:
        headers |= {"X-Seeds": ",".join(map(str, seeds)), "X-Candidates": str(asked.candidates)}
    return Response(data[0], content_type=f"image/{kind}", headers=headers)


def _form(asked: GenerateQuery) -> tuple[str, bool]:
    """Return (picture format, whether JSON) as requested by fields, otherwise by the Accept header.

    Raises:
        Problem: 406 if both cannot be satisfied.
    """
    kind: str | None = "jpeg" if asked.format == "jpg" else asked.format
    accepted = request.accept_mimetypes
    as_json = asked.is_json
    if accepted.provided:
        offered = [f"image/{kind}"] if kind else list(_PICTURES)
        as_bytes = accepted.best_match(offered)
        if (asked.response_format is None and asked.num_pictures == 1) or asked.grid:
            best = accepted.best_match([*offered, "application/json"])
            as_json = asked.is_json or (best == "application/json" and not asked.response_format)
        wanted = "application/json" if as_json else as_bytes
        if wanted is None or not accepted.best_match([wanted]):
            expected = "application/json" if as_json else " or ".join(offered)
            raise Problem(
                406,
                "not-acceptable",
                "Not Acceptable",
                f"Accept: expected {expected} for this request; received {accepted.to_header()[:200]}.",
                expected=expected,
                received=accepted.to_header()[:200],
            )
        if kind is None and not as_json and as_bytes:
            kind = _PICTURES[as_bytes]
    return kind or "png", as_json


def _how_long_good(asked: GenerateQuery, model: LoadedModel, kind: str) -> dict[str, str]:
    """Build caching headers. The same seeds, version and settings give the same bytes."""
    told = asked.model_dump_json(exclude={"response_format", "return_latents"})
    digest = hashlib.sha256(f"{model.version} {kind} {told}".encode()).hexdigest()[:32]
    # The current version may change at any time: then the response has another ETag.
    age = f"private, max-age={_A_DAY}" if asked.model_version else "private, no-cache"
    return {"ETag": f'"{digest}"', "Cache-Control": age}


def _check_size(asked: GenerateQuery, model: LoadedModel) -> None:
    """Limit the memory of one response, whatever the number and size of its pictures."""
    side = asked.size or model.resolution
    if asked.num_pictures * side**2 > MAX_PIXELS:
        raise Problem(
            422,
            "request-invalid",
            "The request does not fit",
            f"n · size²: expected at most {MAX_PIXELS:,} pixels in one answer; ask for fewer or smaller.",
            expected=f"at most {MAX_PIXELS // side**2} pictures of {side}×{side}",
            received=f"{asked.num_pictures} of {side}×{side}",
        )


def _model(version: str | None) -> LoadedModel:
    try:
        return models().get(version)
    except NoModel:
        raise no_model_problem(
            "generator", "train one with `pikastack train gan` or POST /gan/train, then ask again."
        ) from None


def _latents(asked: GenerateQuery, model: LoadedModel) -> tuple[list[int] | None, np.ndarray]:
    """Return (seeds, or None if latents were sent; latents (N, latent_dim) float32)."""
    if asked.given_latents is not None:
        widths = sorted({len(row) for row in asked.given_latents})
        if widths != [model.latent_dim]:
            raise Problem(
                422,
                "latents-do-not-fit",
                "The latents do not fit the model",
                f"Model {model.version} takes latents of {model.latent_dim} numbers.",
                expected=model.latent_dim,
                received=widths,
            )
        latents = np.asarray(asked.given_latents, np.float32)
        if not np.isfinite(latents).all():
            raise Problem(
                422, "latents-do-not-fit", "The latents do not fit the model", "Expected finite numbers."
            )
        return None, latents * np.float32(asked.truncation)
    if isinstance(asked.seeds, list):
        seeds = asked.seeds
    elif asked.seed is not None:
        seeds = list(range(asked.seed, asked.seed + asked.num_pictures))
    else:
        seeds = [secrets.randbelow(MAX_SEED + 1) for _ in range(asked.num_pictures)]
    return seeds, latents_of(seeds, model.latent_dim, asked.truncation)


def _preferred(asked: GenerateQuery, model: LoadedModel, seeds: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures and latents that the model's judge accepts. Raises a Problem without one."""
    dim = model.latent_dim
    candidates = [candidate_latents(seed, asked.candidates, dim, asked.truncation) for seed in seeds]
    try:
        return model.draw_preferred(candidates)
    except NoCritic:
        raise Problem(
            422,
            "no-critic",
            "This model cannot choose among candidates",
            f"candidates: expected 1, because model {model.version} has no critic; "
            "new models of cpu-32, cpu-64 and the presets for GPUs have one.",
            expected=1,
            received=asked.candidates,
        ) from None


def _as_json(
    asked: GenerateQuery,
    model: LoadedModel,
    seeds: list[int] | None,
    latents: np.ndarray,
    *,
    kind: str,
    data: list[bytes],
) -> dict[str, Any]:
    items: list[dict[str, Any]] = [{"b64_json": base64.b64encode(picture).decode()} for picture in data]
    if not asked.grid:
        for index, item in enumerate(items):
            if seeds is not None:
                item["seed"] = seeds[index]
            if asked.return_latents:
                item["latent"] = latents[index].tolist()
    answer = {
        "created": int(time.time()),
        "model_version": model.version,
        "request_id": request_id(),
        "seeds": seeds,
        "truncation": asked.truncation,
        "candidates": asked.candidates,
        "size": asked.size or model.resolution,
        "format": kind,
        "grid": asked.grid,
        "data": items,
    }
    if asked.grid and asked.return_latents:
        answer["latents"] = latents.tolist()
    return answer


@blueprint.post(
    "/project",
    responses=answers(ProjectAnswer, 404, 429),
    openapi_extensions=picture_body(many=False),
)
def post_project(query: ProjectQuery) -> Response:
    """Find the latent whose picture is closest to a given one.

    Send the picture as the request body, a form file, or base64 in JSON. Pass the latent to `POST /generate`
    to draw it or its neighbours.
    """
    request.max_content_length = state().settings.max_upload_bytes
    with _RECEIVING:
        picture = next(read_pictures(request, 1).pictures)
        if isinstance(picture, Problem):
            raise picture
        model = _model(query.model_version)
        try:
            pixels = square(decode(picture, at_least=model.resolution).pixels, model.resolution)
        except PictureError as error:
            raise picture_problem(error) from error
    with _PROJECTING:
        projection = project(model.pictures_of, from_uint8(pixels), model.latent_dim)
    return jsonify(
        {
            "latent": projection.latent.tolist(),
            "distance": projection.distance,
            "size": model.resolution,
            "model_version": model.version,
            "request_id": request_id(),
            "b64_json": base64.b64encode(encode(to_uint8(projection.picture))).decode(),
        }
    )
