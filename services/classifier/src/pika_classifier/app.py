"""The classifier's front end.

    gunicorn -c python:pika_kit.gunicorn_config "pika_classifier.app:create_app()"

It imports TensorFlow only if `PIKA_MODEL_RUNTIME=tensorflow` asks for it.
"""

from flask_openapi3 import OpenAPI

from pika_classifier.http.ask import PREDICTOR, blueprint, predictors
from pika_classifier.http.labels import LABEL_SET, label_blueprint
from pika_classifier.http.models import models_blueprint, plots_of
from pika_classifier.http.page import PAGE_PATHS, page_blueprint
from pika_classifier.http.schemas import MAX_PICTURES
from pika_classifier.labels.log import LabelSet
from pika_classifier.serve.predictor import MODEL_NAME, follow
from pika_kit.model_views import model_views
from pika_kit.queue import JobQueue
from pika_kit.service import OPEN_PATHS, ServiceState
from pika_kit.service import create_app as create_base
from pika_kit.settings import Settings
from pika_kit.storage import Store


def create_app(
    settings: Settings | None = None, *, store: Store | None = None, queue: JobQueue | None = None
) -> OpenAPI:
    """Create the application; settings default to the environment's."""
    settings = settings or Settings.from_environment()
    title = "Learns from labels which pictures show Pikachu, and tells"
    app = create_base("classifier", title, settings, store=store, queue=queue)
    app.config["MAX_FORM_PARTS"] = MAX_PICTURES + 1  # one more, to report the limit
    service: ServiceState = app.config["PIKA"]
    app.config[PREDICTOR] = follower = follow(settings, service.store)
    service.model_version = follower.version
    app.config[LABEL_SET] = LabelSet(service.store)
    app.register_api(blueprint)
    app.register_api(models_blueprint)
    app.register_api(model_views(MODEL_NAME, predictors, plots_of))
    app.register_api(label_blueprint)
    app.register_blueprint(page_blueprint)
    app.config[OPEN_PATHS].update(PAGE_PATHS)  # static files; their requests need the key
    return app
