"""`POST /images/withdrawals` and `DELETE /images/<id>` withdraw pictures; withdrawn ones can be listed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import BaseModel, ConfigDict, Field

from pika_kit.contract import answers, api_blueprint
from pika_kit.service import Problem, state
from pika_kit.withdrawn import readmit, tombstone, withdrawn_ids
from pika_scraper.datasets.withdraw import withdraw_pictures
from pika_scraper.views.answers import ReadmittedAnswer, WithdrawalsAnswer, WithdrawAnswer
from pika_scraper.views.images import PageQuery

_TAG = Tag(name="withdrawals", description="Pictures that somebody wants out")
_NUM_THREADS = 8
_ID = r"^[0-9a-f]{64}$"
_REASON = Field("", max_length=500, description="The reason, kept with the tombstone")

withdrawals_blueprint = api_blueprint("withdrawals", __name__, _TAG)


class WithdrawBody(BaseModel):
    """Which pictures to withdraw, and why."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(pattern=_ID)]] = Field(
        min_length=1,
        max_length=1000,
        description="SHA-256 of the bytes as found; also of files not found yet",
    )
    reason: str = _REASON


class WithdrawQuery(BaseModel):
    """The reason."""

    reason: str = _REASON


class WithdrawPath(BaseModel):
    """A picture, even one that has not been found yet."""

    picture_id: str = Field(pattern=_ID, description="SHA-256 of the original bytes, 64 hexadecimal digits")


@withdrawals_blueprint.post("/images/withdrawals", responses=answers(WithdrawAnswer))
def withdraw_many(body: WithdrawBody) -> Response:
    """Withdraw pictures.

    They are removed from raw and images immediately, and are never collected again.

    Near duplicates that had been excluded because of them are prepared in their place, as a job. Labels and
    the bucket pikachu are cleaned by `POST /labels/withdrawn`, or by the next training or filter job.
    """
    return jsonify(_withdraw(body.ids, body.reason))


@withdrawals_blueprint.delete(
    "/images/<string(length=64):picture_id>", responses=answers(WithdrawAnswer, 404)
)
def withdraw_one(path: WithdrawPath, query: WithdrawQuery) -> Response:
    """Withdraw one picture; see `POST /images/withdrawals`."""
    return jsonify(_withdraw([path.picture_id], query.reason))


@withdrawals_blueprint.get("/images/withdrawals", responses=answers(WithdrawalsAnswer))
def list_withdrawals(query: PageQuery) -> Response:
    """List the tombstones of withdrawn pictures, by id."""
    store = state().store
    ids = withdrawn_ids(store, query.cursor, query.limit + 1)
    page = ids[: query.limit]
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        listed = list(pool.map(lambda picture_id: tombstone(store, picture_id), page))
    return jsonify({"withdrawals": listed, "next_cursor": page[-1] if len(ids) > len(page) else None})


@withdrawals_blueprint.delete(
    "/images/withdrawals/<string(length=64):picture_id>", responses=answers(ReadmittedAnswer, 404)
)
def readmit_one(path: WithdrawPath) -> Response:
    """Remove a tombstone.

    The picture itself is not restored, but may be collected again.
    """
    if not readmit(state().store, path.picture_id):
        detail = "No picture of that id is withdrawn."
        raise Problem(404, "picture-unknown", "Unknown picture", detail, received=path.picture_id)
    return jsonify({"readmitted": path.picture_id})


def _withdraw(ids: list[str], reason: str) -> dict[str, Any]:
    done = withdraw_pictures(state().store, ids, reason)
    body: dict[str, Any] = {
        "withdrawn": [stone | {"removed_from": done.removed_from[stone["id"]]} for stone in done.tombstones],
        "promoted": done.promoted,
    }
    if done.promoted:
        body["job"] = state().queue.enqueue("prepare", {}).to_json()
    return body
