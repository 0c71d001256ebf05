"""A zip in the article's layout, `trains|valids` / `pikachu|others` / pictures, → labels.

Nothing is lost in silence: whatever is not taken is told with its reason. Names in the zip are words to be
read and never paths to be written; sizes are bounded before anything is unpacked.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pika_classifier.labels import Label, LabelSet
from pika_classifier.predict import prepare
from pika_classifier.vocabulary import LABELS, SPLITS
from pika_kit.images import PictureError, encode_png, sha256

MAX_FILES = 10_000
MAX_FILE_BYTES = 32 * 2**20
MAX_TOTAL_BYTES = 2 * 2**30
_NAME_LENGTH = 200


class NotALabelZip(ValueError):
    """The bytes are no zip, or one that is too large to be unpacked."""


@dataclass
class ImportReport:
    """What became of every file.

    Attributes:
        num_files: files in the zip, without those that desktops put there.
        imported: pictures whose label is new or changed.
        unchanged: pictures that had this label before.
        duplicates: files whose bytes came earlier in the same zip, with the same label.
        refused: the rest: {"file", "reason", "detail"}.
    """

    num_files: int = 0
    imported: int = 0
    unchanged: int = 0
    duplicates: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, name: str, reason: str, detail: str) -> None:
        """Note a file that is not taken."""
        self.refused.append({"file": name[-_NAME_LENGTH:], "reason": reason, "detail": detail})

    def to_json(self) -> dict[str, Any]:
        """Counts first, then the refused files one by one."""
        return {
            "files": self.num_files,
            "imported": self.imported,
            "unchanged": self.unchanged,
            "duplicates": self.duplicates,
            "refused": len(self.refused),
            "refused_files": self.refused,
        }


def import_zip(data: bytes, labels: LabelSet, annotator: str, unit: str | None = None) -> ImportReport:
    """Take all labelled pictures of a zip in, as one entry of the log; `unit` as in `LabelSet.add`.

    Raises:
        NotALabelZip: nothing of it can be read; then nothing was changed.
    """
    report = ImportReport()
    seen: dict[str, Label] = {}
    with _open(data) as archive:
        for entry in _files(archive):
            report.num_files += 1
            _take(archive, entry, labels, seen, report)
    before = labels.current()
    changed = [label for label in seen.values() if not _holds(before, label)]
    report.imported, report.unchanged = len(changed), len(seen) - len(changed)
    if changed:
        labels.add(changed, annotator, source="import", unit=unit)
    return report


def _take(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    labels: LabelSet,
    seen: dict[str, Label],
    report: ImportReport,
) -> None:
    """Put one file's picture into the set and its label into `seen`, or its reason into the report."""
    place = _place(entry.filename)
    if place is None:
        expected = "expected trains|valids/pikachu|others/FILE"
        report.refuse(entry.filename, "outside_layout", expected)
        return
    try:
        data = _read(archive, entry)
        pixels = prepare(data)
    except PictureError as error:
        report.refuse(entry.filename, error.code, error.detail)
        return
    label = Label(sha256(data), place[1], place[0])
    earlier = seen.setdefault(label.id, label)
    if earlier is not label:
        if earlier == label:
            report.duplicates += 1
        else:
            detail = f"the same picture is {earlier.split}/{earlier.label} earlier in this zip"
            report.refuse(entry.filename, "contradiction", detail)
        return
    provenance = {"source": "labels import", "file": entry.filename[-_NAME_LENGTH:]}
    labels.pictures.add(label.id, encode_png(pixels), "png", provenance)


def _holds(current: dict[str, dict[str, Any]], label: Label) -> bool:
    found = current.get(label.id)
    return found is not None and (found["label"], found["split"]) == (label.label, label.split)


def _open(data: bytes) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise NotALabelZip(f"expected a zip, received something else: {error}") from error
    infos = archive.infolist()
    num_bytes = sum(info.file_size for info in infos)
    if len(infos) > MAX_FILES or num_bytes > MAX_TOTAL_BYTES:
        raise NotALabelZip(
            f"expected at most {MAX_FILES:,} files and {MAX_TOTAL_BYTES:,} bytes, "
            f"received {len(infos):,} and {num_bytes:,}"
        )
    return archive


def _files(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Files only, without what desktops leave behind."""
    for entry in archive.infolist():
        parts = PurePosixPath(entry.filename).parts
        if not entry.is_dir() and not any(part.startswith(".") or part == "__MACOSX" for part in parts):
            yield entry


def _place(name: str) -> tuple[str, str] | None:
    """(split, label) of a file's folders, which may lie below others; None where they say neither."""
    parts = PurePosixPath(name).parts[:-1]
    if len(parts) >= 2 and parts[-2] in SPLITS and parts[-1] in LABELS:
        return parts[-2], parts[-1]
    return None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """One file's bytes, at most MAX_FILE_BYTES whatever the zip's directory says; raises PictureError."""
    if entry.file_size > MAX_FILE_BYTES:
        raise PictureError("too_large", f"expected at most {MAX_FILE_BYTES:,} bytes")
    try:
        with archive.open(entry) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise PictureError("damaged", f"cannot be unpacked: {error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise PictureError("too_large", f"expected at most {MAX_FILE_BYTES:,} bytes")
    return data
