"""The GAN's training job and the pictures of its versions. No TensorFlow here."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import Tag

from pika_gan.http.current import models
from pika_gan.http.schemas import GanTrainRequest
from pika_gan.samples import NEIGHBOUR_COLUMNS
from pika_gan.serving import FILES
from pika_kit.contract import answers, api_blueprint, media
from pika_kit.images import blank_tiles, decode, encode
from pika_kit.job_views import JOB_STARTED
from pika_kit.model_views import VersionPath
from pika_kit.service import start_job, state
from pika_kit.withdrawn import withdrawn_ids

blueprint = api_blueprint(
    "gan_training", __name__, Tag(name="gan models", description="Training and versions")
)


def where_pictures_are(card: dict[str, Any]) -> dict[str, Any]:
    """Return what the list of models adds to a card."""
    base = f"/gan/models/{card['version']}"
    return {f"{name}_url": f"{base}/{name}" for name in FILES}


_PNG = answers(media("image/png"), 404)
_WEBP = answers(media("image/webp"), 404)


@blueprint.post("/gan/train", responses=JOB_STARTED)
def train_gan(body: GanTrainRequest) -> tuple[Response, int, dict[str, str]]:
    """Train the GAN on the bucket pikachu, as a job.

    Sample sheets appear at /gan/samples/{job id} while it runs.
    """
    return start_job("gan-train", body.model_dump())


@blueprint.get("/gan/models/<version>/sheet", responses=_PNG)
def model_sheet(path: VersionPath) -> Response:
    """Show a version's sample sheet."""
    return _file(path.version, "sheet")


@blueprint.get("/gan/models/<version>/film", responses=_WEBP)
def model_film(path: VersionPath) -> Response:
    """Show the film of a version's training."""
    return _file(path.version, "film")


@blueprint.get("/gan/models/<version>/walk", responses=_WEBP)
def model_walk(path: VersionPath) -> Response:
    """Show a walk through a version's latent space, an animated WebP."""
    return _file(path.version, "walk")


@blueprint.get("/gan/models/<version>/nearest", responses=_PNG)
def model_nearest(path: VersionPath) -> Response:
    """Show drawn pictures, and below each the nearest training picture; withdrawn ones are blank."""
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
