"""`POST /images`: upload; `GET /images…`: list with provenance, one picture or its thumbnail."""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from flask import Response, jsonify, request
from flask_openapi3 import Tag
from pydantic import BaseModel, Field

from pika_kit.bodies import OneOf
from pika_kit.contract import answers, api_blueprint, form_with, media
from pika_kit.gates import Gate
from pika_kit.images import CONTENT_TYPES, decode, encode, thumbnail
from pika_kit.job_views import JOB_STARTED
from pika_kit.pictures import PictureBucket, PictureEntry, is_picture_id
from pika_kit.service import Problem, job_accepted, state
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.withdrawn import is_withdrawn
from pika_scraper.pictures.duplicates import NEAR_DUPLICATES, record_key
from pika_scraper.views.answers import NearDuplicatesAnswer, PicturesAnswer, UploadAnswer
from pika_scraper.views.uploads import answer_uploads, received_files, zip_as_job

_TAG = Tag(name="pictures", description="Upload, list, look at")
_NUM_LISTING_THREADS = 8
CURSOR_PATTERN = r"^([0-9a-f]{64})?$"

# Bodies are spooled to the scratch folder, which has 512 MiB in a container.
_UPLOADS = Gate("uploads", at_once=6)
images_blueprint = api_blueprint("images", __name__, _TAG)


PictureBucketName = Annotated[str, OneOf(("raw", "images", "pikachu"))]
"""The buckets that hold pictures one may look at."""


class UploadQuery(BaseModel):
    """How to process the pictures."""

    prepare: bool | None = Field(
        None,
        description="Crop new pictures to squares afterwards, as a job; default: only for a zip",
    )


class ListQuery(BaseModel):
    """Selects a page of a bucket."""

    bucket: PictureBucketName = Field("images", description="Which bucket")
    cursor: str = Field("", pattern=CURSOR_PATTERN, description="next_cursor of the previous page")
    limit: int = Field(50, ge=1, le=200, description="Pictures per page")


class PageQuery(BaseModel):
    """Selects a page."""

    cursor: str = Field("", pattern=CURSOR_PATTERN, description="next_cursor of the previous page")
    limit: int = Field(50, ge=1, le=200, description="Entries per page")


class PicturePath(BaseModel):
    """Path parameters of a picture."""

    picture_id: str = Field(
        description="SHA-256 of the original bytes, 64 hexadecimal digits",
        json_schema_extra={"pattern": "^[0-9a-f]{64}$"},
    )


class PictureQuery(BaseModel):
    """The bucket, and the size of the thumbnail."""

    bucket: PictureBucketName = Field("images", description="Which bucket")
    size: int | None = Field(
        None, ge=16, le=1024, description="Return a JPEG thumbnail whose longer side has this many pixels"
    )


_BINARY = {"type": "string", "format": "binary"}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": _BINARY},
            "application/zip": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {"schema": form_with({"type": "array", "items": _BINARY, "minItems": 1})},
        },
    }
}


@images_blueprint.post(
    "/images",
    responses=answers(UploadAnswer, 409, 429) | answers(UploadAnswer, status=201) | JOB_STARTED,
    openapi_extensions=_UPLOAD,
)
def upload_images(query: UploadQuery) -> Any:
    """Upload pictures: one as the request body, any number as form files, or a zip as either.

    The response lists every file in the order sent, with its id or a problem: 201 if any was new, 200 if none
    was. If the request body itself is a picture and is rejected, the response is that problem: 415 if it is
    not a picture, 422 if it cannot be read. A zip starts a job (202); a small one with `prepare=false` is
    processed like form files.
    """
    with _UPLOADS, received_files(request, state().settings) as files:
        job = zip_as_job(files, state(), then_prepare=query.prepare is not False)
        if job is not None:
            return job_accepted(*job)
        body, status = answer_uploads(files, PictureBucket(state().store, Bucket.RAW))
    headers = {}
    if body["taken"] and query.prepare:
        body["job"] = state().queue.enqueue("prepare", {}).to_json()
    if len(body["pictures"]) == 1 and "id" in body["pictures"][0]:
        headers["Location"] = f"/images/{body['pictures'][0]['id']}?bucket=raw"
    return jsonify(body), status, headers


