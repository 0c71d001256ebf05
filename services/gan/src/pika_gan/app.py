"""The GAN's front end: `gunicorn -c python:pika_kit.gunicorn_config "pika_gan.app:create_app()"`.

It generates through ONNX Runtime and imports TensorFlow only if PIKA_MODEL_RUNTIME=tensorflow asks for it.
"""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from pika_gan.http import current, generate, samples
from pika_gan.http import models as model_pictures
from pika_gan.serving import REGISTRY_NAME, follow
from pika_kit.model_views import model_views
from pika_kit.queue import JobQueue
from pika_kit.service import ServiceState
from pika_kit.service import create_app as create_service
from pika_kit.settings import Settings
from pika_kit.storage import Store

MAX_BODY_BYTES = 2**20


def create_app(
    settings: Settings | None = None, *, store: Store | None = None, queue: JobQueue | None = None
) -> OpenAPI:
    """Create the application; settings default to the environment's."""
    settings = settings or Settings.from_environment()
    title = "Draws new pictures and trains the networks that do"
    app = create_service("gan", title, settings, store=store, queue=queue)
    # Requests contain only numbers, except those of POST /project, which sets its own limit.
    app.config["MAX_CONTENT_LENGTH"] = min(MAX_BODY_BYTES, settings.max_upload_bytes)
    service: ServiceState = app.config["PIKA"]
    app.config[current.MODELS] = follower = follow(settings, service.store)
    service.model_version = follower.version
    app.register_api(generate.blueprint)
    app.register_api(model_pictures.blueprint)
    app.register_api(model_views(REGISTRY_NAME, current.models, model_pictures.where_pictures_are))
    app.register_api(samples.blueprint)
    return app
