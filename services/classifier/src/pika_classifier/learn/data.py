"""Labelled pictures in memory, and the order in which training draws them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pika_classifier.config import IMAGE_SIZE
from pika_classifier.labels.vocabulary import OTHERS, PIKACHU, TRAINS, VALIDS


class TooFewLabels(ValueError):
    """There is nothing to learn from or to validate on; the message says what is missing."""


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """One split's pictures with their labels.

    Attributes:
        pixels: uint8 (N, 256, 256, 3).
        is_pikachu: bool (N,).
        ids: N picture ids.
    """

    pixels: np.ndarray
    is_pikachu: np.ndarray
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, np.ndarray, str]]) -> "LabelledPictures":
        """Create from rows of (id, pixels, label), in the order of their ids."""
        ordered = sorted(rows, key=lambda row: row[0])
        shape = (0, IMAGE_SIZE, IMAGE_SIZE, 3)
        pixels = np.stack([row[1] for row in ordered]) if ordered else np.zeros(shape, np.uint8)
        labels = np.array([row[2] == PIKACHU for row in ordered], bool)
        return cls(pixels, labels, tuple(row[0] for row in ordered))

    def counts(self) -> dict[str, int]:
        """Count each label."""
        num_pikachu = int(self.is_pikachu.sum())
        return {PIKACHU: num_pikachu, OTHERS: len(self) - num_pikachu}


def check_labels(trains: LabelledPictures, valids: LabelledPictures) -> None:
    """Raise TooFewLabels unless both splits hold at least two pictures of both labels."""
    for name, split in ((TRAINS, trains), (VALIDS, valids)):
        check_counts(name, split.counts())


def check_counts(where: str, counts: dict[str, int]) -> None:
    """Raise TooFewLabels unless there are at least two pictures of each label."""
    for label, count in counts.items():
        if count < 2:
            raise TooFewLabels(
                f"{where}: expected at least 2 pictures labelled {label!r}, received {count}; "
                "label some more (POST /labels) or import a labelled folder (POST /labels/import)"
            )


class BatchSource:
    """Endless shuffled batches of row numbers: each row once per epoch, in an order given by the seed."""

    def __init__(self, num_rows: int, batch_size: int, seed: int) -> None:
        self._num_rows, self._batch_size = num_rows, batch_size
        self._rng = np.random.default_rng(seed)
        self._waiting = np.zeros(0, int)

    def next(self) -> np.ndarray:
        """Return the next int (batch_size,)."""
        while self._waiting.size < self._batch_size:
            self._waiting = np.concatenate([self._waiting, self._rng.permutation(self._num_rows)])
        rows, self._waiting = np.split(self._waiting, [self._batch_size])
        return rows