@images_blueprint.get("/images", responses=answers(PicturesAnswer))
def list_images(query: ListQuery) -> Response:
    """List the pictures in a bucket by id, with their provenance."""
    pictures = PictureBucket(state().store, Bucket(query.bucket))
    entries = list(pictures.entries(query.cursor, query.limit + 1))
    page = entries[: query.limit]
    with ThreadPoolExecutor(_NUM_LISTING_THREADS) as pool:
        listed = list(pool.map(lambda entry: _listed(pictures, entry), page))
    next_cursor = page[-1].picture_id if len(entries) > len(page) else None
    return jsonify({"bucket": query.bucket, "pictures": listed, "next_cursor": next_cursor})


@images_blueprint.get("/images/near-duplicates", responses=answers(NearDuplicatesAnswer))
def list_near_duplicates(query: PageQuery) -> Response:
    """List the pictures in raw that are near duplicates of others and excluded from images."""
    store, after = state().store, query.cursor
    start = record_key(after) if after else ""
    keys: list[str] = []
    for entry in store.list(Bucket.IMAGES, NEAR_DUPLICATES, start_after=start):
        keys.append(entry.key)
        if len(keys) > query.limit:
            break
    page = keys[: query.limit]
    with ThreadPoolExecutor(_NUM_LISTING_THREADS) as pool:
        listed = list(pool.map(lambda key: store.get_json(Bucket.IMAGES, key), page))
    next_cursor = listed[-1]["id"] if len(keys) > len(page) else None
    return jsonify({"near_duplicates": listed, "next_cursor": next_cursor})


@images_blueprint.get(
    "/images/<string(length=64):picture_id>",
    responses=answers(media(*CONTENT_TYPES.values(), headers=("ETag", "Cache-Control")), 404),
)
def get_image(path: PicturePath, query: PictureQuery) -> Response:
    """Return a picture as stored, or a thumbnail."""
    pictures = PictureBucket(state().store, Bucket(query.bucket))
    picture_id = path.picture_id
    etag = f"{query.bucket}-{picture_id}-{query.size or 'full'}"
    try:
        if not is_picture_id(picture_id):
            raise ObjectMissing(query.bucket, picture_id)
        if query.bucket == Bucket.PIKACHU and is_withdrawn(state().store, picture_id):
            raise ObjectMissing(query.bucket, picture_id)  # not deleted by the classifier yet
        entry = pictures.entry(picture_id)
        if request.if_none_match.contains(etag):
            return Response(status=304, headers={"ETag": f'"{etag}"'})
        data, content_type = pictures.read(entry), entry.content_type
    except ObjectMissing as error:
        detail = f"The bucket {query.bucket} holds no picture of that id."
        raise Problem(404, "picture-unknown", "Unknown picture", detail, received=picture_id[:80]) from error
    if query.size is not None:
        pixels = decode(data, at_least=query.size).pixels
        data, content_type = encode(thumbnail(pixels, query.size), "jpeg", 85), CONTENT_TYPES["jpeg"]
    headers = {
        "ETag": f'"{etag}"',
        # A picture never changes under its hash, but it can be withdrawn.
        "Cache-Control": "private, max-age=300",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(data, headers=headers, content_type=content_type)


def _listed(pictures: PictureBucket, entry: PictureEntry) -> dict[str, Any]:
    try:
        provenance = pictures.provenance(entry)
    except ObjectMissing:
        provenance = {}  # deleted since it was listed
    return {
        "id": entry.picture_id,
        "content_type": entry.content_type,
        "num_bytes": entry.size,
        "provenance": provenance,
    }
