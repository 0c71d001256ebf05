"""Source `commons`: the files of Wikimedia Commons.

It uses the MediaWiki API (https://www.mediawiki.org/wiki/ API:Search, API:Imageinfo, API:Continue and
Manual:Maxlag_parameter). Wikimedia rejects clients without a contact address, so this source needs
PIKA_CONTACT. It takes thumbnails, which are smaller and meant to be fetched.
"""

import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from pika_kit.settings import Settings
from pika_scraper.errors import SourceError
from pika_scraper.sources.base import Gathered, ScrapeRequest, Source, Tools
from pika_scraper.sources.search import Catalogue, Exhausted, Found, check_queries, gathering, text

PAGE_SIZE = 50
WIDTH = 1024
MAX_LAG = 5
MAX_LAG_PAUSES = 5
# A separate name, so that tests replace only this pause.
_pause = time.sleep
_TAGS = re.compile(r"<[^>]*>")
_ASKED = {
    "action": "query",
    "format": "json",
    "formatversion": "2",
    "generator": "search",
    "gsrnamespace": "6",
    "gsrlimit": str(PAGE_SIZE),
    "prop": "imageinfo",
    "iiprop": "url|mime|extmetadata",
    "iiurlwidth": str(WIDTH),
    "iiextmetadatafilter": "Artist|LicenseShortName|LicenseUrl",
    "maxlag": str(MAX_LAG),
}


def check(request: ScrapeRequest, settings: Settings) -> None:
    """Validate the request. Raises SourceError."""
    check_queries(request)
    if not settings.contact:
        raise SourceError(
            "source-arguments",
            "the source commons expects PIKA_CONTACT, an address of mail or of a page: Wikimedia refuses "
            "those who do not say whom to write to",
        )


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Yield what Commons returns, in its order."""
    check(request, tools.settings)
    catalogue = Catalogue(tools.settings.commons_url, tools)
    with gathering(request, tools.settings, catalogue, search) as candidates:
        yield candidates


def search(catalogue: Catalogue, query: str) -> Iterator[Found]:
    """Yield all pages of a query."""
    more: dict[str, str] = {}
    while True:
        document = _ask(catalogue, {**_ASKED, "gsrsearch": f"filetype:bitmap {query}", **more})
        pages = document.get("query", {})
        pages = pages.get("pages", []) if isinstance(pages, dict) else []
        if not isinstance(pages, list):
            raise Exhausted("the catalogue answered something unexpected")
        # The search order is in `index`; the pages themselves are ordered by number.
        known = [page for page in pages if isinstance(page, dict)]
        for page in sorted(known, key=lambda page: page.get("index") or 0):
            if candidate := _found(page):
                yield candidate
        following = document.get("continue")
        if not isinstance(following, dict) or not following:
            raise Exhausted("there are no more results")
        # The next request repeats the whole object, whatever it contains.
        more = {str(name): str(value) for name, value in following.items()}


def _ask(catalogue: Catalogue, asked: dict[str, str]) -> dict[str, object]:
    """Return a response; a lag error has status 200 and is waited out."""
    for _ in range(MAX_LAG_PAUSES):
        document, headers = catalogue.ask(f"/w/api.php?{urlencode(asked)}")
        error = document.get("error")
        if not error:
            return document
        code = error.get("code") if isinstance(error, dict) else None
        if code != "maxlag":
            raise Exhausted(f"Commons answered with the error {str(code)[:60]!r}")
        pause = headers.get("retry-after", "")
        _pause(min(int(pause), 30) if re.fullmatch("[0-9]{1,3}", pause) else MAX_LAG)
    raise Exhausted("Commons is too busy now; try again later")


def _found(page: dict[str, object]) -> Found | None:
    infos = page.get("imageinfo")
    info = infos[0] if isinstance(infos, list) and infos and isinstance(infos[0], dict) else {}
    url = text(info.get("thumburl")) or text(info.get("url"))
    if url is None:
        return None
    facts = info.get("extmetadata")
    facts = facts if isinstance(facts, dict) else {}
    return Found(
        url,
        name=text(page.get("title")),
        page=text(info.get("descriptionurl")),
        licence=_plain(facts.get("LicenseShortName")),
        licence_url=_plain(facts.get("LicenseUrl")),
        author=_plain(facts.get("Artist")),
    )


def _plain(fact: object) -> str | None:
    """Convert a field to plain text: it is HTML that anybody may have written."""
    value = fact.get("value") if isinstance(fact, dict) else None
    return text(html.unescape(_TAGS.sub("", value))) if isinstance(value, str) else None


SOURCE = Source("commons", check, gather)
