"""Features of varied pictures, which show in what directions a picture moves while showing the same.

    runs: classifier/features/<key>/variations/<what was varied>/<digest>.npz    ids, features (N, V, F)

The choice of pictures depends on their ids alone, so that after a scrape only newly chosen ones are
processed. The features of all others, including withdrawn ones, are deleted.
"""

import hashlib

import numpy as np

from pika_classifier.config import IMAGE_SIZE, FrozenPreset
from pika_classifier.features.extractor import Extractor, folder_of
from pika_classifier.learn.augment import augment
from pika_classifier.rows import OnCount
from pika_classifier.serve.predictor import prepare
from pika_kit.arrays import packed, unpacked
from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads, usable_cores

_PER_OBJECT = 50


def choose_varied(ids: tuple[str, ...], num: int) -> list[str]:
    """Choose the pictures to vary: effectively at random, and mostly the same after a scrape."""
    return sorted(sorted(ids, key=lambda picture_id: picture_id[::-1])[:num])


def variations_of(
    store: Store, extractor: Extractor, preset: FrozenPreset, ids: tuple[str, ...], on_progress: OnCount
) -> np.ndarray:
    """Return features (V, M, F) of the chosen pictures; missing ones are computed and kept.

    Args:
        on_progress: called with (done, total) pictures; an exception ends the work, and what was done is
            kept.
    """
    chosen = choose_varied(ids, preset.num_varied)
    prefix = _prefix(preset)
    known = _read(store, prefix, set(chosen))
    missing = [picture_id for picture_id in chosen if picture_id not in known]
    on_progress(len(known), len(chosen))
    pictures, fresh = PictureBucket(store, Bucket.IMAGES), {}
    work = in_threads(lambda one: _vary(pictures, extractor, preset, one), missing, usable_cores())
    try:
        for done, (picture_id, values) in enumerate(work, start=len(known) + 1):
            if values is not None:
                fresh[picture_id] = values
            if len(fresh) == _PER_OBJECT:
                _write(store, prefix, fresh)
                known, fresh = known | fresh, {}
            on_progress(done, len(chosen))
    finally:
        if fresh:
            _write(store, prefix, fresh)
    known |= fresh
    width = sum(preset.features.blocks.values())
    rows = [known[picture_id] for picture_id in chosen if picture_id in known]
    return np.stack(rows, axis=1) if rows else np.zeros((0, 0, width), np.float32)


def _prefix(preset: FrozenPreset) -> str:
    digest = hashlib.sha256(repr(preset.variation).encode()).hexdigest()[:12]
    return f"{folder_of(preset.features)}variations/{preset.num_variations}-{digest}/"


def _vary(
    pictures: PictureBucket, extractor: Extractor, preset: FrozenPreset, picture_id: str
) -> np.ndarray | None:
    try:
        pixels = prepare(pictures.bytes(picture_id))
    except (ObjectMissing, PictureError):
        return None  # deleted since it was listed
    rng = np.random.default_rng(int(picture_id[:16], 16))
    varied = [augment(pixels, rng, preset.variation, IMAGE_SIZE) for _ in range(preset.num_variations)]
    return extractor.features(np.stack(varied))


def _read(store: Store, prefix: str, chosen: set[str]) -> dict[str, np.ndarray]:
    """Read id → (V, F) of chosen pictures."""
    known: dict[str, np.ndarray] = {}
    for info in list(store.list(Bucket.RUNS, prefix)):
        kept = unpacked(store.get(Bucket.RUNS, info.key))
        features = dict(zip((one.decode() for one in kept["ids"]), kept["features"], strict=True))
        wanted = {picture_id: rows for picture_id, rows in features.items() if picture_id in chosen}
        if len(wanted) < len(features):
            if wanted:
                _write(store, prefix, wanted)
            store.delete(Bucket.RUNS, info.key)
        known.update(wanted)
    return known


def _write(store: Store, prefix: str, features: dict[str, np.ndarray]) -> None:
    ids = sorted(features)
    data = packed(ids=np.array(ids, "S64"), features=np.stack([features[one] for one in ids]))
    digest = hashlib.sha256("".join(ids).encode()).hexdigest()[:16]
    store.put(Bucket.RUNS, f"{prefix}{digest}.npz", data)
