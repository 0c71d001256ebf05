"""A zip in the article's layout, `trains|valids` / `pikachu|others` / pictures, → labels.

Nothing is lost silently: whatever is not taken is reported with its reason. Names in the zip are labels,
never paths to write to; sizes are checked before anything is unpacked.
"""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

from pika_classifier.labels.log import Label, LabelSet
from pika_classifier.labels.vocabulary import LABELS, SPLITS
from pika_classifier.serve.predictor import prepare
from pika_kit.images import PictureError, sha256
from pika_kit.png import encode_png
from pika_kit.zips import Refused, SafeZip, ZipLimits, label

LIMITS = ZipLimits(max_entries=10_000, max_total_bytes=2 * 2**30)


@dataclass
class ImportReport:
    """What became of every file.

    Attributes:
        num_files: files in the zip, without desktop clutter.
        imported: pictures whose label is new or changed.
        unchanged: pictures that already had this label.
        duplicates: files whose bytes came earlier in the same zip with the same label.
        refused: the rest: {"file", "reason", "detail"}.
    """

    num_files: int = 0
    imported: int = 0
    unchanged: int = 0
    duplicates: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, name: str, reason: str, detail: str) -> None:
        """Record a rejected file."""
        self.refused.append({"file": label(name), "reason": reason, "detail": detail})

    def to_json(self) -> dict[str, Any]:
        """Return counts first, then the rejected files one by one."""
        return {
            "files": self.num_files,
            "imported": self.imported,
            "unchanged": self.unchanged,
            "duplicates": self.duplicates,
            "refused": len(self.refused),
            "refused_files": self.refused,
        }


def export_zip(labels: LabelSet, file: IO[bytes]) -> int:
    """Write all existing labelled pictures into `file` as a zip that `import_zip` accepts.

    Returns how many there are.
    """
    current, num = labels.current(), 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # pictures are already compressed
        for entry in labels.pictures.entries():
            label = current.get(entry.picture_id)
            if label is None:
                continue
            name = f"{label['split']}/{label['label']}/{entry.picture_id}.{entry.extension}"
            archive.writestr(name, labels.pictures.read(entry))
            num += 1
    return num


def import_zip(data: bytes, labels: LabelSet, annotator: str, unit: str | None = None) -> ImportReport:
    """Import all labelled pictures of a zip as one entry of the log; `unit` as in `LabelSet.add`.

    Raises:
        BadZip: it is not a zip, or too large; then nothing was changed.
    """
    report = ImportReport()
    seen: dict[str, Label] = {}
    gone = labels.withdrawn()
    with SafeZip(io.BytesIO(data), LIMITS) as archive:
        for entry in archive.entries:
            report.num_files += 1
            _take(archive, entry, labels, seen, report=report, gone=gone)
    before = labels.current()
    changed = [label for label in seen.values() if not _holds(before, label)]
    report.imported, report.unchanged = len(changed), len(seen) - len(changed)
    if changed:
        labels.add(changed, annotator, source="import", unit=unit)
    return report


def _take(
    archive: SafeZip,
    entry: zipfile.ZipInfo,
    labels: LabelSet,
    seen: dict[str, Label],
    *,
    report: ImportReport,
    gone: set[str],
) -> None:
    """Add one file's picture to the set and its label to `seen`, or its reason to the report."""
    place = _place(entry.filename)
    if place is None:
        expected = "expected trains|valids/pikachu|others/FILE"
        report.refuse(entry.filename, "outside_layout", expected)
        return
    try:
        data = archive.read(entry)
        if sha256(data) in gone:
            raise Refused("withdrawn", "it was withdrawn, and is not taken again")
        pixels = prepare(data)
    except (PictureError, Refused) as error:
        report.refuse(entry.filename, error.code, error.detail)
        return
    given = Label(sha256(data), place[1], place[0])
    earlier = seen.setdefault(given.id, given)
    if earlier is not given:
        if earlier == given:
            report.duplicates += 1
        else:
            detail = f"the same picture is {earlier.split}/{earlier.label} earlier in this zip"
            report.refuse(entry.filename, "contradiction", detail)
        return
    provenance = {"source": "labels import", "file": label(entry.filename)}
    labels.pictures.add(given.id, encode_png(pixels), "png", provenance)


def _holds(current: dict[str, dict[str, Any]], label: Label) -> bool:
    existing = current.get(label.id)
    return existing is not None and (existing["label"], existing["split"]) == (label.label, label.split)


def _place(name: str) -> tuple[str, str] | None:
    """Return (split, label) from a file's folders, at any depth; None if they name neither."""
    parts = PurePosixPath(name).parts[:-1]
    if len(parts) >= 2 and parts[-2] in SPLITS and parts[-1] in LABELS:
        return parts[-2], parts[-1]
    return None
