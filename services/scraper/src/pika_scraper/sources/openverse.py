"""Source `openverse`: openly licensed pictures from https://openverse.org.

The API is described at https://api.openverse.org/v1/ (images/search). It returns at most 240 results for a
query, twenty per page without a key, and X-RateLimit-* tells how many requests are left. Its terms forbid
scraping the whole catalogue, so this source only sends the queries it is given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from pika_kit.settings import Settings
from pika_scraper.sources.base import Gathered, ScrapeRequest, Source, Tools
from pika_scraper.sources.search import Catalogue, Exhausted, Found, check_queries, gathering, text

PAGE_SIZE = 20
MAX_RESULTS = 240


def check(request: ScrapeRequest, settings: Settings) -> None:  # noqa: ARG001 — every source has both
    """Validate the request. Raises SourceError."""
    check_queries(request)


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Yield what Openverse returns, in its order."""
    check(request, tools.settings)
    token = tools.settings.openverse_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    catalogue = Catalogue(tools.settings.openverse_url, tools, headers)
    with gathering(request, tools.settings, catalogue, search) as candidates:
        yield candidates


def search(catalogue: Catalogue, query: str) -> Iterator[Found]:
    """Yield all pages of a query."""
    page = 1
    while True:
        words = urlencode({"q": query, "page": page, "page_size": PAGE_SIZE})
        document, headers = catalogue.ask(f"/v1/images/?{words}")
        results = document.get("results")
        if not isinstance(results, list):
            raise Exhausted("the catalogue answered something unexpected")
        yield from (picture for item in results if isinstance(item, dict) and (picture := _found(item)))
        num_pages = document.get("page_count")
        if not results or not isinstance(num_pages, int) or page >= num_pages:
            raise Exhausted("there are no more results")
        if page * PAGE_SIZE >= MAX_RESULTS:
            raise Exhausted(f"Openverse gives no more than {MAX_RESULTS} results for a query")
        spent = [name for name, value in headers.items() if _is_spent(name, value)]
        if spent:
            raise Exhausted("Openverse's limit of requests is reached; try again later, or with a key")
        page += 1


def _is_spent(name: str, value: str) -> bool:
    return name.startswith("x-ratelimit-available") and value.strip() == "0"


def _found(item: dict[str, object]) -> Found | None:
    url = text(item.get("url"))
    if url is None:
        return None
    licence = " ".join(filter(None, (text(item.get("license")), text(item.get("license_version")))))
    return Found(
        url,
        name=text(item.get("title")),
        page=text(item.get("foreign_landing_url")),
        licence=licence or None,
        licence_url=text(item.get("license_url")),
        author=text(item.get("creator")),
    )


SOURCE = Source("openverse", check, gather)
