"""The scraper's jobs: `scrape` (sources → raw), `prepare` (raw → images) and data sets.

All may be interrupted or killed at any point and run again with the same id; a repeated run finds nothing new
to do. They run in the worker: `python -m pika_kit.worker scraper`.
"""

from collections import Counter
from typing import Any

from pika_kit.runner import JobCancelled, JobContext, JobError
from pika_kit.stages import Bucket
from pika_kit.threads import usable_cores
from pika_scraper.config import MAX_SPOOL_BYTES, PrepareConfig
from pika_scraper.datasets.make import Conditions, make_dataset
from pika_scraper.errors import SourceError
from pika_scraper.intake.ledger import Ledger
from pika_scraper.intake.run import Intake
from pika_scraper.intake.seen import Seen
from pika_scraper.intake.verify import Decoders
from pika_scraper.pictures.spool import Spool
from pika_scraper.prepare import prepare_bucket
from pika_scraper.report import Tally
from pika_scraper.sources import SOURCES, uploads
from pika_scraper.sources.base import ScrapeRequest, Tools


def scrape(
    context: JobContext,
    *,
    source: str | None = None,
    sources: list[str] | None = None,
    location: str | None = None,
    urls: list[str] | None = None,
    queries: list[str] | None = None,
    upload: str | None = None,
    limit: int | None = None,
    then_prepare: bool = True,
    fit: str = "crop",
) -> dict[str, Any]:
    """Take all pictures of one or several sources, one after the other, into the raw bucket.

    Args:
        source, sources: one name in `sources.SOURCES`, or several.
        location: a folder, zip or list inside the operator's roots.
        urls: addresses, for the source "urls".
        queries: search terms, for the sources that search.
        upload: key of an uploaded zip, for the source "zip".
        limit: the largest number of candidates to look at.
        then_prepare: continue with `prepare` in the same job.
        fit: how `prepare` makes squares, "crop" or "pad".

    Returns:
        {source, looked_at, taken, already_there, exact_duplicates, refused, refused_by_reason, samples,
        skipped, repeated, by_source, prepared}: counts, up to five names for each reason, for each source
        what it named, what was taken of it and why its queries ended, and `prepare`'s report.

    Raises:
        JobError: the source cannot be used at all.
    """
    names = sources or [str(source)]
    tally = Tally()
    skipped: Counter[str] = Counter()
    by_source: dict[str, dict[str, Any]] = {}
    ledger = Ledger(context.store, context.job_id)
    config = PrepareConfig(fit=fit) if then_prepare else None
    uploads.delete_abandoned(context.store)
    with Decoders(usable_cores()) as decoders:
        scratch = context.settings.state_dir
        spool = Spool(scratch, context.job_id, config, MAX_SPOOL_BYTES) if config else None
        seen = Seen(context.store)
        intake = Intake(context, ledger, tally, decoders, seen, config, spool)
        try:
            tools = Tools(context.settings, context.store)
            with ledger:
                for name in names:
                    request = ScrapeRequest(name, location, tuple(urls or ()), tuple(queries or ()), upload)
                    with SOURCES[name].gather(request, tools) as gathered:
                        by_source[name] = intake.take_all(gathered, name, limit)
                    skipped.update(gathered.skipped)
                    seen.save()
        except SourceError as error:
            raise JobError(str(error)) from error
        except JobCancelled:
            if upload:
                context.store.delete(Bucket.RAW, upload)
            if spool:
                spool.delete()
            raise
        prepared = prepare_bucket(context, decoders, config, spool) if config else None
    ledger.delete()
    if spool:
        spool.delete()
    if upload:
        context.store.delete(Bucket.RAW, upload)
    return {
        "source": ", ".join(names),
        "looked_at": sum(tally.counts.values()) - tally.counts["repeated"],
        "taken": tally.counts["taken"],
        "already_there": tally.counts["already_there"],
        "exact_duplicates": tally.counts["exact_duplicate"],
        "refused": tally.num_refused,
        "refused_by_reason": tally.refused_by_reason,
        "samples": tally.samples,
        "skipped": dict(skipped),
        "repeated": tally.counts["repeated"],
        "by_source": by_source,
        "prepared": prepared,
    }


def dataset(
    context: JobContext, *, name: str, bucket: str = "pikachu", where: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Create a data set of a bucket's pictures that match conditions now; see `datasets.make`.

    Returns:
        The manifest without its pictures: {name, version, bucket, where, made_at, sha256, num_pictures}.

    Raises:
        JobError: no picture matches.
    """
    made = make_dataset(context, name, Bucket(bucket), Conditions.of(where or {}))
    return made.summary()


def prepare(context: JobContext, *, fit: str = "crop") -> dict[str, Any]:
    """Make squares of all new raw pictures in the images bucket; see `prepare.prepare_bucket`."""
    with Decoders(usable_cores()) as decoders:
        return prepare_bucket(context, decoders, PrepareConfig(fit=fit))
