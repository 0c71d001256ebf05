"""`GET /images/clusters`: pictures with their near duplicates, as a list and as a sheet."""

from typing import Any

import numpy as np
from flask import Response, jsonify
from flask_openapi3 import Tag
from PIL import ImageOps

from pika_kit.contract import answers, api_blueprint, media
from pika_kit.gates import Gate
from pika_kit.images import Pixels, decode, sheet
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.service import Problem, state
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_scraper.pictures.duplicates import clusters
from pika_scraper.views.answers import ClustersAnswer
from pika_scraper.views.images import PageQuery, PicturePath

_TAG = Tag(name="pictures", description="Upload, list, look at")
_SIDE = 192
_MAX_SHOWN = 64
# Each request reads all records of near duplicates.
_LOOKS = Gate("looks at near duplicates", at_once=2)

clusters_blueprint = api_blueprint("clusters", __name__, _TAG)


@clusters_blueprint.get("/images/clusters", responses=answers(ClustersAnswer, 429))
def list_clusters(query: PageQuery) -> Response:
    """List pictures that have near duplicates, with the distances.

    `distance` is the number of bits (of 64) in which the perceptual hashes differ.
    """
    after = query.cursor
    with _LOOKS:
        later = [(kept, near) for kept, near in clusters(state().store).items() if kept > after]
    page = later[: query.limit]
    listed = [{"id": kept, "near_duplicates": near, "sheet": _sheet_of(kept)} for kept, near in page]
    next_cursor = page[-1][0] if len(later) > len(page) else None
    return jsonify({"clusters": listed, "next_cursor": next_cursor})


@clusters_blueprint.get(
    "/images/clusters/<string(length=64):picture_id>", responses=answers(media("image/png"), 404, 429)
)
def look_at_cluster(path: PicturePath) -> Response:
    """Show a picture beside up to 63 of its near duplicates, nearest first."""
    store = state().store
    with _LOOKS:
        near = clusters(store).get(path.picture_id)
        if near is None:
            detail = "No near duplicates of a picture of that id are known."
            raise Problem(404, "cluster-unknown", "Unknown cluster", detail, received=path.picture_id[:80])
        ids = [path.picture_id, *(record["id"] for record in near)]
        tiles = [
            tile for tile in (_tile(store, picture_id) for picture_id in ids[:_MAX_SHOWN]) if tile is not None
        ]
    if not tiles:
        raise Problem(404, "cluster-unknown", "Unknown cluster", "Its pictures are not there any more.")
    headers = {"Cache-Control": "private, max-age=60", "Content-Security-Policy": "default-src 'none'"}
    return Response(encode_png(sheet(np.stack(tiles))), content_type="image/png", headers=headers)


def _tile(store: Store, picture_id: str) -> Pixels | None:
    """Return the whole original picture on a white square, or None if it no longer exists."""
    pictures = PictureBucket(store, Bucket.RAW)
    try:
        data = pictures.bytes(picture_id)
    except ObjectMissing:
        return None
    image: Any = decode(data, at_least=_SIDE).image
    return np.asarray(ImageOps.pad(image, (_SIDE, _SIDE), color="white"))


def _sheet_of(picture_id: str) -> str:
    return f"/images/clusters/{picture_id}"
