"""POST and GET /generate, and the GAN's training job and models. No TensorFlow here."""

from __future__ import annotations

import base64
import os
import secrets
import time
from typing import Any

import numpy as np
from flask import Response, current_app, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from pika_gan.data import resize
from pika_gan.generate import MAX_SEED, latents_of, to_uint8
from pika_gan.invert import project
from pika_gan.requests import (
    MAX_PIXELS,
    GenerateQuery,
    GenerateRequest,
    ProjectQuery,
    TrainRequest,
    VersionPath,
)
from pika_gan.samples import NEIGHBOUR_COLUMNS
from pika_gan.serving import FILES, LoadedModel
from pika_kit.following import Follower
from pika_kit.gates import Gate
from pika_kit.images import PictureError, blank_tiles, decode, encode, sheet, square
from pika_kit.model_views import no_model_problem
from pika_kit.models import NoModel
from pika_kit.received import picture_problem, read_pictures
from pika_kit.service import Problem, request_id, start_job, state
from pika_kit.withdrawn import withdrawn_ids

MODELS = "PIKA_GAN_MODELS"
_DRAWING = Gate("drawing", at_once=os.cpu_count() or 1)
# A projection draws a thousand pictures.
_PROJECTING = Gate("a projection", at_once=1)
_DRAW = Tag(name="generate", description="New pictures")
_MODELS = Tag(name="gan models", description="Training and versions")

blueprint = APIBlueprint("gan", __name__)


def models() -> Follower[LoadedModel]:
    """The models of this service."""
    found: Follower[LoadedModel] = current_app.config[MODELS]
    return found


def where_pictures_are(card: dict[str, Any]) -> dict[str, Any]:
    """What the list of models adds to a card."""
    base = f"/gan/models/{card['version']}"
    return {f"{name}_url": f"{base}/{name}" for name in FILES}


@blueprint.post("/generate", tags=[_DRAW])
def post_generate(body: GenerateRequest) -> Response:
    """Draw new pictures."""
    return _generate(body)


@blueprint.get("/generate", tags=[_DRAW])
def get_generate(query: GenerateQuery) -> Response:
    """Draw new pictures: the same with query parameters, for a browser or curl."""
    return _generate(query)


def _generate(asked: GenerateRequest) -> Response:
    model = _model(asked.model_version)
    seeds, latents = _latents(asked, model)
    _check_size(asked, model)
    with _DRAWING:
        pictures = model.draw(latents)
        if asked.size is not None:
            pictures = np.stack([resize(picture, asked.size) for picture in pictures])
        shown = [sheet(pictures)] if asked.grid else list(pictures)
        data = [encode(picture, asked.format, asked.quality) for picture in shown]
    if asked.is_json:
        return jsonify(_as_json(asked, model, seeds, latents, data))
    headers = {"X-Model-Version": model.version, "Cache-Control": "no-store"}
    if seeds is not None:
        headers["X-Seeds"] = ",".join(map(str, seeds))
    return Response(data[0], content_type=f"image/{asked.format}", headers=headers)


def _check_size(asked: GenerateRequest, model: LoadedModel) -> None:
    """A bound on what one answer takes in memory, whatever number and size it is made of."""
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


def _latents(asked: GenerateRequest, model: LoadedModel) -> tuple[list[int] | None, np.ndarray]:
    """(seeds, or None where latents were sent; latents (N, latent_dim) float32)."""
    if asked.latents is not None:
        widths = sorted({len(row) for row in asked.latents})
        if widths != [model.latent_dim]:
            raise Problem(
                422,
                "latents-do-not-fit",
                "The latents do not fit the model",
                f"Model {model.version} takes latents of {model.latent_dim} numbers.",
                expected=model.latent_dim,
                received=widths,
            )
        latents = np.asarray(asked.latents, np.float32)
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


def _as_json(
    asked: GenerateRequest,
    model: LoadedModel,
    seeds: list[int] | None,
    latents: np.ndarray,
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
        "size": asked.size or model.resolution,
        "format": asked.format,
        "grid": asked.grid,
        "data": items,
    }
    if asked.grid and asked.return_latents:
        answer["latents"] = latents.tolist()
    return answer


@blueprint.post("/project", tags=[_DRAW])
def post_project(query: ProjectQuery) -> Response:
    """Find the latent whose picture comes nearest to a given one: the picture as the body, as a multipart
    file, or base64 in JSON. POST /generate draws it, and what lies near it, from `latents`.
    """
    request.max_content_length = state().settings.max_upload_bytes
    picture = next(read_pictures(request, 1).pictures)
    if isinstance(picture, Problem):
        raise picture
    model = _model(query.model_version)
    with _PROJECTING:
        try:
            pixels = square(decode(picture, at_least=model.resolution).pixels, model.resolution)
        except PictureError as error:
            raise picture_problem(error) from error
        found = project(model.pictures_of, pixels.astype(np.float32) / 127.5 - 1.0, model.latent_dim)
    return jsonify(
        {
            "latent": found.latent.tolist(),
            "distance": found.distance,
            "size": model.resolution,
            "model_version": model.version,
            "request_id": request_id(),
            "b64_json": base64.b64encode(encode(to_uint8(found.picture))).decode(),
        }
    )


@blueprint.post("/gan/train", tags=[_MODELS])
def start_training(body: TrainRequest) -> tuple[Response, int, dict[str, str]]:
    """Train on the pikachu bucket; the run's samples are at /gan/samples/{job id}."""
    return start_job("gan-train", body.model_dump())


@blueprint.get("/gan/models/<version>/sheet", tags=[_MODELS])
def model_sheet(path: VersionPath) -> Response:
    """The version's sample sheet."""
    return _file(path.version, "sheet")


@blueprint.get("/gan/models/<version>/film", tags=[_MODELS])
def model_film(path: VersionPath) -> Response:
    """The film of the version's training."""
    return _file(path.version, "film")


@blueprint.get("/gan/models/<version>/walk", tags=[_MODELS])
def model_walk(path: VersionPath) -> Response:
    """A walk through the version's latents and back, an animated WebP."""
    return _file(path.version, "walk")


@blueprint.get("/gan/models/<version>/nearest", tags=[_MODELS])
def model_nearest(path: VersionPath) -> Response:
    """Drawn pictures, and below each the training picture nearest to it; withdrawn ones are white."""
    registry = models().registry
    data, shown = registry.file(path.version, FILES["nearest"]), registry.card(path.version)["nearest_ids"]
    gone = set(withdrawn_ids(state().store))
    hidden = [index for index, picture_id in enumerate(shown) if picture_id in gone]
    if hidden:
        # Each row of drawn pictures has its neighbours in the row below.
        tiles = [
            (2 * (index // NEIGHBOUR_COLUMNS) + 1) * NEIGHBOUR_COLUMNS + index % NEIGHBOUR_COLUMNS
            for index in hidden
        ]
        data = encode(blank_tiles(decode(data).pixels, tiles, columns=NEIGHBOUR_COLUMNS))
    return Response(data, content_type="image/png")


def _file(version: str, name: str) -> Response:
    kind = "image/png" if FILES[name].endswith(".png") else "image/webp"
    return Response(models().registry.file(version, FILES[name]), content_type=kind)
