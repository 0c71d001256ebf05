"""A source's candidates → the raw bucket: concurrently, each counted, none twice after a restart."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.threads import as_finished
from pika_kit.withdrawn import withdrawn_ids
from pika_scraper.config import NUM_INTAKE_THREADS, Politeness, PrepareConfig
from pika_scraper.errors import Refused
from pika_scraper.intake.ledger import Ledger
from pika_scraper.intake.provenance import make_origin
from pika_scraper.intake.seen import Seen
from pika_scraper.intake.take import take, take_again
from pika_scraper.intake.verify import Decoders
from pika_scraper.pictures.spool import Spool
from pika_scraper.report import Tally
from pika_scraper.sources.base import Candidate, Gathered


@dataclass
class Intake:
    """One job's path from candidates to pictures.

    Attributes:
        config, spool: if squares are made in the same job, how, and where they are kept for `prepare`.
    """

    context: JobContext
    ledger: Ledger
    tally: Tally
    decoders: Decoders
    seen: Seen
    config: PrepareConfig | None = None
    spool: Spool | None = None

    def take_all(self, gathered: Gathered, source: str, limit: int | None) -> dict[str, Any]:
        """Process one source's candidates; the job's limit includes those of earlier sources."""
        tally, before = self.tally, self.tally.counts.copy()
        raw = PictureBucket(self.context.store, Bucket.RAW)
        known, gone = set(raw.ids()), set(withdrawn_ids(self.context.store))
        known -= gone
        total = gathered.total if limit is None else min(limit, gathered.total or limit)
        left = None if limit is None else max(0, limit - sum(before.values()))
        fresh = self._fresh(islice(gathered.candidates, left), source)
        outcomes = as_finished(
            lambda candidate: self._take(raw, candidate, source, known, gone),
            fresh,
            NUM_INTAKE_THREADS,
            group=_host,
            per_group=Politeness.at_once,
        )
        for candidate, outcome in outcomes:
            self.ledger.record(_ledger_key(source, candidate), outcome)
            self._count(candidate, outcome)
            self.context.progress(
                sum(tally.counts.values()),
                total,
                f"collecting pictures from {source}",
                taken=tally.counts["taken"],
                exact_duplicates=tally.counts["exact_duplicate"],
                refused=tally.num_refused,
            )
        now = tally.counts - before
        return {"named": sum(now.values()), "taken": now["taken"], "stopped": gathered.stopped}

    def _take(
        self, raw: PictureBucket, candidate: Candidate, source: str, known: set[str], gone: set[str]
    ) -> str:
        """Process one candidate and return its outcome. Runs in many threads."""
        url = candidate.url
        origin = make_origin(source, job=self.context.job_id, **candidate.origin)
        try:
            seen = self.seen.find(url) if url else None
            if seen in gone:
                raise Refused("withdrawn", "what this address gave was withdrawn")
            taken = take_again(raw, seen, origin) if seen in known and seen is not None else None
            taken = taken or take(
                raw,
                candidate.load(),
                origin,
                known,
                gone=gone,
                examine=lambda data: self.decoders.examine(data, self.config),
            )
        except (Refused, PictureError) as error:
            return f"refused:{error.code}"
        known.add(taken.picture_id)
        if url and seen != taken.picture_id:
            self.seen.note(url, taken.picture_id)
        if self.spool is not None:
            if taken.prepared is not None:
                self.spool.put(taken.picture_id, taken.prepared, taken.provenance)
            elif taken.outcome == "exact_duplicate":
                self.spool.forget(taken.picture_id)  # its provenance now has one more origin
        return taken.outcome

    def _fresh(self, candidates: Iterator[Candidate], source: str) -> Iterator[Candidate]:
        """Yield the candidates not processed before an interruption; count the others from the ledger."""
        dealt_with = dict(self.ledger.outcomes)
        seen: set[str] = set()
        for candidate in candidates:
            if candidate.key in seen:
                self.tally.add("repeated", candidate.name)
            elif (known := _ledger_key(source, candidate)) in dealt_with:
                self._count(candidate, dealt_with[known])
            else:
                yield candidate
            seen.add(candidate.key)

    def _count(self, candidate: Candidate, outcome: str) -> None:
        self.tally.add(outcome, None if outcome in ("taken", "already_there") else candidate.name)


def _host(candidate: Candidate) -> str | None:
    """Return the host whose turn a candidate waits for; None if nothing is fetched."""
    if candidate.url is None:
        return None
    try:
        return urlsplit(candidate.url).hostname
    except ValueError:
        return None  # not a URL; it is rejected without a request


def _ledger_key(source: str, candidate: Candidate) -> str:
    """Return a key for the ledger: two sources may name one address, and each is an origin."""
    return f"{source} {candidate.key}"
