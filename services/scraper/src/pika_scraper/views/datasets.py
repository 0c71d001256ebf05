"""`POST /datasets` creates a data set as a job; `GET /datasets…` lists data sets and their pictures."""

from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi3 import Tag
from pydantic import BaseModel, ConfigDict, Field

from pika_kit import datasets
from pika_kit.bodies import OneOf
from pika_kit.contract import answers, api_blueprint
from pika_kit.job_views import JOB_STARTED
from pika_kit.service import Problem, start_job, state
from pika_scraper.views.answers import DatasetAnswer, DatasetsAnswer

_TAG = Tag(name="data sets", description="Which pictures a training sees, under a name and a version")
datasets_blueprint = api_blueprint("datasets", __name__, _TAG)


DatasetBucket = Annotated[str, OneOf(("images", "pikachu"))]
"""The buckets that a data set can be of; the GAN trains on those of pikachu."""


class Where(BaseModel):
    """Conditions; a picture with several origins matches if one of them does."""

    model_config = ConfigDict(extra="forbid")

    sources: list[str] = Field(default=[], max_length=100)
    without_sources: list[str] = Field(default=[], max_length=100)
    licences: list[str] = Field(
        default=[], max_length=100, description="How a licence may begin: by, CC0, pdm"
    )
    without_licences: list[str] = Field(
        default=[], max_length=100, description="How it may not: by-nc, by-nd"
    )
    without_flags: list[str] = Field(
        default=[], max_length=20, description="Such as blurry, tiny, screenshot"
    )


class DatasetBody(BaseModel):
    """A name, a bucket, and conditions."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=datasets.NAME_PATTERN, description="Small letters, digits and hyphens")
    bucket: DatasetBucket = Field("pikachu", description="Whose pictures")
    where: Where | None = Field(None, description="Without conditions all of them")


class DatasetPath(BaseModel):
    """A version of a data set."""

    name: str = Field(pattern=datasets.NAME_PATTERN)
    version: str = Field(pattern=r"^v[1-9][0-9]{0,8}$")


@datasets_blueprint.post("/datasets", responses=JOB_STARTED)
def start_dataset(body: DatasetBody) -> tuple[Response, int, dict[str, str]]:
    """Create a data set: an immutable list of the pictures that match the conditions now, as a job.

    Each call creates the next version, unless the pictures are the same as in the latest one.
    """
    where = {name: values for name, values in (body.where or Where()).model_dump().items() if values}
    return start_job("dataset", {"name": body.name, "bucket": body.bucket, "where": where})


@datasets_blueprint.get("/datasets", responses=answers(DatasetsAnswer))
def list_datasets() -> Response:
    """List all data sets and their versions, oldest first."""
    store = state().store
    listed = [{"name": name, "versions": datasets.versions_of(store, name)} for name in datasets.names(store)]
    return jsonify({"datasets": listed})


@datasets_blueprint.get("/datasets/<name>/<version>", responses=answers(DatasetAnswer, 404))
def get_dataset(path: DatasetPath) -> Response:
    """Show one version: its conditions and the ids of its pictures, without those withdrawn since."""
    store = state().store
    try:
        manifest = datasets.load(store, f"{path.name}/{path.version}")
    except datasets.UnknownDataset as error:
        detail = "There is no data set of that name and version; GET /datasets lists them."
        raise Problem(404, "dataset-unknown", "Unknown data set", detail, received=str(error)) from None
    usable = datasets.usable_ids(store, manifest)
    body: dict[str, Any] = manifest.summary() | {
        "withdrawn": len(manifest.pictures) - len(usable),
        "pictures": usable,
    }
    return jsonify(body)
