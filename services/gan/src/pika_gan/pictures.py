"""From buckets to a data set: figures cut out and selected if there are enough, otherwise whole squares.

Figures are cut from the original files in `raw`, because the squares of the pikachu bucket have lost ears and
tails. The scraper has already decoded those bytes within limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from pika_gan.choice import choose
from pika_gan.config import Preset
from pika_gan.data import Dataset, make_dataset, resize
from pika_gan.figures import WORKING_SIDE, cut_out
from pika_gan.spaces import look
from pika_kit.images import PictureError, decode
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.queue import OnProgress
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads

ENOUGH_FIGURES = 60
_CUT_SIDE = 128
"""Figures are cut at this size, or at the preset's where it is larger."""
_NUM_THREADS = 4
Figure = tuple[str, np.ndarray]
"""Id and pixels."""


def gather(
    store: Store,
    entries: list[PictureEntry],
    preset: Preset,
    minimum: int,
    *,
    on_progress: OnProgress,
    before: dict[str, Any] | None = None,
) -> Dataset:
    """Build the data set that a preset wants from these pictures of the pikachu bucket.

    Its facts are `kind` ("figures" or "squares"), `num_looked_at`, `left_out` by reason, and `fell_back` if
    figures were wanted and there are too few.

    Args:
        entries: the pictures of the bucket, or those of the run that is resumed.
        before: the facts of the run that is resumed; nothing is selected again.

    Raises:
        ValueError: fewer than `minimum` different pictures.
    """
    if before is not None and before["kind"] == "figures":
        figures, _ = _figures(store, entries, preset.resolution, on_progress)
        return make_dataset(figures, preset.resolution, minimum, poses=preset.poses, facts=before)
    facts: dict[str, Any] = before or {"kind": "squares", "num_looked_at": len(entries)}
    if before is None and preset.pictures == "figures":
        figures, left_out = _chosen_figures(store, entries, preset.resolution, on_progress)
        if len(figures) >= max(ENOUGH_FIGURES, minimum):
            facts |= {"kind": "figures", "left_out": left_out}
            return make_dataset(figures, preset.resolution, minimum, poses=preset.poses, facts=facts)
        why = f"only {len(figures)} typical figures, of {ENOUGH_FIGURES} wanted, stand on a plain ground"
        facts |= {"fell_back": why}
    squares = _squares(store, entries, preset.resolution, on_progress)
    return make_dataset(squares, preset.resolution, minimum, facts=facts)


def _chosen_figures(
    store: Store, entries: list[PictureEntry], resolution: int, on_progress: OnProgress
) -> tuple[list[Figure], dict[str, int]]:
    """Return the typical figures, and why the others are left out."""
    figures, left_out = _figures(store, entries, resolution, on_progress)
    if len(figures) < ENOUGH_FIGURES:
        return figures, left_out
    on_progress(0, None, "choosing typical figures")
    pixels = np.stack([pixels for _, pixels in figures])
    chosen = choose(pixels, look("lite2", pixels), look("lite2", pixels[:, :, ::-1]), ENOUGH_FIGURES)
    kept = [figure for figure, keep in zip(figures, chosen.kept, strict=True) if keep]
    return kept, left_out | chosen.left_out


def _figures(
    store: Store, entries: list[PictureEntry], resolution: int, on_progress: OnProgress
) -> tuple[list[Figure], dict[str, int]]:
    """Return (id, figure) of pictures with a plain background, and why the others are left out."""
    raw, chosen = PictureBucket(store, Bucket.RAW), PictureBucket(store, Bucket.PIKACHU)
    side = max(_CUT_SIDE, resolution)

    def cut(entry: PictureEntry) -> tuple[np.ndarray | None, str | None]:
        try:
            data = _as_found(raw, chosen, entry)
            figure = cut_out(decode(data, at_least=WORKING_SIDE).pixels, side)
        except (ObjectMissing, PictureError):
            return None, "gone"
        return figure.pixels, figure.reason

    figures, left_out = [], Counter[str]()
    for number, (entry, (pixels, reason)) in enumerate(in_threads(cut, entries, _NUM_THREADS), start=1):
        if pixels is None:
            left_out[str(reason)] += 1
        else:
            figures.append((entry.picture_id, pixels))
        on_progress(number, len(entries), "cutting figures out")
    return figures, dict(left_out)


def _as_found(raw: PictureBucket, chosen: PictureBucket, entry: PictureEntry) -> bytes:
    try:
        return raw.bytes(entry.picture_id)
    except ObjectMissing:
        return chosen.read(entry)  # added to the bucket by hand


def _squares(
    store: Store, entries: list[PictureEntry], resolution: int, on_progress: OnProgress
) -> Iterable[Figure]:
    pictures = PictureBucket(store, Bucket.PIKACHU)
    for number, entry in enumerate(entries, start=1):
        try:
            pixels = decode(pictures.read(entry)).pixels
        except ObjectMissing:
            continue  # deleted since it was listed
        on_progress(number, len(entries), "reading pictures")
        yield entry.picture_id, resize(pixels, resolution)
