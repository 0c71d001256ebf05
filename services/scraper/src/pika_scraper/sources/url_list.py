"""Source `urls`: pictures by address, from the request itself or from a list: a text file with one address on
each line (`#` begins a comment), or a CSV file with a column `url` and, where known, page, licence, author.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pika_kit.settings import Settings
from pika_kit.zips import label
from pika_scraper.errors import SourceError
from pika_scraper.locations import allowed_path, is_visible, require_file
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Source, Tools
from pika_scraper.web.fetch import Fetcher
from pika_scraper.web.robots import picture_fetcher

Row = dict[str, str | None]
_LINE = "line"
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
    fetcher = picture_fetcher(tools.settings)
    rows: list[Row] = _read(path) if path is not None else _numbered(request.urls, "address")
    if len(rows) > MAX_URLS:
        raise SourceError("list-unreadable", f"expected at most {MAX_URLS:,} addresses, received more")
    yield Gathered((_candidate(fetcher, row) for row in rows), len(rows))


def _read(path: Path) -> list[Row]:
    require_file(path)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            if path.suffix.lower() == ".csv":
                return _csv_rows(file)
            rows = _numbered((line.strip() for line in file), "line")
            return [row for row in rows if row["url"] and not row["url"].startswith("#")]
    except csv.Error as error:
        raise SourceError("list-unreadable", f"the list of addresses cannot be read: {error}") from error
    except OSError as error:
        raise SourceError("list-unreadable", f"the list cannot be read: {error.strerror}") from error


def _numbered(urls: Iterable[str], what: str) -> list[Row]:
    """Rows that know their place in the list, counted from 1."""
    return [{"url": url, _LINE: f"{what} {number}"} for number, url in enumerate(urls, 1)]


def _csv_rows(lines: Iterable[str]) -> list[Row]:
    reader = csv.DictReader(lines)
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    columns = {
        field: next((names[alias] for alias in aliases if alias in names), None)
        for field, aliases in _COLUMNS.items()
    }
    if columns["url"] is None:
        # The names of the columns are not told: whatever file this is, its first line may be a secret.
        raise SourceError(
            "list-unreadable", f"expected a column named url, received {len(names)} columns of other names"
        )
    rows = [
        {field: row.get(name) or None for field, name in columns.items() if name}
        | {_LINE: f"line {reader.line_num}"}
        for row in reader
    ]
    return [row for row in rows if row["url"]]


def _candidate(fetcher: Fetcher, row: Row) -> Candidate:
    """A row's candidate; reports call it by its line, because the list may be any text file."""
    url = str(row["url"]).strip()
    known = {name: label(value) for name, value in row.items() if value and name not in ("url", _LINE)}
    key = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
    return Candidate(key, str(row[_LINE]), {"url": url, **known}, lambda: fetcher.fetch(url))


SOURCE = Source("urls", check, gather)
