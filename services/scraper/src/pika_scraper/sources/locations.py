"""Which folders and files of this machine a scrape may read: those below the operator's roots, no others."""

from collections.abc import Iterable
from pathlib import Path

from pika_scraper.errors import SourceError


def allowed_path(location: str, roots: tuple[Path, ...]) -> Path:
    """The location as an absolute path without links, inside one of `roots`; it need not exist.

    Args:
        location: absolute, or relative to a root.

    Raises:
        SourceError: "location-forbidden", also for hidden files and folders. Links that lead out of the roots
            are followed before the check.
    """
    if not roots:
        raise SourceError(
            "location-forbidden",
            "no folder may be read here; the operator names those that may in PIKA_SCRAPE_ROOTS",
        )
    if not location or "\0" in location:
        raise SourceError("source-arguments", "expected a folder or file as location, received none")
    resolved_roots = [root.resolve() for root in roots]
    candidates = [(root / location).resolve() for root in resolved_roots]
    inside = [path for path in candidates if is_below(path, resolved_roots)]
    if not inside:
        raise SourceError(
            "location-forbidden",
            "the location is outside the folders that may be read (PIKA_SCRAPE_ROOTS), or hidden in one",
        )
    return next((path for path in inside if path.exists()), inside[0])


def is_below(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a resolved path is a root, or below one with no hidden folder or file on the way.

    Hidden names (`.git`, `.env`, `.ssh`) hold settings and keys, and no pictures.
    """
    return any(
        path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)
        for root in roots
    )


def is_visible(path: Path, roots: tuple[Path, ...]) -> bool:
    """Whether this process sees the root that the path is in: the front end may run on another host."""
    return any(root.is_dir() and path.is_relative_to(root.resolve()) for root in roots)


def require_folder(path: Path) -> None:
    """Raises SourceError "location-missing" unless the path is a folder."""
    if not path.is_dir():
        raise SourceError("location-missing", f"expected a folder, and {path.name!r} is none")


def require_file(path: Path) -> None:
    """Raises SourceError "location-missing" unless the path is a file."""
    if not path.is_file():
        raise SourceError("location-missing", f"expected a file, and {path.name!r} is none")
