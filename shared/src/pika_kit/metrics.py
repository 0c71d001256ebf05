"""Prometheus metrics of a service: requests by route and status, and their duration.

With several gunicorn worker processes, `PROMETHEUS_MULTIPROC_DIR` names a folder in which they add up.
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
    """Count and time every request of `app`, and answer `GET /metrics`."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        # The rule and not the path: a picture's hash as a label would make a time series of each picture.
        route = request.url_rule.rule if request.url_rule else "(none)"
        # No label is the client's own word: each new one would be a time series for ever.
        method = request.method if request.method in _METHODS else "(other)"
        REQUESTS.labels(service, method, route, response.status_code).inc()
        DURATION.labels(service, route).observe(time.perf_counter() - g.get("started", time.perf_counter()))
        return response


def exposition() -> Response:
    """All metrics in Prometheus' text format, of all worker processes."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
