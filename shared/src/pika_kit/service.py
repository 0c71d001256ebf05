"""The Flask base of every service: OpenAPI, problems, request ids, health, metrics, API keys, jobs.

    app = create_app("gan", "Draws new pictures", Settings.from_environment())
    app.register_api(my_blueprint)

Nothing happens at import. A service is reached at its own port and through the gateway, which routes by path
and rewrites nothing. What every service has is therefore available at two paths: `/health/ready` and
`/gan/health/ready`.
"""

import hmac
import importlib.metadata
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from flask import Flask, Response, current_app, g, jsonify, redirect, request
from flask_openapi3 import APIBlueprint, Info, License, OpenAPI, Tag
from pydantic import BaseModel, Field

from pika_kit import contract, metrics, problems, strictness
from pika_kit.contract import answers, example, media
from pika_kit.events import EventHub
from pika_kit.gates import Cached
from pika_kit.job_views import job_accepted, jobs_blueprint, once_of, start_job
from pika_kit.problems import Problem, request_id
from pika_kit.queue import JobQueue
from pika_kit.settings import Settings
from pika_kit.storage import Store
from pika_kit.store_errors import StoreUnavailable
from pika_kit.valkey import QueueUnavailable

__all__ = [
    "OPEN_PATHS",
    "Problem",
    "ServiceState",
    "create_app",
    "job_accepted",
    "once_of",
    "request_id",
    "start_job",
    "state",
]

API_VERSION = importlib.metadata.version("pika-kit")
OPEN_PATHS = "PIKA_OPEN_PATHS"
"""In an application's config: the set of paths that need no API key. A service may add its own."""
READY_SECONDS = 2.0
_SWAGGER_FILES = ("css/swagger-ui.css", "js/swagger-ui-bundle.js")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPERATIONS = Tag(name="operations", description="Health and metrics")


_READY_EXAMPLE: dict[str, Any] = {
    "status": "ready",
    "checks": {"object store": "ok", "job queue": "ok"},
    "model_version": "v3",
}


class LiveAnswer(BaseModel):
    """The process is alive."""

    model_config = example({"status": "live"})

    status: Literal["live"]


class ReadyAnswer(BaseModel):
    """Whether requests can be served."""

    model_config = example(_READY_EXAMPLE)

    status: Literal["ready", "not ready"]
    checks: dict[str, str] = Field(description="What this service needs: ok, or what is wrong")
    model_version: str | None = Field(
        default=None, description="Of a service with a model: the version that is loaded"
    )


class Application(OpenAPI):
    """Flask with a complete OpenAPI document; see `contract`."""

    def register_api(self, api: APIBlueprint, **options: Any) -> None:
        """Merge the paths of blueprints, which may share a path with different methods."""
        earlier = {path: self.paths[path] for path in api.paths if path in self.paths}
        super().register_api(api, **options)
        for path, item in earlier.items():
            for method in item.model_fields_set:
                setattr(self.paths[path], method, getattr(item, method))

    def generate_spec_json(self) -> None:
        """Build the document once, at the first request for it."""
        super().generate_spec_json()
        self.spec_json = contract.finish(self.spec_json)


@dataclass
class ServiceState:
    """What the views of one service share."""

    name: str
    settings: Settings
    store: Store
    queue: JobQueue
    hub: EventHub
    readiness: Cached[dict[str, str]]
    """What of the servers behind this one answers: name → "ok", or what is wrong."""
    model_version: Callable[[], str | None] | None = None
    """For a service that serves a model: which version is loaded."""


def state() -> ServiceState:
    """Return the current service's state, for views."""
    service: ServiceState = current_app.config["PIKA"]
    return service


