"""Source `urls`: pictures by address, from the request itself or from a list: a text file with one address on
each line (`#` begins a comment), or a CSV file with a column `url` and, where known, page, licence, author.
"""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pika_kit.settings import Settings
from pika_scraper.errors import SourceError
from pika_scraper.fetch import Fetcher
from pika_scraper.locations import allowed_path, is_visible, require_file
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Source, Tools
from pika_scraper.zips import label

Row = dict[str, str | None]
MAX_URLS = 1_000_000
_COLUMNS = {
    "url": ("url", "image_url", "contenturl"),
    "page": ("page", "page_url", "foreign_landing_url"),
    "licence": ("licence", "license"),
    "author": ("author", "creator"),
}


def check(request: ScrapeRequest, settings: Settings) -> Path | None:
    """The list that is meant, None where it is in the request; raises SourceError."""
    if bool(request.urls) == bool(request.location):
        raise SourceError("source-arguments", "the source urls expects either urls or a location")
    if not request.location:
        return None
    path = allowed_path(request.location, settings.scrape_roots)
    if is_visible(path, settings.scrape_roots):
        require_file(path)
    return path


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Addresses in the list's order; each is fetched when its turn comes."""
    path = check(request, tools.settings)
    fetcher = Fetcher(tools.settings.fetch_allow)
    rows: list[Row] = _read(path) if path is not None else [{"url": url} for url in request.urls]
    if len(rows) > MAX_URLS:
        raise SourceError("list-unreadable", f"expected at most {MAX_URLS:,} addresses, received more")
    yield Gathered((_candidate(fetcher, row) for row in rows), len(rows))


def _read(path: Path) -> list[Row]:
    require_file(path)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            if path.suffix.lower() == ".csv":
                return _csv_rows(file)
            lines = (line.strip() for line in file)
            return [{"url": line} for line in lines if line and not line.startswith("#")]
    except (OSError, csv.Error) as error:
        raise SourceError("list-unreadable", f"the list of addresses cannot be read: {error}") from error


def _csv_rows(lines: Iterable[str]) -> list[Row]:
    reader = csv.DictReader(lines)
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    columns = {
        field: next((names[alias] for alias in aliases if alias in names), None)
        for field, aliases in _COLUMNS.items()
    }
    if columns["url"] is None:
        received = ", ".join(names) or "none"
        raise SourceError("list-unreadable", f"expected a column named url, received the columns {received}")
    rows = ({field: row.get(name) or None for field, name in columns.items() if name} for row in reader)
    return [row for row in rows if row["url"]]


def _candidate(fetcher: Fetcher, row: Row) -> Candidate:
    url = str(row["url"]).strip()
    known = {field: label(value) for field, value in row.items() if value and field != "url"}
    return Candidate(url, label(url), {"url": url, **known}, lambda: fetcher.fetch(url))


SOURCE = Source("urls", check, gather)
