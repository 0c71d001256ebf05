"""The interface of a source: a name, a check of its arguments, and a stream of candidates.

To add a source, write one file here that defines `SOURCE` and register it in `sources/__init__.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from pika_kit.settings import Settings
from pika_kit.storage import Store


@dataclass(frozen=True)
class ScrapeRequest:
    """The arguments of `POST /scrape`; a source's `check` says which fields it needs."""

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
        key: identifies it within the request, also after a restart.
        name: its name in reports.
        origin: the fields of `intake.make_origin` that the source knows.
        load: gets the bytes, in any thread; raises `errors.Refused`.
    """

    key: str
    name: str
    origin: dict[str, str | None]
    load: Callable[[], bytes]

    @property
    def url(self) -> str | None:
        """The address it is fetched from; None if it is not fetched."""
        return self.origin.get("url")


@dataclass
class Gathered:
    """A source's candidates in a reproducible order, and a count of what it skipped."""

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
        check: raises SourceError if the request cannot work; called in the front end and again in the job.
        gather: opens the source for the duration of a `with` block; raises SourceError.
    """

    name: str
    check: Callable[[ScrapeRequest, Settings], Any]
    gather: Callable[[ScrapeRequest, Tools], AbstractContextManager[Gathered]]
