"""The pictures closest to a filter's threshold, as two sheets, to check the threshold by eye.

runs: classifier/<job>/accepted.png, left-out.png    nearest to the threshold first, four in a row runs:
classifier/<job>/borderline.json               name of the sheet → [{id, probability}], in order
"""

from typing import Any

import numpy as np

from pika_classifier.filtering.selection import Decision
from pika_kit.images import (
    PictureError,
    Pixels,
    blank_tiles,
    decode,
    sheet,
    sheet_columns,
    square,
)
from pika_kit.pictures import PictureBucket
from pika_kit.png import encode_png
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads
from pika_kit.withdrawn import withdrawn_ids

SHEETS = ("accepted.png", "left-out.png")
NUM_SHOWN = 16
_SIDE = 128
_NUM_THREADS = 8


def save_borderline(store: Store, job_id: str, decision: Decision, pictures: PictureBucket) -> dict[str, Any]:
    """Draw and save the sheets; return their contents: {name: [{"id", "probability"}]}.

    Empty sheets are not saved. Pictures labelled by a person are left out.
    """
    shown: dict[str, list[dict[str, Any]]] = {}
    for name, ids in zip(SHEETS, _nearest(decision), strict=True):
        looked = in_threads(lambda picture_id: _tile(pictures, picture_id), ids, _NUM_THREADS)
        tiles = [(picture_id, tile) for picture_id, tile in looked if tile is not None]
        shown[name] = [
            {"id": picture_id, "probability": decision.probabilities[picture_id]} for picture_id, _ in tiles
        ]
        if tiles:
            drawn = encode_png(sheet(np.stack([tile for _, tile in tiles])))
            store.put(Bucket.RUNS, _key(job_id, name), drawn, content_type="image/png")
    store.put_json(Bucket.RUNS, _key(job_id, "borderline.json"), shown)
    return shown


def load_sheet(store: Store, job_id: str, name: str) -> bytes:
    """Return a sheet as PNG with pictures withdrawn since blanked. Raises ObjectMissing."""
    data = store.get(Bucket.RUNS, _key(job_id, name))
    shown = store.get_json(Bucket.RUNS, _key(job_id, "borderline.json"))[name]
    gone = set(withdrawn_ids(store))
    tiles = [index for index, entry in enumerate(shown) if entry["id"] in gone]
    return encode_png(blank_tiles(decode(data).pixels, tiles, sheet_columns(len(shown)))) if tiles else data


def _nearest(decision: Decision) -> tuple[list[str], list[str]]:
    """Return ids just above and just below the threshold, nearest first."""
    judged = sorted(
        (value - decision.threshold, picture_id)
        for picture_id, value in decision.probabilities.items()
        if value is not None and picture_id not in decision.labels
    )
    above = [picture_id for distance, picture_id in judged if distance >= 0]
    below = [picture_id for distance, picture_id in judged if distance < 0]
    return above[:NUM_SHOWN], below[: -NUM_SHOWN - 1 : -1]


def _tile(pictures: PictureBucket, picture_id: str) -> Pixels | None:
    try:
        return square(decode(pictures.bytes(picture_id), at_least=_SIDE).pixels, _SIDE)
    except (ObjectMissing, PictureError):
        return None  # deleted since it was listed


def _key(job_id: str, name: str) -> str:
    return f"classifier/{job_id}/{name}"
