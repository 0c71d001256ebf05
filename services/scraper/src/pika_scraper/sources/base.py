"""What a source of pictures is: a name, a check of its arguments, and a stream of candidates.

Adding a source is one file here that defines `SOURCE`, and its registration in `sources/__init__.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from pika_kit.settings import Settings
from pika_kit.storage import Store


@dataclass(frozen=True)
class ScrapeRequest:
    """What `POST /scrape` asks for; which fields a source needs, its `check` says."""

    source: str
    location: str | None = None
    urls: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    """Words to search for, each for itself."""
    upload: str | None = None
    """Key of an uploaded zip in the raw bucket, below `uploads/`."""


@dataclass(frozen=True)
class Candidate:
    """Something that may be a picture.

    Attributes:
        key: tells it from all others of the same request, also after a restart.
        name: what a report calls it.
        origin: `intake.make_origin`'s fields that the source knows.
        load: gets the bytes, in any thread; raises `errors.Refused`.
    """

    key: str
    name: str
    origin: dict[str, str | None]
    load: Callable[[], bytes]

    @property
    def url(self) -> str | None:
        """Where it is fetched from; None where it is not fetched."""
        return self.origin.get("url")


@dataclass
class Gathered:
    """A source's candidates, in an order that is the same each time, and what it left out unseen, counted."""

    candidates: Iterator[Candidate]
    total: int | None = None
    skipped: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    """Of sources that search: query → why it gave no more, known when the candidates are through."""


@dataclass(frozen=True)
class Tools:
    """What a source may use."""

    settings: Settings
    store: Store


@dataclass(frozen=True)
class Source:
    """One kind of source.

    Attributes:
        check: raises SourceError where the request cannot work; asked in the front end and again in the job.
        gather: opens the source for the duration of a `with`; raises SourceError.
    """

    name: str
    check: Callable[[ScrapeRequest, Settings], Any]
    gather: Callable[[ScrapeRequest, Tools], AbstractContextManager[Gathered]]