def create_app(
    name: str, title: str, settings: Settings, *, store: Store | None = None, queue: JobQueue | None = None
) -> OpenAPI:
    """Create a Flask application with everything that all services share.

    Args:
        name: the service's name, which is also its path prefix at the gateway: "scraper".
        title: one line for its OpenAPI document.
        settings: validated settings; no connection is made before the first request.
        store, queue: replacements for the configured servers, for tests.

    Raises:
        SettingsError: the service would be open to other machines without an API key, and that was not
            explicitly allowed.
    """
    settings.require_keys()
    app = Application(
        f"pika_{name}",
        info=Info(
            title=f"pikastack {name}", version=API_VERSION, description=title, license=License(name="MIT")
        ),
        security_schemes={
            "api_key": {
                "type": "http",
                "scheme": "bearer",
                "description": "One of the operator's keys, where the operator has set any",
            }
        },
        validation_error_callback=problems.from_validation,
        doc_prefix=f"/{name}/docs",
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes
    store, queue = store or Store.connect(settings), queue or JobQueue.connect(settings)
    readiness = Cached(
        lambda: {"object store": _outcome(store.probe), "job queue": _outcome(queue.probe)}, READY_SECONDS
    )
    app.config["PIKA"] = ServiceState(name, settings, store, queue, EventHub(queue), readiness)
    problems.install(app)
    _install_request_ids(app)
    metrics.install(app, name)
    _install_api_keys(app, settings)
    strictness.install(app)
    app.register_api(_operations("operations", ""))
    app.register_api(_operations(f"{name}_operations", f"/{name}"))
    app.register_api(jobs_blueprint)
    app.add_url_rule("/docs", "docs", lambda: redirect(f"/{name}/docs/swagger"))
    return app


def _install_request_ids(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        sent = request.headers.get("X-Request-Id", "")
        # Keep a client's own id if it cannot do harm in a log line.
        g.request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response


def _install_api_keys(app: Flask, settings: Settings) -> None:
    keys = {name: key.get_secret_value() for name, key in (settings.api_keys or {}).items()}
    open_paths = {
        f"{prefix}/health/{kind}"
        for prefix in ("", f"/{app.config['PIKA'].name}")
        for kind in ("live", "ready")
    }
    # For Prometheus on the internal network: the gateway forwards only /gan/metrics, which requires a key.
    open_paths.add("/metrics")
    # Swagger UI's own files, for the gateway's page; a <script> cannot send a key.
    open_paths |= {f"/{app.config['PIKA'].name}/docs/swagger/{file}" for file in _SWAGGER_FILES}
    app.config[OPEN_PATHS] = open_paths

    @app.before_request
    def check_key() -> None:
        if not keys or request.path in open_paths:
            return
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        # Compare all keys, each in constant time, so that timing reveals nothing about any of them.
        matches = [
            name for name, key in keys.items() if hmac.compare_digest(key.encode(), sent.strip().encode())
        ]
        if scheme.lower() != "bearer" or not matches:
            raise Problem(
                401,
                "api-key-required",
                "An API key is required",
                "Send the header 'Authorization: Bearer KEY' with one of the operator's keys.",
                headers={"WWW-Authenticate": 'Bearer realm="pikastack"'},
            )
        g.api_key_name = matches[0]


def _operations(name: str, prefix: str) -> APIBlueprint:
    """Create health, metrics and the OpenAPI document under `prefix`."""
    blueprint = APIBlueprint(
        name, __name__, url_prefix=prefix or None, abp_tags=[_OPERATIONS], doc_ui=bool(prefix)
    )
    service_name = prefix.strip("/")

    @blueprint.get(
        "/health/live", responses=answers(LiveAnswer), operation_id=f"{service_name}_live", security=[{}]
    )
    def live() -> Response:
        """Check that the process is alive.

        It checks nothing else.
        """
        return jsonify({"status": "live"})

    @blueprint.get(
        "/health/ready",
        responses=answers(ReadyAnswer) | answers(ReadyAnswer, status=503),
        operation_id=f"{service_name}_ready",
        security=[{}],
    )
    def ready() -> tuple[Response, int]:
        """Check that the service can serve requests.

        It can when the object store and the queue answer. A service with a model also returns its version.
        The result is cached for a few seconds.
        """
        service = state()
        checks = service.readiness.get()
        is_ready = all(outcome == "ok" for outcome in checks.values())
        body: dict[str, Any] = {"status": "ready" if is_ready else "not ready", "checks": checks}
        if service.model_version is not None:
            body["model_version"] = service.model_version()
        return jsonify(body), 200 if is_ready else 503

    @blueprint.get(
        "/metrics",
        responses=answers(media("text/plain", description="In Prometheus' format")),
        operation_id=f"{service_name}_metrics",
    )
    def prometheus() -> Response:
        """Return metrics for Prometheus."""
        return metrics.exposition()

    @blueprint.get(
        "/openapi.json",
        responses=answers({"description": "OpenAPI 3.1", "content": {"application/json": {}}}),
        operation_id=f"{service_name}_openapi",
    )
    def openapi_document() -> Response:
        """Return this service's OpenAPI document."""
        return jsonify(current_app.api_doc)  # type: ignore[attr-defined]

    return blueprint


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except (StoreUnavailable, QueueUnavailable) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 — readiness answers, whatever is wrong
        return type(error).__name__
    return "ok"
