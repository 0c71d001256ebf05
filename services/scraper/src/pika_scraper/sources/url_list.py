"""Source `urls`: pictures by address, from the request or from a list.

A list is a text file with one address per line (`#` begins a comment), or a CSV or Parquet file with a column
`url` and optional columns name, page, licence, licence_url, author.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from arro3.io import read_parquet

from pika_kit.settings import Settings
from pika_kit.zips import label
from pika_scraper.errors import SourceError
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Source, Tools
from pika_scraper.sources.locations import allowed_path, is_visible, require_file
from pika_scraper.web.fetch import Fetcher
from pika_scraper.web.robots import picture_fetcher

Row = dict[str, str | None]
_LINE = "line"
_PARQUET = (".parquet", ".pq")
MAX_URLS = 1_000_000
_COLUMNS = {
    "url": ("url", "image_url", "contenturl"),
    "page": ("page", "page_url", "foreign_landing_url"),
    "licence": ("licence", "license"),
    "licence_url": ("licence_url", "license_url"),
    "author": ("author", "creator"),
    "name": ("name", "caption", "text", "title"),
}


def check(request: ScrapeRequest, settings: Settings) -> Path | None:
    """Resolve the requested list, or None if the addresses are in the request. Raises SourceError."""
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
    """Yield addresses in the list's order; each is fetched when its turn comes."""
    path = check(request, tools.settings)
    rows: list[Row] = _read(path) if path is not None else _numbered(request.urls, "address")
    if len(rows) > MAX_URLS:
        raise SourceError("list-unreadable", f"expected at most {MAX_URLS:,} addresses, received more")
    with closing(picture_fetcher(tools.settings)) as fetcher:
        yield Gathered((_candidate(fetcher, row) for row in rows), len(rows))


def _read(path: Path) -> list[Row]:
    require_file(path)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            if path.suffix.lower() in _PARQUET:
                return _parquet_rows(path)
            if path.suffix.lower() == ".csv":
                return _csv_rows(file)
            rows = _numbered((line.strip() for line in file), "line")
            return [row for row in rows if row["url"] and not row["url"].startswith("#")]
    except csv.Error as error:
        raise SourceError("list-unreadable", f"the list of addresses cannot be read: {error}") from error
    except OSError as error:
        raise SourceError("list-unreadable", f"the list cannot be read: {error.strerror}") from error


def _numbered(urls: Iterable[str], what: str) -> list[Row]:
    """Yield rows with their line numbers, counted from 1."""
    return [{"url": url, _LINE: f"{what} {number}"} for number, url in enumerate(urls, 1)]


def _csv_rows(lines: Iterable[str]) -> list[Row]:
    reader = csv.DictReader(lines)
    columns = _columns(reader.fieldnames or ())
    rows = [
        {field: row.get(name) or None for field, name in columns.items()} | {_LINE: f"line {reader.line_num}"}
        for row in reader
    ]
    return [row for row in rows if row["url"]]


def _columns(names: Iterable[str]) -> dict[str, str]:
    """Map fields to column names. Raises SourceError without a column for addresses."""
    given = {(name or "").strip().lower(): name for name in names}
    columns = {
        field: given[alias]
        for field, aliases in _COLUMNS.items()
        for alias in reversed(aliases)
        if alias in given
    }
    if "url" not in columns:
        # Do not quote the column names: the file may be anything, and its first line a secret.
        raise SourceError(
            "list-unreadable", f"expected a column named url, received {len(given)} columns of other names"
        )
    return columns


def _parquet_rows(path: Path) -> list[Row]:
    """Read the known columns, named as in a CSV file; img2dataset's lists are such files."""
    rows: list[Row] = []
    try:
        reader = read_parquet(path)
        columns = _columns(reader.schema.names)
        for batch in reader:
            values = {field: _texts(batch.column(name).to_pylist()) for field, name in columns.items()}
            rows += [
                {field: column[number] for field, column in values.items()}
                | {_LINE: f"row {len(rows) + number + 1}"}
                for number in range(batch.num_rows)
            ]
            if len(rows) > MAX_URLS:
                break
    except SourceError:
        raise
    except BaseException as error:
        # For invalid files the reader panics with an exception outside Python's hierarchy.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise SourceError("list-unreadable", "expected a Parquet file, and it cannot be read") from error
        raise
    return [row for row in rows if row["url"]]


def _texts(values: Iterable[Any]) -> list[str | None]:
    return [str(value) if value is not None and str(value).strip() else None for value in values]


def _candidate(fetcher: Fetcher, row: Row) -> Candidate:
    """Make a row's candidate; reports name it by its line, because the list may be any text file."""
    url = str(row["url"]).strip()
    known = {name: label(value) for name, value in row.items() if value and name not in ("url", _LINE)}
    key = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
    return Candidate(key, str(row[_LINE]), {"url": url, **known}, lambda: fetcher.fetch(url))


SOURCE = Source("urls", check, gather)
