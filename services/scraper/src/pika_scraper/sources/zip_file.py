"""Source `zip`: the files of one zip, local or uploaded."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from zipfile import ZipInfo

from pika_kit.settings import Settings
from pika_kit.zips import BadZip, SafeZip, label
from pika_scraper.errors import SourceError
from pika_scraper.sources import uploads
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Source, Tools
from pika_scraper.sources.locations import allowed_path, is_visible, require_file


def check(request: ScrapeRequest, settings: Settings) -> Path | None:
    """Resolve the requested zip, or None for an upload. Raises SourceError."""
    if request.upload:
        uploads.check_key(request.upload)
        return None
    if not request.location:
        raise SourceError("source-arguments", "the source zip expects a location")
    path = allowed_path(request.location, settings.scrape_roots)
    if is_visible(path, settings.scrape_roots):
        require_file(path)
    return path


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Yield entries in the zip's order; folders are part of the name and have no other meaning."""
    path = check(request, tools.settings)
    with ExitStack() as stack:
        if path is None:
            path = stack.enter_context(
                uploads.downloaded(tools.store, request.upload or "", tools.settings.state_dir)
            )
            prefix = ""
        else:
            prefix = path.name + "/"
        require_file(path)
        try:
            archive = stack.enter_context(SafeZip(path))
        except BadZip as error:
            raise SourceError("zip-unreadable", str(error)) from error
        candidates = (
            _candidate(archive, prefix, index, entry) for index, entry in enumerate(archive.entries)
        )
        yield Gathered(
            candidates, len(archive.entries), {"hidden": archive.num_hidden} if archive.num_hidden else {}
        )


def _candidate(archive: SafeZip, prefix: str, index: int, entry: ZipInfo) -> Candidate:
    name = label(prefix + entry.filename)
    # A zip may contain one name twice with different bytes.
    return Candidate(f"{index}:{name}", name, {"name": name}, lambda: archive.read(entry))


SOURCE = Source("zip", check, gather)
