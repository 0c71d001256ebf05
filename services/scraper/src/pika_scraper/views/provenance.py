"""`GET /images/provenance`: where the pictures of a bucket came from, one record per origin."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

from flask import Response, stream_with_context
from flask_openapi3 import Tag
from pydantic import BaseModel, Field

from pika_kit.bodies import OneOf
from pika_kit.contract import answers, api_blueprint, media
from pika_kit.gates import Gate
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.service import state
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads
from pika_scraper.intake.provenance import ORIGIN_FIELDS
from pika_scraper.views.images import PictureBucketName
from pika_scraper.views.parquet import as_parquet

_TAG = Tag(name="pictures", description="Upload, list, look at")
_NUM_THREADS = 8
_PICTURE_FIELDS = ("id", "sha256", "format", "width", "height", "num_bytes")
FIELDS = (*_PICTURE_FIELDS, *ORIGIN_FIELDS)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

# Each download reads a whole bucket.
_DOWNLOADS = Gate("downloads of provenance", at_once=2)
provenance_blueprint = api_blueprint("provenance", __name__, _TAG)


Format = Annotated[str, OneOf(("jsonl", "csv", "parquet"))]
"""How the records are written."""


class ProvenanceQuery(BaseModel):
    """Selects the records and their format."""

    bucket: PictureBucketName = Field("images", description="Which bucket")
    format: Format = Field(
        "jsonl",
        description="JSON lines, CSV with a header, or Parquet with img2dataset's columns",
    )
    without_source: list[str] = Field([], description="Exclude origins from these sources; repeatable")
    without_licence: list[str] = Field([], description="Exclude origins with these licences; repeatable")


_DOWNLOAD = media("application/x-ndjson", "text/csv", "application/vnd.apache.parquet")


@provenance_blueprint.get("/images/provenance", responses=answers(_DOWNLOAD, 429))
def download_provenance(query: ProvenanceQuery) -> Response:
    """Download the provenance of a bucket's pictures, one record per origin.

    A picture without an origin has one record too.
    """
    place = ExitStack()
    place.enter_context(_DOWNLOADS)
    records = _records(PictureBucket(state().store, Bucket(query.bucket)), query)
    scratch = state().settings.state_dir
    scratch.mkdir(parents=True, exist_ok=True)
    writers: dict[str, tuple[Callable[[Iterator[dict[str, Any]]], Iterator[bytes]], str]] = {
        "jsonl": (_as_json_lines, "application/x-ndjson"),
        "csv": (_as_csv, "text/csv; charset=utf-8"),
        "parquet": (partial(as_parquet, scratch=scratch), "application/vnd.apache.parquet"),
    }
    write, media_type = writers[query.format]
    name = f"provenance-{query.bucket}.{query.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}

    def written() -> Iterator[bytes]:
        with place:
            yield from write(records)

    answer = Response(stream_with_context(written()), content_type=media_type, headers=headers)
    answer.call_on_close(place.close)  # also if the client has disconnected
    return answer


def _records(pictures: PictureBucket, query: ProvenanceQuery) -> Iterator[dict[str, Any]]:
    unattached = pictures.unattached()

    def provenance(entry: PictureEntry) -> dict[str, Any]:
        try:
            return pictures.provenance(entry, unattached)
        except ObjectMissing:
            return {}  # deleted since it was listed

    for entry, record in in_threads(provenance, pictures.entries(), _NUM_THREADS):
        facts = {name: record.get(name) for name in _PICTURE_FIELDS} | {"id": entry.picture_id}
        for origin in record.get("origins") or [{}]:
            is_left_out = (
                origin.get("source") in query.without_source or origin.get("licence") in query.without_licence
            )
            if record and not is_left_out:
                yield facts | {name: origin.get(name) for name in ORIGIN_FIELDS}


def _as_json_lines(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for record in records:
        yield json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _as_csv(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    yield (",".join(FIELDS) + "\r\n").encode()
    for record in records:
        line = io.StringIO()
        csv.writer(line).writerow([_cell(record[name]) for name in FIELDS])
        yield line.getvalue().encode()


def _cell(value: Any) -> Any:
    """Escape untrusted names and authors: a spreadsheet should show them, not evaluate them."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
