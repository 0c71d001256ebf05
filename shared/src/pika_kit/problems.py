"""Errors as RFC 9457 `application/problem+json`, the same in all services.

A problem has a stable `type`, says what was expected and what was received, and carries the request id. It
never contains a stack trace, an internal address or a path.
"""

import logging
from typing import Any

from flask import Flask, Response, g, json, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from pika_kit.events import TooManyWatchers
from pika_kit.models import NoModel, UnknownVersion
from pika_kit.queue import JobExpired, JobUnknown, OnceConflict
from pika_kit.store_errors import StoreUnavailable
from pika_kit.validation import described
from pika_kit.valkey import QueueUnavailable

log = logging.getLogger(__name__)

TYPE_PREFIX = "urn:pikastack:problem:"


class Problem(Exception):
    """An error that any code below a view may raise; the client receives it as problem+json.

    Args:
        status: the HTTP status, 400–599.
        type: a stable name such as "picture-unreadable".
        title: the kind of problem, the same every time.
        detail: what is wrong in this case and what to do about it.
        expected, received: what was expected and what was received, where that helps.
        headers: added to the response, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        type: str,
        title: str,
        detail: str,
        *,
        expected: Any = None,
        received: Any = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {type}: {detail}")
        self.status = status
        self.headers = headers or {}
        self.body: dict[str, Any] = {
            "type": TYPE_PREFIX + type,
            "title": title,
            "status": status,
            "detail": detail,
            **extra,
        }
        if expected is not None:
            self.body["expected"] = expected
        if received is not None:
            self.body["received"] = received

    def to_json(self) -> dict[str, Any]:
        """Return the problem object, with the request id during a request."""
        return self.body | {"request_id": request_id()}

    def response(self) -> Response:
        """Return the HTTP response."""
        return Response(
            json.dumps(self.to_json()),
            self.status,
            headers=self.headers,
            content_type="application/problem+json",
        )


def request_id() -> str | None:
    """Return the current request's id."""
    return g.get("request_id") if g else None


def install(app: Flask) -> None:
    """Answer every error of `app` with a problem."""
    app.register_error_handler(Problem, lambda problem: problem.response())
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(StoreUnavailable, _unavailable("object-store-unavailable", "object store"))
    app.register_error_handler(QueueUnavailable, _unavailable("queue-unavailable", "job queue"))
    app.register_error_handler(JobUnknown, _unknown_job)
    app.register_error_handler(JobExpired, _expired_job)
    app.register_error_handler(TooManyWatchers, _too_many_watchers)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(OnceConflict, _once_conflict)
    app.register_error_handler(NoModel, _no_model)
    app.register_error_handler(UnknownVersion, _unknown_version)
    app.register_error_handler(Exception, _unexpected)


def from_validation(error: ValidationError) -> Response:
    """Answer a request that does not match its model; called by the OpenAPI layer."""
    detail, errors, number = described(error)
    more: dict[str, Any] = {"number_of_errors": number} if number > len(errors) else {}
    return Problem(
        422, "request-invalid", "The request does not fit", f"{detail}.", errors=errors, **more
    ).response()


def _from_http(error: HTTPException) -> Response:
    if isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    name = error.name.lower().replace(" ", "-")
    detail = error.description or error.name
    if status == 413:
        limit = request.max_content_length
        detail = f"The body is larger than {limit} bytes, which is the limit here."
    if status == 404:
        detail = f"There is nothing at {request.method} {request.path}; /openapi.json lists what there is."
    headers = {
        key: value
        for key, value in error.get_headers(request.environ)
        if key.lower() in {"allow", "retry-after", "www-authenticate", "location"}
    }
    return Problem(status, name, error.name, detail, headers=headers).response()


def _unavailable(type: str, what: str) -> Any:
    def answer(error: Exception) -> Response:
        log.error("%s unavailable: %s", what, error.__cause__ or error)
        detail = f"The {what} does not answer; try again in a few seconds."
        return Problem(
            503, type, f"The {what} is unavailable", detail, headers={"Retry-After": "5"}
        ).response()

    return answer


def _unknown_job(error: JobUnknown) -> Response:
    return Problem(404, "job-unknown", "Unknown job", f"There is no job {error.args[0]!r}.").response()


def _expired_job(error: JobExpired) -> Response:
    detail = f"Job {error.args[0]!r} has expired: its record was removed."
    return Problem(410, "job-expired", "Expired job", detail).response()


def _too_many_watchers(error: TooManyWatchers) -> Response:
    detail = f"{error.args[0]} event streams are open already; poll GET /jobs/ID instead."
    return Problem(429, "busy", "Too many watchers", detail, headers={"Retry-After": "10"}).response()


def _too_deep(error: RecursionError) -> Response:
    log.warning("a body was nested too deeply: %s", error)
    detail = "Expected JSON with fewer than a hundred levels of nesting."
    return Problem(400, "json-unreadable", "The body cannot be read as JSON", detail).response()


def _once_conflict(error: OnceConflict) -> Response:
    detail = "This Idempotency-Key was used for another request; use a new key for each request."
    return Problem(
        422, "idempotency-key-reused", "The key belongs to another request", detail, received=error.args[0]
    ).response()


def _no_model(error: NoModel) -> Response:
    return Problem(503, "model-missing", "No model yet", f"{error}; train one first.").response()


def _unknown_version(error: UnknownVersion) -> Response:
    detail = f"There is no model version {error.args[0]!r}."
    return Problem(404, "model-version-unknown", "Unknown model version", detail).response()


def _unexpected(error: Exception) -> Response:
    log.exception("unexpected error, request %s", request_id(), exc_info=error)
    detail = "Something went wrong; look up the request id in the log."
    return Problem(500, "internal-error", "Internal error", detail).response()
