"""`POST /scrape` and `POST /prepare` start jobs; `GET /buckets` counts pictures."""

from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import BeforeValidator, Field, WithJsonSchema

from pika_kit.bodies import OneOf, OptionalBody
from pika_kit.contract import answers, api_blueprint
from pika_kit.job_views import JOB_STARTED
from pika_kit.pictures import PictureBucket
from pika_kit.service import Problem, start_job, state
from pika_kit.stages import Bucket
from pika_scraper.errors import SourceError
from pika_scraper.pictures.duplicates import near_duplicate_ids
from pika_scraper.sources import SOURCES
from pika_scraper.sources.base import ScrapeRequest
from pika_scraper.views.answers import BucketsAnswer

_TAG = Tag(name="collecting", description="Pictures from folders, zips and lists of addresses")
_STATUS = {"location-forbidden": 403}
_TITLES = {
    "source-unknown": "Unknown source",
    "source-arguments": "The source cannot be used like this",
    "location-forbidden": "The location may not be read",
    "location-missing": "The location is not there",
    "zip-unreadable": "The zip cannot be read",
    "list-unreadable": "The list cannot be read",
}

_FIT = "crop: the middle; pad: all of it where its ground is plain, on more of that ground, else the middle"

scraper_blueprint = api_blueprint("scraper", __name__, _TAG)


Fit = Annotated[str, OneOf(("crop", "pad"))]


def _split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


_QUERIES_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Queries = Annotated[list[str], BeforeValidator(_split), WithJsonSchema(_QUERIES_SCHEMA)]
SourceName = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(SOURCES)})]


class ScrapeBody(OptionalBody):
    """The sources, and what they need."""

    source: SourceName | None = Field(None, description="One source")
    sources: list[SourceName] | None = Field(
        None, max_length=10, description="Several in place of one, one after the other"
    )
    location: str | None = Field(
        None,
        max_length=4096,
        description="Folder, zip or list: absolute, or inside one of the allowed folders",
    )
    urls: list[str] | None = Field(None, max_length=10_000, description="For the source urls: the addresses")
    queries: Queries | None = Field(
        None,
        description="For sources that search: words, as a list or separated by commas. Without a source, "
        "those that can search here are asked.",
    )
    limit: int | None = Field(None, ge=1, description="Look at no more candidates than this")
    prepare: bool = Field(True, description="Make squares of what was taken, in the same job")
    fit: Fit = Field("crop", description=_FIT)


@scraper_blueprint.post("/scrape", responses=JOB_STARTED | {403: {}})
def start_scrape(body: ScrapeBody) -> tuple[Response, int, dict[str, str]]:
    """Collect all pictures from a source, as a job."""
    names, queries = _source_names(body), _queries(body)
    for name in names:
        request = ScrapeRequest(name, body.location, tuple(body.urls or ()), tuple(queries or ()))
        try:
            SOURCES[name].check(request, state().settings)
        except SourceError as error:
            raise source_problem(error) from error
    arguments = {
        "sources": names,
        "location": body.location,
        "urls": body.urls,
        "queries": queries,
        "limit": body.limit,
        "then_prepare": body.prepare,
        "fit": body.fit,
    }
    given = {key: value for key, value in arguments.items() if value is not None}
    return start_job("scrape", given)


class PrepareBody(OptionalBody):
    """How to make squares."""

    fit: Fit = Field("crop", description=_FIT)


@scraper_blueprint.post("/prepare", responses=JOB_STARTED)
def start_prepare(body: PrepareBody) -> tuple[Response, int, dict[str, str]]:
    """Crop all new raw pictures to squares, as a job."""
    return start_job("prepare", {"fit": body.fit})


@scraper_blueprint.get("/buckets", responses=answers(BucketsAnswer))
def count_buckets() -> Response:
    """Count the pictures in each bucket.

    Near duplicates are in raw and excluded from images.
    """
    store = state().store
    counts = {
        bucket.value: PictureBucket(store, bucket).count()
        for bucket in (Bucket.RAW, Bucket.IMAGES, Bucket.PIKACHU)
    }
    return jsonify({"buckets": counts, "near_duplicates": len(near_duplicate_ids(store))})


def source_problem(error: SourceError) -> Problem:
    """Build the problem for a source that cannot work."""
    return Problem(
        _STATUS.get(error.code, 422),
        error.code,
        _TITLES.get(error.code, "Unusable source"),
        str(error),
        reason=error.code,
    )


def _source_names(body: ScrapeBody) -> list[str]:
    if body.source and body.sources:
        raise Problem(
            422,
            "request-invalid",
            "The request does not fit",
            "source: expected a source or sources; received both.",
        )
    asked = [body.source] if body.source else list(body.sources or ())
    if body.queries and not asked:
        # Commons rejects clients without a contact address.
        asked = ["openverse", *(["commons"] if state().settings.contact else [])]
    if not asked or not set(asked) <= set(SOURCES) or len(set(asked)) < len(asked):
        detail = f"Expected sources of {', '.join(SOURCES)}; received {', '.join(asked)[:200] or 'none'}."
        raise Problem(
            422, "source-unknown", _TITLES["source-unknown"], detail, expected=list(SOURCES), received=asked
        )
    return asked


def _queries(body: ScrapeBody) -> list[str] | None:
    return None if body.queries is None else [query.strip() for query in body.queries if query.strip()]
