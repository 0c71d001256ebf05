"""The training pictures: resized once, cached, a tenth held out by id, shuffled by (seed, epoch).

Figures on white are shown in several poses each (`jitter`).

Nothing depends on the order in which pictures arrive or on earlier calls, so that a resumed run sees the same
batches as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pika_gan.jitter import pose
from pika_gan.latents import generator_for

HELD_OUT_SHARE = 0.1
MOST_SHOWN = 8_192
"""Up to this number of training pictures poses are added: 100 MB at 64 px, 1.6 GB at 256. Where figures are
many, they differ without poses."""
MOST_FLAT = 8
"""A picture shows nothing if no channel, 0–255, spans more than this from its lowest to its highest value."""


@dataclass(frozen=True)
class Dataset:
    """Pictures uint8 (N, S, S, 3) with their ids, split into training and held-out pictures.

    Attributes:
        shown: uint8 (P · N, S, S, 3), the source of batches: the training pictures in P poses.
        facts: how they were selected, for the card; see `pictures.gather`.
    """

    train: np.ndarray
    held_out: np.ndarray
    train_ids: tuple[str, ...]
    held_out_ids: tuple[str, ...]
    shown: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.train.shape[1])

    @property
    def ids(self) -> tuple[str, ...]:
        """Number of pictures, including held-out ones."""
        return self.train_ids + self.held_out_ids

    def manifest(self) -> dict[str, object]:
        """Describe what the run saw: every id, the counts, and one hash over all of it."""
        lists = {"train": list(self.train_ids), "held_out": list(self.held_out_ids)}
        digest = hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()
        return {
            "sha256": digest,
            "num_train": len(self.train_ids),
            "num_held_out": len(self.held_out_ids),
            "size": self.size,
            "num_shown": len(self.shown),
            "pictures": self.facts,
            **lists,
        }

    def batch(self, step: int, batch_size: int, seed: int, flip: bool) -> np.ndarray:
        """Return the batch of `step`, uint8 (batch_size, S, S, 3); each epoch shows every picture once."""
        positions = np.arange(step * batch_size, (step + 1) * batch_size)
        epochs, within = np.divmod(positions, len(self.shown))
        chosen = np.empty(batch_size, np.int64)
        for epoch in np.unique(epochs):
            order = generator_for(seed, 1, int(epoch)).permutation(len(self.shown))
            here = epochs == epoch
            chosen[here] = order[within[here]]
        batch = self.shown[chosen]
        if flip:
            mirrored = generator_for(seed, 2, step).random(batch_size) < 0.5
            batch[mirrored] = batch[mirrored, :, ::-1]
        return batch


def is_held_out(picture_id: str, share: float = HELD_OUT_SHARE) -> bool:
    """Return whether a picture is held out: decided by its id alone, equally in every run."""
    return int(hashlib.sha256(picture_id.encode()).hexdigest()[:8], 16) < share * 2**32


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 (H, W, 3) to (size, size, 3) with Pillow's antialiased Lanczos filter."""
    if pixels.shape[:2] == (size, size):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))


def make_dataset(
    pictures: Iterable[tuple[str, np.ndarray]],
    size: int,
    minimum: int = 16,
    *,
    poses: int = 1,
    facts: dict[str, Any] | None = None,
) -> Dataset:
    """Split (id, uint8 (H, W, 3)) pairs. Ids are sorted first; at least two pictures are held out.

    Args:
        pictures: pairs of an id and a picture of any size.
        size: side of the training pictures.
        poses: how many poses of each training picture to show, as long as that makes no more than MOST_SHOWN
            pictures; more than one only for figures on white.

    Raises:
        ValueError: fewer than `minimum` different pictures that show something.
    """
    items = _different(sorted(pictures, key=lambda item: item[0]))
    if len(items) < minimum:
        raise ValueError(
            f"expected at least {minimum} different training pictures that show something, "
            f"received {len(items)}"
        )
    held_out = [item for item in items if is_held_out(item[0])]
    if len(held_out) < 2:  # among few pictures the hash may hold out none
        held_out = items[:: len(items) // 2][:2]
    names = {key for key, _ in held_out}
    train = [item for item in items if item[0] not in names]
    upright = np.stack([resize(pixels, size) for _, pixels in train])
    poses = min(poses, max(1, MOST_SHOWN // len(train)))
    return Dataset(
        upright,
        np.stack([resize(pixels, size) for _, pixels in held_out]),
        tuple(key for key, _ in train),
        tuple(key for key, _ in held_out),
        np.concatenate([upright, _posed([pixels for _, pixels in train], size, poses)]),
        facts or {},
    )


def _different(items: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Keep the first of pictures with equal pixels, and none of one colour.

    Copies teach nothing and must not be held out; a generator of empty pictures would pass for a good one.
    """
    seen: set[bytes] = set()
    different = []
    for key, pixels in items:
        digest = hashlib.sha256(pixels.tobytes()).digest()
        if digest not in seen and np.ptp(pixels, axis=(0, 1)).max() > MOST_FLAT:
            seen.add(digest)
            different.append((key, pixels))
    return different


def _posed(pictures: list[np.ndarray], size: int, poses: int) -> np.ndarray:
    """Draw the further poses, uint8 ((poses − 1) · N, size, size, 3), from the original sizes."""
    further = [
        np.stack([resize(pose(picture, number), size) for picture in pictures]) for number in range(1, poses)
    ]
    return np.concatenate(further) if further else np.zeros((0, size, size, 3), np.uint8)


def save_dataset(dataset: Dataset, path: Path) -> None:
    """Write the cache atomically as one npz."""
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        train=dataset.train,
        held_out=dataset.held_out,
        train_ids=np.array(dataset.train_ids),
        held_out_ids=np.array(dataset.held_out_ids),
        shown=dataset.shown,
        facts=np.array(json.dumps(dataset.facts)),
    )
    partial.replace(path)


def load_dataset(path: Path) -> Dataset:
    """Read what `save_dataset` wrote."""
    with np.load(path) as arrays:
        return Dataset(
            arrays["train"],
            arrays["held_out"],
            tuple(str(key) for key in arrays["train_ids"]),
            tuple(str(key) for key in arrays["held_out_ids"]),
            # A cache written by an earlier release has neither poses nor facts.
            arrays["shown"] if "shown" in arrays else arrays["train"],
            json.loads(str(arrays["facts"])) if "facts" in arrays else {"kind": "squares"},
        )
