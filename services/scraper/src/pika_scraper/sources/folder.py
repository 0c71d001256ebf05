"""Source `folder`: all files below a local folder, whatever their names."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pika_kit.settings import Settings
from pika_kit.zips import is_hidden, label
from pika_scraper.config import MAX_PICTURE_BYTES
from pika_scraper.errors import Refused
from pika_scraper.sources.base import Candidate, Gathered, ScrapeRequest, Source, Tools
from pika_scraper.sources.locations import allowed_path, is_below, is_visible, require_folder


def check(request: ScrapeRequest, settings: Settings) -> Path:
    """Resolve the requested folder. Raises SourceError."""
    path = allowed_path(request.location or "", settings.scrape_roots)
    if is_visible(path, settings.scrape_roots):
        require_folder(path)
    return path


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Yield files in path order; hidden files and links out of the allowed folders are skipped."""
    folder = check(request, tools.settings)
    require_folder(folder)
    roots = tuple(root.resolve() for root in tools.settings.scrape_roots)
    paths, skipped = _files(folder, roots)
    yield Gathered((_candidate(folder, path) for path in paths), len(paths), skipped)


def _files(folder: Path, roots: tuple[Path, ...]) -> tuple[list[Path], dict[str, int]]:
    paths: list[Path] = []
    skipped = {"hidden": 0, "links": 0, "no_files": 0}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in names:
            path = Path(parent, name)
            if is_hidden(name):
                skipped["hidden"] += 1
            elif path.is_symlink() and not is_below(path.resolve(), roots):
                skipped["links"] += 1
            elif not path.is_file():
                skipped["no_files"] += 1  # a pipe or a socket would block for ever
            else:
                paths.append(path)
    return sorted(paths), {reason: count for reason, count in skipped.items() if count}


def _candidate(folder: Path, path: Path) -> Candidate:
    # Keep the folder's own name; the path above it is private.
    name = label(f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return Candidate(name, name, {"name": name}, lambda: _read(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refused("unreadable", "expected a file")
            data = file.read(MAX_PICTURE_BYTES + 1)
    except OSError as error:
        raise Refused("unreadable", f"the file cannot be read: {error.strerror}") from error
    if len(data) > MAX_PICTURE_BYTES:
        raise Refused("too_large", f"expected at most {MAX_PICTURE_BYTES:,} bytes")
    return data


SOURCE = Source("folder", check, gather)
