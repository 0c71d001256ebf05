"""Find pictures that look alike: by perceptual hash, confirmed by coarse colours.

The perceptual hash only sees grey values, so on its own it would match one drawing in two colourings. On the
real test pictures (3,239, with 59 known near duplicates) hashes at most 6 bits apart found all of them, with
coarse colours at most 9 of 255 apart.
"""

from functools import partial
from typing import Any

import numpy as np

from pika_kit.pictures import PictureBucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads
from pika_scraper.config import NUM_INTAKE_THREADS
from pika_scraper.pictures.pipeline import COLOUR_GRID

INDEX_KEY = "index/looks.json"
_COLOUR_DISTANCE = 16.0
"""Mean absolute difference of two signatures, 0–255, up to which they count as the same colouring."""


class NearIndex:
    """The appearance of the pictures in one bucket. Not thread-safe.

    Each picture's provenance is authoritative; the object `INDEX_KEY` saves reading them all.
    """

    def __init__(self, max_bits: int) -> None:
        self._max_bits = max_bits
        self._ids: list[str] = []
        self._hashes = np.zeros(1024, np.uint64)
        self._colours = np.zeros((1024, COLOUR_GRID**2 * 3), np.int16)

    def __len__(self) -> int:
        return len(self._ids)

    @classmethod
    def load(cls, images: PictureBucket, max_bits: int) -> "NearIndex":
        """Load the appearance of all pictures; what the index lacks is read from provenance."""
        index = cls(max_bits)
        try:
            known: dict[str, Any] = images.store.get_json(images.bucket, INDEX_KEY)
        except ObjectMissing:
            known = {}
        entries = list(images.entries())
        missing = [entry for entry in entries if entry.picture_id not in known]
        unattached = images.unattached() if missing else set()
        read = partial(images.provenance, unattached=unattached)
        for entry, provenance in in_threads(read, missing, NUM_INTAKE_THREADS):
            known[entry.picture_id] = [provenance["perceptual_hash"], provenance["colours"]]
        for entry in entries:
            index.add(entry.picture_id, *known[entry.picture_id])
        return index

    def save(self, images: PictureBucket) -> None:
        """Write the index."""
        rows = {
            picture_id: [f"{int(value):016x}", colours.astype(np.uint8).tobytes().hex()]
            for picture_id, value, colours in zip(self._ids, self._hashes, self._colours, strict=False)
        }
        images.store.put_json(images.bucket, INDEX_KEY, rows)

    def add(self, picture_id: str, perceptual_hash: str, colours: str) -> None:
        """Add one picture."""
        row = len(self._ids)
        if row == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._colours = np.concatenate([self._colours, np.zeros_like(self._colours)])
        self._hashes[row] = int(perceptual_hash, 16)
        self._colours[row] = np.frombuffer(bytes.fromhex(colours), np.uint8)
        self._ids.append(picture_id)

    def find(self, perceptual_hash: str, colours: str) -> tuple[str, int] | None:
        """Return the most similar picture and its distance in bits, if one is close enough."""
        size = len(self._ids)
        distances = np.bitwise_count(self._hashes[:size] ^ np.uint64(int(perceptual_hash, 16)))
        near = np.flatnonzero(distances <= self._max_bits)
        own = np.frombuffer(bytes.fromhex(colours), np.uint8).astype(np.int16)
        near = near[np.abs(self._colours[near] - own).mean(axis=1) <= _COLOUR_DISTANCE]
        if not near.size:
            return None
        best = int(near[np.argmin(distances[near])])
        return self._ids[best], int(distances[best])
