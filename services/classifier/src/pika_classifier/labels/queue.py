"""Which pictures to label next: those whose labels would teach the most."""

import math
import random
from typing import Any

from pika_classifier.filtering.predictions import Predictions, predict_entries
from pika_classifier.labels.vocabulary import AUDIT, RANDOM, UNCERTAIN
from pika_classifier.serve.predictor import Predictor
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.stages import Bucket
from pika_kit.storage import Store

SAMPLE_SIZE = 64
"""How many pictures are looked at here and now where no filter job has looked at all of them."""
RANDOM_SHARE = 4
"""Every fourth suggestion is random: a model does not doubt what it has never seen."""


def choose_next(
    store: Store, labelled: dict[str, Any], predictor: Predictor | None, count: int, seed: int
) -> dict[str, Any]:
    """Choose unlabelled pictures of the images bucket, most informative first.

    Args:
        labelled: its keys are left out.
        predictor: None without a model; then the choice is random.

    Returns:
        {"order": "uncertain" | "random", "unlabelled": how many there are, "pictures": [{"id", "probability",
        "why": "uncertain" | "random"}]}.
    """
    pictures = PictureBucket(store, Bucket.IMAGES)
    entries = [entry for entry in pictures.entries() if entry.picture_id not in labelled]
    shuffled = random.Random(seed).sample(entries, len(entries))
    if predictor is None:
        chosen = [_picture(entry.picture_id, None, RANDOM) for entry in shuffled[:count]]
        return {"order": "random", "unlabelled": len(entries), "pictures": chosen}
    probabilities = _probabilities(store, predictor, pictures, shuffled)
    middle = _logit(predictor.doubtful_probability)
    doubtful = sorted(
        (abs(_logit(value) - middle), candidate)
        for candidate, value in probabilities.items()
        if value is not None
    )
    chosen, taken = [], set()
    chance = iter(shuffled)
    for number in range(1, min(count, len(entries)) + 1):
        by_doubt = next((candidate for _, candidate in doubtful if candidate not in taken), None)
        if number % RANDOM_SHARE == 0 or by_doubt is None:
            picture_id = next(entry.picture_id for entry in chance if entry.picture_id not in taken)
            why = RANDOM
        else:
            picture_id, why = by_doubt, UNCERTAIN
        taken.add(picture_id)
        chosen.append(_picture(picture_id, probabilities.get(picture_id), why))
    return {"order": "uncertain", "unlabelled": len(entries), "pictures": chosen}


def choose_audit(
    store: Store, labelled: dict[str, Any], predictor: Predictor, count: int, *, seed: int, threshold: float
) -> dict[str, Any]:
    """Choose random unlabelled pictures among those the model accepts; returns what `choose_next` does."""
    entries = [
        entry for entry in PictureBucket(store, Bucket.IMAGES).entries() if entry.picture_id not in labelled
    ]
    shuffled = random.Random(seed).sample(entries, len(entries))
    known = _probabilities(store, predictor, PictureBucket(store, Bucket.IMAGES), shuffled)
    accepted = [
        (entry.picture_id, value)
        for entry in shuffled
        if (value := known.get(entry.picture_id)) is not None and value >= threshold
    ]
    chosen = [_picture(picture_id, value, AUDIT) for picture_id, value in accepted[:count]]
    return {"order": AUDIT, "unlabelled": len(accepted), "pictures": chosen}


def _probabilities(
    store: Store, predictor: Predictor, pictures: PictureBucket, entries: list[PictureEntry]
) -> dict[str, float | None]:
    """Return known predictions of the unlabelled pictures, or predict a sample of them."""
    wanted = {entry.picture_id for entry in entries}
    stored = Predictions(store, predictor.version, Bucket.IMAGES).read()
    known = {picture_id: value for picture_id, value in stored.items() if picture_id in wanted}
    return known or predict_entries(pictures, predictor, entries[:SAMPLE_SIZE])


def _logit(probability: float) -> float:
    """Return log(p / (1 − p)), bounded."""
    bounded = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(bounded / (1 - bounded))


def _picture(picture_id: str, probability: float | None, why: str) -> dict[str, Any]:
    return {"id": picture_id, "probability": probability, "why": why}
