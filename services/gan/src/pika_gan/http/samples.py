"""GET /gan/samples…: training runs with their sample sheets, curves and films."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import Tag

from pika_gan.http.answers import RunLogAnswer, RunsAnswer, RunSheetsAnswer
from pika_gan.http.schemas import RunPath, SheetPath
from pika_gan.runs import RunFolder, RunMissing, list_runs
from pika_kit.contract import answers, api_blueprint, media
from pika_kit.service import Problem, state

blueprint = api_blueprint("gan_samples", __name__, Tag(name="gan samples", description="Training runs"))


def _read(run_id: str, name: str) -> bytes:
    try:
        return RunFolder(state().store, run_id).read(name)
    except RunMissing:
        raise _missing(run_id) from None


def _missing(run_id: str) -> Problem:
    return Problem(
        404,
        "run-or-file-missing",
        "Unknown run or file",
        f"Run {run_id!r} is not there, or has no such file yet; GET /gan/samples lists the runs.",
    )


def _described(run_id: str, status: dict[str, Any]) -> dict[str, Any]:
    base = f"/gan/samples/{run_id}"
    return {
        **status,
        "run_id": run_id,
        "url": base,
        "latest_url": f"{base}/latest",
        "film_url": f"{base}/film",
        "log_url": f"{base}/log",
    }


@blueprint.get("/gan/samples", responses=answers(RunsAnswer))
def list_samples() -> Response:
    """List all training runs, latest first, with links to their sheets and films."""
    return jsonify({"runs": [_described(run_id, status) for run_id, status in list_runs(state().store)]})


@blueprint.get("/gan/samples/<run_id>", responses=answers(RunSheetsAnswer, 404))
def run_samples(path: RunPath) -> Response:
    """Show one training run: its status and all its sheets, by step."""
    folder = RunFolder(state().store, path.run_id)
    status = folder.status()
    if status is None:
        raise _missing(path.run_id)
    base = f"/gan/samples/{path.run_id}/sheets"
    sheets = [{"step": step, "url": f"{base}/{step}"} for step in folder.sheet_steps()]
    return jsonify({**_described(path.run_id, status), "sheets": sheets})


@blueprint.get("/gan/samples/<run_id>/sheets/<int:step>", responses=answers(media("image/png"), 404))
def run_sheet(path: SheetPath) -> Response:
    """Show the sheet of one step."""
    return Response(_read(path.run_id, f"samples/step-{path.step:08d}.png"), content_type="image/png")


@blueprint.get(
    "/gan/samples/<run_id>/latest", responses=answers(media("image/png", headers=("X-Step",)), 404)
)
def latest_sheet(path: RunPath) -> Response:
    """Show the latest sheet; the header X-Step holds its step."""
    steps = RunFolder(state().store, path.run_id).sheet_steps()
    if not steps:
        raise _missing(path.run_id)
    data = _read(path.run_id, f"samples/step-{steps[-1]:08d}.png")
    headers = {"X-Step": str(steps[-1]), "Cache-Control": "no-cache"}
    return Response(data, content_type="image/png", headers=headers)


@blueprint.get("/gan/samples/<run_id>/film", responses=answers(media("image/webp"), 404))
def run_film(path: RunPath) -> Response:
    """Show the film of all sheets, an animated WebP; available when the run has ended."""
    return Response(_read(path.run_id, "film.webp"), content_type="image/webp")


@blueprint.get("/gan/samples/<run_id>/log", responses=answers(RunLogAnswer, 404))
def run_log(path: RunPath) -> Response:
    """Return the curves of a run."""
    text = _read(path.run_id, "log.jsonl").decode()
    return jsonify({"lines": [json.loads(line) for line in text.splitlines() if line.strip()]})
