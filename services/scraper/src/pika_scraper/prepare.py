"""raw → images: each picture upright, RGB and square; near duplicates are found, reported and excluded.

A near duplicate stays in `raw`, and `near_duplicates/<id>.json` in `images` says which picture it resembles,
so nothing is lost and a second run has nothing to do. Larger pictures are processed first, so that the best
of several copies is kept. The order depends on nothing else, so that an interrupted run ends with the same
pictures as an undisturbed one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads
from pika_kit.withdrawn import remove, withdrawn_ids
from pika_scraper.config import NUM_INTAKE_THREADS, PrepareConfig
from pika_scraper.intake.verify import Decoders
from pika_scraper.pictures.duplicates import near_duplicate_ids, record_key
from pika_scraper.pictures.near import NearIndex
from pika_scraper.pictures.pipeline import Prepared
from pika_scraper.pictures.spool import Spool
from pika_scraper.pictures.square import SQUARE_EXTENSION
from pika_scraper.report import Tally


@dataclass(frozen=True)
class _Work:
    entry: PictureEntry
    provenance: dict[str, Any]


@dataclass(frozen=True)
class _Decision:
    """What to write for one picture: a square, or a near duplicate's record, or nothing."""

    work: _Work
    prepared: Prepared | None = None
    duplicate_of: str | None = None
    distance: int = 0
    refused: str | None = None


def prepare_bucket(
    context: JobContext, decoders: Decoders, config: PrepareConfig | None = None, spool: Spool | None = None
) -> dict[str, Any]:
    """Prepare every unprepared picture of `raw` and return the report.

    Interrupted at any point and run again, it ends with the same bucket. Of two jobs one waits for the other:
    otherwise neither would know the other's pictures, and both would keep near duplicates.

    Args:
        context: of the job.
        config: how to prepare pictures.
        spool: squares that were made with the same config a moment ago.
    """
    with context.exclusive("preparation of pictures"):
        return _prepare_bucket(context, decoders, config or PrepareConfig(), spool)


def _prepare_bucket(
    context: JobContext, decoders: Decoders, config: PrepareConfig, spool: Spool | None
) -> dict[str, Any]:
    raw, images = PictureBucket(context.store, Bucket.RAW), PictureBucket(context.store, Bucket.IMAGES)
    # Pictures may have been withdrawn while an unaware job was taking them.
    gone = withdrawn_ids(context.store)
    remove(raw, gone)
    remove(images, gone)
    todo = _todo(context, raw, images, spool)
    index = NearIndex.load(images, config.near_duplicate_bits)
    tally, flags = Tally(), Tally()
    try:

        def load(work: _Work) -> Prepared:
            kept = spool.prepared(work.entry.picture_id) if spool else None
            return kept or _made(decoders, raw.read(work.entry), config)

        decisions = _decide(load, todo, index)
        written = in_threads(lambda decided: _write(images, decided, config), decisions, NUM_INTAKE_THREADS)
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


def _todo(context: JobContext, raw: PictureBucket, images: PictureBucket, spool: Spool | None) -> list[_Work]:
    """Return what is left to do, largest pictures first."""

    def look_up(entry: PictureEntry) -> dict[str, Any] | None:
        kept = spool.provenance(entry.picture_id) if spool else None
        return kept or _provenance(raw, entry)

    done = set(images.ids()) | near_duplicate_ids(context.store)
    entries = [entry for entry in raw.entries() if entry.picture_id not in done]
    work = []
    for entry, provenance in in_threads(look_up, entries, NUM_INTAKE_THREADS):
        if provenance is not None:
            work.append(_Work(entry, provenance))
        context.progress(0, None, f"looking through the raw pictures: {len(work)} of {len(entries)}")
    return sorted(
        work, key=lambda one: (-one.provenance["width"] * one.provenance["height"], one.entry.picture_id)
    )


def _provenance(raw: PictureBucket, entry: PictureEntry) -> dict[str, Any] | None:
    """Return a raw picture's provenance; None if it was deleted since it was listed."""
    try:
        return raw.provenance(entry)
    except ObjectMissing:
        return None


def _made(decoders: Decoders, data: bytes, config: PrepareConfig) -> Prepared:
    prepared = decoders.examine(data, config).prepared
    assert prepared is not None  # noqa: S101 — with a config there is one
    return prepared


def _decide(load: Callable[[_Work], Prepared], todo: list[_Work], index: NearIndex) -> Iterator[_Decision]:
    """Prepare in threads; compare with all earlier pictures in order."""

    def try_to(work: _Work) -> Prepared | PictureError:
        try:
            return load(work)
        except PictureError as error:
            return error
        except ObjectMissing:
            return PictureError("deleted", "it was deleted while pictures were prepared")

    results: Iterable[tuple[_Work, Prepared | PictureError]] = in_threads(try_to, todo, NUM_INTAKE_THREADS)
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
        images.store.put_json(Bucket.IMAGES, record_key(picture_id), record)
        return
    facts = prepared.facts()
    facts["prepared"] = {"size": config.size, "fit": facts.pop("fit")}
    provenance = decision.work.provenance | facts
    images.write(picture_id, prepared.square, SQUARE_EXTENSION, provenance)


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
