"""Local folders as zips small enough to upload, for a stack that cannot read the folder itself."""

import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BATCH_BYTES = 24 * 2**20
"""Well below the services' limit of 64 MiB for one request, so that progress shows."""


@dataclass(frozen=True)
class Batch:
    """One zip of some of a folder's files."""

    data: bytes
    num_files: int


def list_files(folder: Path) -> list[Path]:
    """List all files below a folder in a fixed order, without hidden ones."""
    files = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(where) / name for name in sorted(names) if not name.startswith(".")]
    return [path for path in files if path.is_file()]


def zip_batches(files: list[Path], root: Path, batch_bytes: int = BATCH_BYTES) -> Iterator[Batch]:
    """Yield the files as zips of at most about `batch_bytes` (a larger file is a batch of its own).

    Args:
        root: the folder.
        files: below `root`; their relative paths are the names in the zips.
        batch_bytes: the size of a batch.
    """
    batch: list[Path] = []
    size = 0
    for path in files:
        num_bytes = path.stat().st_size
        if batch and size + num_bytes > batch_bytes:
            yield Batch(_zip(batch, root), len(batch))
            batch, size = [], 0
        batch.append(path)
        size += num_bytes
    if batch:
        yield Batch(_zip(batch, root), len(batch))


def _zip(files: list[Path], root: Path) -> bytes:
    buffer = io.BytesIO()
    # Pictures are already compressed. A fixed date makes equal files equal zips.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            # Python represents non-UTF-8 names by lone surrogates, which a zip cannot contain.
            name = os.fsencode(path.relative_to(root)).decode("utf-8", "replace")
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    return buffer.getvalue()
