"""The job endpoints, the same in every service: list, show, stream events, cancel."""

from typing import Annotated, Any, Literal

from flask import Response, current_app, g, jsonify, request
from flask_openapi3 import Tag
from pydantic import BaseModel, Field

from pika_kit.bodies import OneOf
from pika_kit.contract import answers, api_blueprint, example, media
from pika_kit.queue import JobQueue, JobView, Once
from pika_kit.stages import JOBS

_TAG = Tag(name="jobs", description="Long work: progress, events, cancel")

jobs_blueprint = api_blueprint("jobs", __name__, _TAG)


JobKindName = Annotated[str, OneOf(JOBS)]
JobStatus = Literal["queued", "running", "finished", "failed", "cancelled"]
_EXAMPLE: dict[str, Any] = {
    "id": "0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44",
    "name": "gan-train",
    "status": "running",
    "arguments": {"preset": "cpu-64", "minutes": 30.0},
    "progress": {"done": 420, "total": 8400, "message": "step 420, about 28 min left", "details": {}},
    "result": None,
    "error": None,
    "created_at": "2026-11-26T06:00:00+00:00",
    "started_at": "2026-11-26T06:00:01+00:00",
    "ended_at": None,
    "error_kind": None,
}


class JobPath(BaseModel):
    """Path parameters of one job."""

    job_id: str = Field(description="The job's id, from the Location header of the 202 answer")


class JobListQuery(BaseModel):
    """Query parameters that select jobs."""

    limit: int = Field(50, ge=1, le=500, description="Maximum number of jobs, newest first")
    status: JobStatus | None = Field(None, description="Only jobs of this status")
    kind: JobKindName | None = Field(None, description="Only jobs of this kind (the job's `name`)")


class ProgressAnswer(BaseModel):
    """A job's progress."""

    done: int
    total: int | None = Field(description="Null where nobody knows")
    message: str
    details: dict[str, Any] = Field(description="Figures, for display")


class JobAnswer(BaseModel):
    """A job as its client sees it."""

    model_config = example(_EXAMPLE)

    id: str
    name: str = Field(description="Its kind: gan-train, filter, …")
    status: JobStatus
    arguments: dict[str, Any]
    progress: ProgressAnswer
    result: dict[str, Any] | None = Field(description="Of a finished job")
    error: str | None = Field(description="Of a failed job")
    created_at: str | None
    started_at: str | None
    ended_at: str | None
    error_kind: Literal["user", "outage", "killed", "bug"] | None = Field(
        description="Of a failed job; user: the message says what to do"
    )


class JobListAnswer(BaseModel):
    """Jobs, newest first."""

    model_config = example({"jobs": [_EXAMPLE]})

    jobs: list[JobAnswer]


JOB_STARTED = answers(JobAnswer, status=202)
"""The `responses` of a view that starts a job."""


def start_job(name: str, arguments: dict[str, Any]) -> tuple[Response, int, dict[str, str]]:
    """Start a job for the current request; a repeated `Idempotency-Key` returns the same job.

    Raises:
        OnceConflict: the key was used before for a different request.
    """
    once = once_of({"job": name, "arguments": arguments})
    if once is None:
        return job_accepted(_queue().enqueue(name, arguments))
    view, was_there = _queue().enqueue_once(name, arguments, once)
    return job_accepted(view, was_there)


def once_of(what: Any) -> Once | None:
    """Return the request's idempotency key with what it asks for (JSON-able), or None without a key."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    return Once.of(key, g.get("api_key_name", ""), {"path": request.path, "what": what})


def job_accepted(view: JobView, was_there: bool = False) -> tuple[Response, int, dict[str, str]]:
    """Build the response to a request that started a job: 202, the job, and its Location."""
    headers = {"Location": f"/jobs/{view.id}"}
    if was_there:
        headers["Idempotency-Replayed"] = "true"
    return jsonify(view.to_json()), 202, headers


def _queue() -> JobQueue:
    queue: JobQueue = current_app.config["PIKA"].queue
    return queue


@jobs_blueprint.get("/jobs", responses=answers(JobListAnswer))
def list_jobs(query: JobListQuery) -> Response:
    """List the newest jobs."""
    jobs = _queue().list(query.limit, status=query.status, kind=query.kind)
    return jsonify({"jobs": [view.to_json() for view in jobs]})


@jobs_blueprint.get("/jobs/<job_id>", responses=answers(JobAnswer, 404, 410))
def get_job(path: JobPath) -> Response:
    """Show one job.

    404 if it never existed, 410 if its record has expired.
    """
    return jsonify(_queue().get(path.job_id).to_json())


@jobs_blueprint.delete("/jobs/<job_id>", responses=answers(JobAnswer, 404, 410, status=202))
def cancel_job(path: JobPath) -> tuple[Response, int]:
    """Cancel a job: immediately if it is queued, otherwise when it next reports progress."""
    return jsonify(_queue().cancel(path.job_id).to_json()), 202


@jobs_blueprint.get(
    "/jobs/<job_id>/events",
    responses=answers(media("text/event-stream", description="Events, as they happen"), 404, 410, 429),
)
def job_events(path: JobPath) -> Response:
    """Stream a job's progress as server-sent events.

    Each change sends a `progress` event with the job, and the last one an `end` event. A stream closes after
    ten minutes at most; an EventSource reconnects by itself. 429 if too many clients are watching.
    """
    service = current_app.config["PIKA"]
    service.queue.get(path.job_id)  # an unknown job must be a problem, not an empty stream
    return Response(
        service.hub.events(path.job_id),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
