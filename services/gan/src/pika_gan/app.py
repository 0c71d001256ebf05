"""The GAN's front end: `gunicorn -c python:pika_kit.gunicorn_config "pika_gan.app:create_app()"`.

It draws through ONNX Runtime and never imports TensorFlow, unless PIKA_MODEL_RUNTIME=tensorflow asks for it.
"""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from pika_gan import sample_views, views
from pika_gan.serving import ModelShelf
from pika_kit.service import ServiceState
from pika_kit.service import create_app as create_service
from pika_kit.settings import Settings

MAX_BODY_BYTES = 2**20


def create_app(settings: Settings | None = None) -> OpenAPI:
    """The application; without settings they are read from the environment."""
    settings = settings or Settings.from_environment()
    app = create_service("gan", "Draws new pictures and trains the networks that do", settings)
    # No request to this service holds more than numbers.
    app.config["MAX_CONTENT_LENGTH"] = min(MAX_BODY_BYTES, settings.max_upload_bytes)
    service: ServiceState = app.config["PIKA"]
    app.config[views.SHELF] = ModelShelf(service.store, settings)
    app.register_api(views.blueprint)
    app.register_api(sample_views.blueprint)
    return app
