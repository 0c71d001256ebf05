"""The scraper's front end: `gunicorn -c python:pika_kit.gunicorn_config "pika_scraper.app:create_app()"`."""

from flask_openapi3 import OpenAPI

from pika_kit.queue import JobQueue
from pika_kit.service import create_app as create_base
from pika_kit.settings import Settings
from pika_kit.storage import Store
from pika_scraper.config import RequestLimits
from pika_scraper.views.clusters import clusters_blueprint
from pika_scraper.views.datasets import datasets_blueprint
from pika_scraper.views.images import images_blueprint
from pika_scraper.views.provenance import provenance_blueprint
from pika_scraper.views.scrape import scraper_blueprint
from pika_scraper.views.withdrawals import withdrawals_blueprint


def create_app(
    settings: Settings | None = None, *, store: Store | None = None, queue: JobQueue | None = None
) -> OpenAPI:
    """Create the application; settings default to the environment's."""
    settings = settings or Settings.from_environment()
    title = "Collects pictures and makes them ready"
    app = create_base("scraper", title, settings, store=store, queue=queue)
    app.config["MAX_FORM_PARTS"] = RequestLimits().max_files  # their total size is limited separately
    app.register_api(scraper_blueprint)
    app.register_api(images_blueprint)
    app.register_api(clusters_blueprint)
    app.register_api(provenance_blueprint)
    app.register_api(withdrawals_blueprint)
    app.register_api(datasets_blueprint)
    return app
