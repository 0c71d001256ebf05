"""raw → images: each picture upright, RGB, square; near duplicates found, reported and kept out.

A near duplicate stays in `raw` and leaves `near_duplicates/<id>.json` in `images`, which says whose it is, so
nothing is lost and a second run has nothing to do. Larger pictures go first, so of a picture and its shrunken
copies the best one is kept; the order depends on nothing else, so that a run that was killed and went on ends
with the same pictures as one that was not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageStat

from pika_kit.images import PictureError, Pixels, decode, encode_png, perceptual_hash, square
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.storage import ObjectMissing, Store
from pika_kit.threads import in_threads
from pika_scraper.config import NUM_INTAKE_THREADS, PrepareConfig
from pika_scraper.near import NearIndex, colour_signature
from pika_scraper.report import Tally

NEAR_DUPLICATES = "near_duplicates/"


@dataclass(frozen=True)
class Prepared:
    """One picture made ready: its PNG, and what goes into its provenance."""

    png: bytes
    perceptual_hash: str
    colours: str
    flags: list[str]
    background: list[int] | None


@dataclass(frozen=True)
class _Work:
    entry: PictureEntry
    provenance: dict[str, Any]


@dataclass(frozen=True)
class _Decision:
    """What is to be written for one picture: a square, or whose near duplicate it is, or nothing."""

    work: _Work
    prepared: Prepared | None = None
    duplicate_of: str | None = None
    distance: int = 0
    refused: str | None = None


def prepare_picture(data: bytes, config: PrepareConfig) -> Prepared:
    """Decode, crop and measure one picture; raises PictureError."""
    picture = decode(data, at_least=config.size)
    flags, background = inspect(picture.pixels, picture.width, picture.height, config)
    return Prepared(
        png=encode_png(square(picture.pixels, config.size)),
        perceptual_hash=perceptual_hash(picture.pixels),
        colours=colour_signature(picture.pixels),
        flags=flags,
        background=background,
    )


def inspect(
    pixels: Pixels, width: int, height: int, config: PrepareConfig
) -> tuple[list[str], list[int] | None]:
    """Flags of a picture, in alphabetical order, and its background's RGB colour where that is plain.

    Args:
        pixels: uint8 (H, W, 3), possibly decoded smaller than the original's `width` × `height`.

    `plain_background` is the border's: of a frame 1/32 of the shorter side wide, the share of pixels whose
    three channels are all near the frame's median.
    """
    flags = []
    if ImageStat.Stat(Image.fromarray(pixels).convert("L")).stddev[0] < config.blank_deviation:
        flags.append("blank")
    if max(width, height) > config.extreme_aspect * min(width, height):
        flags.append("extreme_aspect")
    margin = max(1, min(pixels.shape[:2]) // 32)
    frame = np.concatenate(
        [
            part.reshape(-1, 3)
            for part in (
                pixels[:margin],
                pixels[-margin:],
                pixels[margin:-margin, :margin],
                pixels[margin:-margin, -margin:],
            )
        ]
    ).astype(np.int16)
    median = np.median(frame, axis=0)
    is_near = (np.abs(frame - median) <= config.plain_distance).all(axis=1)
    background = None
    if is_near.mean() > config.plain_share:
        flags.append("plain_background")
        background = [int(value) for value in median]
    if min(width, height) < config.tiny_side:
        flags.append("tiny")
    return flags, background


def prepare_bucket(context: JobContext, config: PrepareConfig | None = None) -> dict[str, Any]:
    """Prepare every picture of `raw` that has not been; returns the report.

    Interrupted at any point and run again, it ends with the same bucket. Of two jobs one waits for the other:
    each would not know the other's pictures, and keep near duplicates of them.
    """
    with context.exclusive("preparation of pictures"):
        return _prepare_bucket(context, config or PrepareConfig())


def _prepare_bucket(context: JobContext, config: PrepareConfig) -> dict[str, Any]:
    raw, images = PictureBucket(context.store, Bucket.RAW), PictureBucket(context.store, Bucket.IMAGES)
    todo = _todo(context, raw, images)
    index = NearIndex.load(images, config.near_duplicate_bits)
    tally, flags = Tally(), Tally()
    try:
        decisions = _decide(raw, todo, index, config)
        written = in_threads(lambda found: _write(images, found, config), decisions, NUM_INTAKE_THREADS)
        for done, (decision, _) in enumerate(written, start=1):
            _count(decision, tally, flags)
            context.progress(
                done,
                len(todo),
                "preparing pictures",
                prepared=tally.counts["prepared"],
                near_duplicates=tally.counts["near_duplicate"],
                refused=tally.num_refused,
            )
    finally:
        index.save(images)
    return {
        "looked_at": len(todo),
        "prepared": tally.counts["prepared"],
        "near_duplicates": tally.counts["near_duplicate"],
        "refused": tally.num_refused,
        "refused_by_reason": tally.refused_by_reason,
        "samples": tally.samples,
        "flags": dict(sorted(flags.counts.items())),
        "in_images": len(index),
    }


def near_duplicate_ids(store: Store) -> set[str]:
    """The pictures of `raw` that were kept out of `images` because they look like another."""
    return {
        found.key.removeprefix(NEAR_DUPLICATES).removesuffix(".json")
        for found in store.list(Bucket.IMAGES, NEAR_DUPLICATES)
    }


def _todo(context: JobContext, raw: PictureBucket, images: PictureBucket) -> list[_Work]:
    """What is still to be done, large pictures first."""
    done = set(images.ids()) | near_duplicate_ids(context.store)
    entries = [entry for entry in raw.entries() if entry.picture_id not in done]
    work = []
    for entry, provenance in in_threads(lambda entry: _provenance(raw, entry), entries, NUM_INTAKE_THREADS):
        if provenance is not None:
            work.append(_Work(entry, provenance))
        context.progress(0, None, f"looking through the raw pictures: {len(work)} of {len(entries)}")
    return sorted(
        work, key=lambda one: (-one.provenance["width"] * one.provenance["height"], one.entry.picture_id)
    )


def _provenance(raw: PictureBucket, entry: PictureEntry) -> dict[str, Any] | None:
    """None where the picture was deleted since it was listed."""
    try:
        return raw.provenance(entry.picture_id)
    except ObjectMissing:
        return None


def _decide(
    raw: PictureBucket, todo: list[_Work], index: NearIndex, config: PrepareConfig
) -> Iterator[_Decision]:
    """Prepare in threads, compare with all before in order."""

    def load(work: _Work) -> Prepared | PictureError:
        try:
            return prepare_picture(raw.read(work.entry), config)
        except PictureError as error:
            return error
        except ObjectMissing:
            return PictureError("deleted", "it was deleted while pictures were prepared")

    results: Iterable[tuple[_Work, Prepared | PictureError]] = in_threads(load, todo, NUM_INTAKE_THREADS)
    for work, result in results:
        if isinstance(result, PictureError):
            yield _Decision(work, refused=result.code)
            continue
        match = index.find(result.perceptual_hash, result.colours)
        if match is not None:
            yield _Decision(work, result, duplicate_of=match[0], distance=match[1])
        else:
            index.add(work.entry.picture_id, result.perceptual_hash, result.colours)
            yield _Decision(work, result)


def _write(images: PictureBucket, decision: _Decision, config: PrepareConfig) -> None:
    prepared, picture_id = decision.prepared, decision.work.entry.picture_id
    if prepared is None:
        return
    if decision.duplicate_of is not None:
        record = {
            "id": picture_id,
            "duplicate_of": decision.duplicate_of,
            "distance": decision.distance,
            "perceptual_hash": prepared.perceptual_hash,
        }
        images.store.put_json(Bucket.IMAGES, f"{NEAR_DUPLICATES}{picture_id}.json", record)
        return
    provenance = decision.work.provenance | {
        "perceptual_hash": prepared.perceptual_hash,
        "colours": prepared.colours,
        "flags": prepared.flags,
        "background": prepared.background,
        "prepared": {"size": config.size, "fit": "crop"},
    }
    images.add(picture_id, prepared.png, "png", provenance)


def _count(decision: _Decision, tally: Tally, flags: Tally) -> None:
    picture_id = decision.work.entry.picture_id
    if decision.refused is not None:
        tally.add(f"refused:{decision.refused}", picture_id)
    elif decision.duplicate_of is not None:
        name = decision.work.provenance["origins"][0].get("name")
        tally.add(
            "near_duplicate",
            {
                "id": picture_id,
                "name": name,
                "duplicate_of": decision.duplicate_of,
                "distance": decision.distance,
            },
        )
    else:
        tally.add("prepared")
        for flag in decision.prepared.flags if decision.prepared else ():
            flags.add(flag)
