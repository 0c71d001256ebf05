"""Which local folders and files a scrape may read: only those below the operator's roots."""

from collections.abc import Iterable
from pathlib import Path

from pika_scraper.errors import SourceError


def allowed_path(location: str, roots: tuple[Path, ...]) -> Path:
    """Resolve the location to an absolute path inside one of `roots`; it need not exist.

    Args:
        location: absolute, or relative to a root.
        roots: the operator's PIKA_SCRAPE_ROOTS.

    Raises:
        SourceError: "location-forbidden", also for hidden files and folders. Links are followed before the
            check.
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
    """Return whether a resolved path is a root, or below one without hidden folders or files on the way.

    Hidden names (`.git`, `.env`, `.ssh`) contain settings and keys, not pictures.
    """
    return any(
        path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)
        for root in roots
    )


def is_visible(path: Path, roots: tuple[Path, ...]) -> bool:
    """Return whether this process can see the path's root: the front end may run on another host."""
    return any(root.is_dir() and path.is_relative_to(root.resolve()) for root in roots)


def require_folder(path: Path) -> None:
    """Raise SourceError "location-missing" unless the path is a folder."""
    if not path.is_dir():
        raise SourceError("location-missing", f"expected a folder, and {path.name!r} is none")


def require_file(path: Path) -> None:
    """Raise SourceError "location-missing" unless the path is a file."""
    if not path.is_file():
        raise SourceError("location-missing", f"expected a file, and {path.name!r} is none")
