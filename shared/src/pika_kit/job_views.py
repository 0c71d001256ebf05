"""The views of jobs, the same in every service: list, one, its events as they happen, cancel."""

import re
from typing import Any

from flask import Response, current_app, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from pika_kit.queue import JobQueue, JobView, Once

_TAG = Tag(name="jobs", description="Long work: progress, events, cancel")
_KEY = re.compile(r"[\x21-\x7e]{1,128}")

jobs_blueprint = APIBlueprint("jobs", __name__, abp_tags=[_TAG])


class JobPath(BaseModel):
    job_id: str = Field(description="The job's id, from the Location header of the 202 answer")


class JobListQuery(BaseModel):
    limit: int = Field(50, ge=1, le=500, description="At most so many, the newest first")


def start_job(name: str, arguments: dict[str, Any]) -> tuple[Response, int, dict[str, str]]:
    """Start a job for the current request; one that comes again with its `Idempotency-Key` gets the same job.

    Raises:
        OnceConflict: the key came before, with another request.
    """
    once = once_of({"job": name, "arguments": arguments})
    if once is None:
        return job_accepted(_queue().enqueue(name, arguments))
    view, was_there = _queue().enqueue_once(name, arguments, once)
    return job_accepted(view, was_there)


def once_of(what: Any) -> Once | None:
    """The current request's idempotency key with `what` it asks for (JSON-able); None where it has no key.

    Raises:
        BadIdempotencyKey: the header holds something else than 1 to 128 printable characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadIdempotencyKey(key)
    return Once.of(key, g.get("api_key_name", ""), {"path": request.path, "what": what})


class BadIdempotencyKey(ValueError):
    """The Idempotency-Key header cannot be used."""


def job_accepted(view: JobView, was_there: bool = False) -> tuple[Response, int, dict[str, str]]:
    """The answer to a request that started a job: 202, the job's view, and where to look it up."""
    headers = {"Location": f"/jobs/{view.id}"}
    if was_there:
        headers["Idempotency-Replayed"] = "true"
    return jsonify(view.to_json()), 202, headers


def _queue() -> JobQueue:
    queue: JobQueue = current_app.config["PIKA"].queue
    return queue


@jobs_blueprint.get("/jobs")
def list_jobs(query: JobListQuery) -> Response:
    """The newest jobs."""
    return jsonify({"jobs": [view.to_json() for view in _queue().list(query.limit)]})


@jobs_blueprint.get("/jobs/<job_id>")
def get_job(path: JobPath) -> Response:
    """One job: 404 when it never was, 410 when its record is gone by age."""
    return jsonify(_queue().get(path.job_id).to_json())


@jobs_blueprint.delete("/jobs/<job_id>")
def cancel_job(path: JobPath) -> tuple[Response, int]:
    """Cancel: at once while it queues, else as soon as it next reports progress."""
    return jsonify(_queue().cancel(path.job_id).to_json()), 202


@jobs_blueprint.get("/jobs/<job_id>/events")
def job_events(path: JobPath) -> Response:
    """Server-sent events: `progress` with the job's view at each change, then `end` with the last one.

    A stream ends after ten minutes at most; an EventSource comes back by itself. 429 where too many watch.
    """
    service = current_app.config["PIKA"]
    service.queue.get(path.job_id)  # an unknown job is a problem and no empty stream
    return Response(
        service.hub.events(path.job_id),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
