"""Response models of the scraper, for its OpenAPI document."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pika_kit.contract import ProblemDetails, example
from pika_kit.job_views import JobAnswer

_ID = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
_OTHER_ID = "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"
_NEAR: dict[str, Any] = {
    "id": _OTHER_ID,
    "duplicate_of": _ID,
    "distance": 3,
    "perceptual_hash": "c3d1e0f0b8783c1e",
}
_DATASET: dict[str, Any] = {
    "name": "free-pikachus",
    "version": "v1",
    "bucket": "pikachu",
    "where": {"licences": ["cc0", "by"]},
    "made_at": "2026-11-26T06:00:00+00:00",
    "sha256": _OTHER_ID,
    "num_pictures": 1,
}
_TOMBSTONE: dict[str, Any] = {
    "id": _ID,
    "reason": "the author asked for it",
    "at": "2026-11-26T06:00:00+00:00",
}


class BucketsAnswer(BaseModel):
    """How many pictures each bucket holds."""

    model_config = example({"buckets": {"raw": 3310, "images": 3239, "pikachu": 457}, "near_duplicates": 71})

    buckets: dict[str, int]
    near_duplicates: int = Field(description="Pictures in raw that were kept out of images")


class UploadedFile(BaseModel):
    """What became of one file: its id and what it is, or a problem."""

    name: str
    id: str | None = None
    duplicate: bool | None = Field(default=None, description="Whether it was there already")
    format: str | None = None
    width: int | None = None
    height: int | None = None
    problem: ProblemDetails | None = None


class UploadAnswer(BaseModel):
    """What became of every file, in the order sent."""

    model_config = example(
        {
            "pictures": [
                {
                    "name": "body",
                    "id": _ID,
                    "duplicate": False,
                    "format": "png",
                    "width": 640,
                    "height": 480,
                }
            ],
            "looked_at": 1,
            "taken": 1,
            "exact_duplicates": 0,
            "refused": 0,
            "refused_by_reason": {},
            "skipped": {},
        }
    )

    pictures: list[UploadedFile]
    looked_at: int
    taken: int
    exact_duplicates: int
    refused: int
    refused_by_reason: dict[str, int]
    skipped: dict[str, int]
    job: JobAnswer | None = Field(default=None, description="That makes squares, where `prepare` asks for it")


class ListedPicture(BaseModel):
    """A picture and where it came from."""

    id: str
    content_type: str
    num_bytes: int
    provenance: dict[str, Any]


class PicturesAnswer(BaseModel):
    """One page of a bucket."""

    model_config = example(
        {
            "bucket": "images",
            "pictures": [
                {
                    "id": _ID,
                    "content_type": "image/png",
                    "num_bytes": 48_210,
                    "provenance": {"id": _ID, "width": 640, "origins": [{"source": "upload"}]},
                }
            ],
            "next_cursor": _ID,
        }
    )

    bucket: str
    pictures: list[ListedPicture]
    next_cursor: str | None


class NearDuplicate(BaseModel):
    """A picture that was kept out of images, and whose near duplicate it is."""

    model_config = ConfigDict(extra="allow")

    id: str
    duplicate_of: str
    distance: int = Field(description="Bits of 64 in which the perceptual hashes differ")


class NearDuplicatesAnswer(BaseModel):
    """One page of near duplicates."""

    model_config = example({"near_duplicates": [_NEAR], "next_cursor": None})

    near_duplicates: list[NearDuplicate]
    next_cursor: str | None


class Cluster(BaseModel):
    """A picture with its near duplicates."""

    id: str
    near_duplicates: list[NearDuplicate]
    sheet: str = Field(description="Where they can be looked at")


class ClustersAnswer(BaseModel):
    """One page of the pictures that have near duplicates."""

    model_config = example(
        {
            "clusters": [{"id": _ID, "near_duplicates": [_NEAR], "sheet": f"/images/clusters/{_ID}"}],
            "next_cursor": None,
        }
    )

    clusters: list[Cluster]
    next_cursor: str | None


class TombstoneAnswer(BaseModel):
    """A picture that was withdrawn."""

    id: str
    reason: str
    at: str


class WithdrawnPicture(TombstoneAnswer):
    """A tombstone, and the buckets that the picture was taken from now."""

    removed_from: list[str]


class WithdrawAnswer(BaseModel):
    """What was withdrawn, and what takes its place."""

    model_config = example({"withdrawn": [_TOMBSTONE | {"removed_from": ["raw", "images"]}], "promoted": []})

    withdrawn: list[WithdrawnPicture]
    promoted: list[str] = Field(description="Near duplicates that are prepared in their place")
    job: JobAnswer | None = Field(default=None, description="That prepares them")


class WithdrawalsAnswer(BaseModel):
    """One page of tombstones."""

    model_config = example({"withdrawals": [_TOMBSTONE], "next_cursor": None})

    withdrawals: list[TombstoneAnswer]
    next_cursor: str | None


class ReadmittedAnswer(BaseModel):
    """The picture may be collected again."""

    model_config = example({"readmitted": _ID})

    readmitted: str


class NamedDataset(BaseModel):
    """A name and its versions, the oldest first."""

    name: str
    versions: list[str]


class DatasetsAnswer(BaseModel):
    """All data sets."""

    model_config = example({"datasets": [{"name": "free-pikachus", "versions": ["v1"]}]})

    datasets: list[NamedDataset]


class DatasetAnswer(BaseModel):
    """One version of a data set."""

    model_config = example(_DATASET | {"withdrawn": 0, "pictures": [_ID]})

    name: str
    version: str
    bucket: str
    where: dict[str, Any]
    made_at: str
    sha256: str
    num_pictures: int
    withdrawn: int
    pictures: list[str] = Field(description="Ids of those that are not withdrawn")
