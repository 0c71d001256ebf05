"""The classifier's front end.

    gunicorn -c python:pika_kit.gunicorn_config "pika_classifier.app:create_app()"

It never imports TensorFlow unless `PIKA_MODEL_RUNTIME=tensorflow` asks for it.
"""

from flask_openapi3 import OpenAPI

from pika_classifier.label_views import LABEL_SET, label_blueprint
from pika_classifier.labels import LabelSet
from pika_classifier.predict import CurrentPredictor
from pika_classifier.requests import MAX_PICTURES
from pika_classifier.views import PREDICTOR, blueprint
from pika_kit.service import create_app as create_base
from pika_kit.settings import Settings


def create_app(settings: Settings | None = None) -> OpenAPI:
    """The application; settings come from the environment unless they are given."""
    settings = settings or Settings.from_environment()
    app = create_base("classifier", "Learns from labels which pictures show Pikachu, and tells", settings)
    app.config["MAX_FORM_PARTS"] = MAX_PICTURES + 1  # one more, so that too many are told how many may come
    store = app.config["PIKA"].store
    app.config[PREDICTOR] = CurrentPredictor(settings, store)
    app.config[LABEL_SET] = LabelSet(store)
    app.register_api(blueprint)
    app.register_api(label_blueprint)
    return app
