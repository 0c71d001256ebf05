"""The scraper's two kinds of job: `scrape` (a source → raw) and `prepare` (raw → images).

Both may be interrupted or killed at any point and run again with the same id; run twice, the second run finds
nothing new to do. They run in the worker: `python -m pika_kit.worker scraper`.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobCancelled, JobContext, JobError
from pika_kit.stages import Bucket
from pika_kit.threads import in_threads
from pika_scraper.config import NUM_INTAKE_THREADS
from pika_scraper.errors import Refused, SourceError
from pika_scraper.intake import make_origin, take
from pika_scraper.ledger import Ledger
from pika_scraper.prepare import prepare_bucket
from pika_scraper.report import Tally
from pika_scraper.sources import SOURCES
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Tools


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
) -> dict[str, Any]:
    """Take all pictures of one source, or of several one after the other, into the raw bucket.

    Args:
        source, sources: a name in `sources.SOURCES`, or several.
        location: a folder, zip or list inside the operator's roots.
        urls: addresses, for the source "urls".
        queries: words to search for, for the sources that search.
        upload: key of an uploaded zip, for the source "zip".
        limit: look at no more candidates than this.
        then_prepare: go on with `prepare` in the same job.

    Returns:
        {source, looked_at, taken, already_there, exact_duplicates, refused, refused_by_reason, samples,
        skipped, repeated, by_source, prepared}: counts, up to five names for each reason, for each source
        what it named, what was taken of that and why its queries gave no more, and `prepare`'s report.

    Raises:
        JobError: the source cannot be used at all.
    """
    names = sources or [str(source)]
    tally = Tally()
    by_source: dict[str, dict[str, Any]] = {}
    skipped: Counter[str] = Counter()
    ledger = Ledger(context.store, context.job_id)
    try:
        tools = Tools(context.settings, context.store)
        with ledger:
            for name in names:
                request = ScrapeRequest(name, location, tuple(urls or ()), tuple(queries or ()), upload)
                with SOURCES[name].gather(request, tools) as gathered:
                    by_source[name] = _take_all(
                        context, gathered, source=name, limit=limit, ledger=ledger, tally=tally
                    )
                skipped.update(gathered.skipped)
    except SourceError as error:
        raise JobError(str(error)) from error
    except JobCancelled:
        if upload:
            context.store.delete(Bucket.RAW, upload)
        raise
    prepared = prepare_bucket(context) if then_prepare else None
    ledger.delete()
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


def prepare(context: JobContext) -> dict[str, Any]:
    """Make all raw pictures that are new into squares in the images bucket; see `prepare.prepare_bucket`."""
    return prepare_bucket(context)


def _take_all(
    context: JobContext, gathered: Gathered, *, source: str, limit: int | None, ledger: Ledger, tally: Tally
) -> dict[str, Any]:
    """Take one source's candidates; the job's limit counts those of the sources before, too."""
    before = tally.counts.copy()
    raw = PictureBucket(context.store, Bucket.RAW)
    known = set(raw.ids())

    def process(candidate: Candidate) -> str:
        try:
            origin = make_origin(source, job=context.job_id, **candidate.origin)
            taken = take(raw, candidate.load(), origin, known)
            known.add(taken.picture_id)
            return taken.outcome
        except (Refused, PictureError) as error:
            return f"refused:{error.code}"

    total = gathered.total if limit is None else min(limit, gathered.total or limit)
    left = None if limit is None else max(0, limit - sum(before.values()))
    fresh = _fresh(islice(gathered.candidates, left), source, ledger, tally)
    for candidate, outcome in in_threads(process, fresh, NUM_INTAKE_THREADS):
        ledger.record(_ledger_key(source, candidate), outcome)
        _count(tally, candidate, outcome)
        context.progress(
            sum(tally.counts.values()),
            total,
            f"collecting pictures from {source}",
            taken=tally.counts["taken"],
            exact_duplicates=tally.counts["exact_duplicate"],
            refused=tally.num_refused,
        )
    now = tally.counts - before
    return {"named": sum(now.values()), "taken": now["taken"], "stopped": gathered.stopped}


def _ledger_key(source: str, candidate: Candidate) -> str:
    """Two sources may name one address, and each of them is an origin."""
    return f"{source} {candidate.key}"


def _fresh(candidates: Iterator[Candidate], source: str, ledger: Ledger, tally: Tally) -> Iterator[Candidate]:
    """Those not dealt with before the job was interrupted; the others are counted from the ledger."""
    dealt_with = dict(ledger.outcomes)
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.key in seen:
            tally.add("repeated", candidate.name)
        elif (known := _ledger_key(source, candidate)) in dealt_with:
            _count(tally, candidate, dealt_with[known])
        else:
            yield candidate
        seen.add(candidate.key)


def _count(tally: Tally, candidate: Candidate, outcome: str) -> None:
    tally.add(outcome, None if outcome in ("taken", "already_there") else candidate.name)
