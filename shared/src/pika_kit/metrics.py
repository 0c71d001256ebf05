"""Prometheus metrics of a service: requests by route and status, and their duration.

With several gunicorn worker processes they are aggregated in the folder `PROMETHEUS_MULTIPROC_DIR`.
"""

import os
import time

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)

REQUESTS = Counter("pika_http_requests_total", "Answered requests", ["service", "method", "route", "status"])
DURATION = Histogram(
    "pika_http_request_seconds",
    "Seconds from a request's first to its answer's last line of ours",
    ["service", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def install(app: Flask, service: str) -> None:
    """Count and time every request of `app` and serve `GET /metrics`."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        # The route and not the path: picture hashes as label values would create a time series for each
        # picture.
        route = request.url_rule.rule if request.url_rule else "(none)"
        # Label values never come from clients: each new one would add a permanent time series.
        method = request.method if request.method in _METHODS else "(other)"
        REQUESTS.labels(service, method, route, response.status_code).inc()
        DURATION.labels(service, route).observe(time.perf_counter() - g.get("started", time.perf_counter()))
        return response


def exposition() -> Response:
    """Return all metrics of all worker processes in the Prometheus text format."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
