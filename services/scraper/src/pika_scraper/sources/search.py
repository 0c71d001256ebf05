"""What searching sources share: queries, result pages, and why each query ended.

Such a source contacts only its catalogue. The job fetches the pictures that it names, like all others.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pika_kit.settings import Settings
from pika_kit.zips import label
from pika_scraper.config import FetchLimits, user_agent
from pika_scraper.errors import Refused, SourceError
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Tools
from pika_scraper.web.fetch import Fetcher, Wanted
from pika_scraper.web.robots import picture_fetcher

MAX_QUERIES = 20
MAX_QUERY_LENGTH = 200
MAX_DOCUMENT_BYTES = 8 * 2**20


class Exhausted(Exception):
    """A query has no more results; the message says why, in the report's words."""


@dataclass(frozen=True)
class Found:
    """One picture in a catalogue; unknown fields are None."""

    url: str
    name: str | None = None
    page: str | None = None
    licence: str | None = None
    licence_url: str | None = None
    author: str | None = None
    note: str | None = None


class Closable(Protocol):
    """A catalogue that is queried, and closed after the last query."""

    def close(self) -> None: ...


Asked = TypeVar("Asked", bound=Closable)
Search = Callable[[Asked, str], Iterator[Found]]
"""(catalogue, query) → what it names, page after page; raises Exhausted at the end."""


class Catalogue:
    """A search API that answers in JSON."""

    def __init__(self, base_url: str, tools: Tools, headers: dict[str, str] | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        limits = FetchLimits(max_bytes=MAX_DOCUMENT_BYTES, user_agent=user_agent(tools.settings.contact))
        self._fetcher = Fetcher(tools.settings.fetch_allow, limits, nat64=tools.settings.nat64_prefixes)
        self._wanted = Wanted("application/json", ("application/json",), headers or {})

    def close(self) -> None:
        """Close the connections to it."""
        self._fetcher.close()

    def ask(self, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return (the response's object, its headers in lower case).

        Raises:
            Exhausted: the catalogue does not answer, rejects the request, or answers something else.
        """
        try:
            received = self._fetcher.receive(f"{self.base_url}{path}", self._wanted)
            document = json.loads(received.data)
        except Refused as refused:
            raise Exhausted(f"the catalogue did not answer: {refused.code}") from refused
        except (ValueError, RecursionError) as error:
            raise Exhausted("the catalogue answered no JSON") from error
        if not isinstance(document, dict):
            raise Exhausted("the catalogue answered something unexpected")
        return document, received.headers


def check_queries(request: ScrapeRequest) -> None:
    """Raise SourceError unless there are valid queries."""
    queries = request.queries
    if not queries or request.location or request.urls:
        raise SourceError("source-arguments", f"the source {request.source} expects queries, nothing else")
    if len(queries) > MAX_QUERIES or not all(0 < len(query.strip()) <= MAX_QUERY_LENGTH for query in queries):
        raise SourceError(
            "source-arguments",
            f"expected 1 to {MAX_QUERIES} queries of 1 to {MAX_QUERY_LENGTH} characters each",
        )


@contextmanager
def gathering(
    request: ScrapeRequest, settings: Settings, catalogue: Asked, search: Search[Asked]
) -> Iterator[Gathered]:
    """Open the candidates of all queries, one query after the other, for the duration of a `with` block."""
    stopped: dict[str, str] = {}

    def candidates() -> Iterator[Candidate]:
        for query in dict.fromkeys(query.strip() for query in request.queries):
            stopped[query] = "the job's limit was reached"
            try:
                for picture in search(catalogue, query):
                    yield _candidate(fetcher, picture, query)
            except Exhausted as end:
                stopped[query] = str(end)

    with closing(picture_fetcher(settings)) as fetcher, closing(catalogue):
        yield Gathered(candidates(), None, stopped=stopped)


def _candidate(fetcher: Fetcher, picture: Found, query: str) -> Candidate:
    fields = {
        "name": picture.name,
        "page": picture.page,
        "licence": picture.licence,
        "author": picture.author,
    }
    fields["note"] = picture.note
    origin = {name: label(value) for name, value in fields.items() if value}
    origin |= {"url": picture.url, "query": query}
    if picture.licence_url:
        origin["licence_url"] = label(picture.licence_url)
    key = hashlib.sha256(picture.url.encode("utf-8", "replace")).hexdigest()
    return Candidate(key, label(picture.url), {**origin}, lambda: fetcher.fetch(picture.url))


def text(value: Any) -> str | None:
    """Return a field of a response if it is a non-empty text."""
    return value.strip() or None if isinstance(value, str) else None
