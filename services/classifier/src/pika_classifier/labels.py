"""Labels given by hand: an append-only log in the labels bucket, beside copies of the labelled pictures.

    log/<time-ordered id>.json   {"action": "label", "labels": [{"id", "label", "split"}], "annotator", "at"}
                                 {"action": "undo", "of": <id of an entry>, "annotator", "at"}
    pictures/…, provenance/…     the pictures as 256×256 PNG, so that the set needs no other bucket

The state is the log replayed in order: the latest label of a picture holds. Nothing is ever rewritten, so two
annotators never lose each other's work, and undoing is one more entry.
"""

import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pika_classifier.vocabulary import LABELS, SPLITS
from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.storage import Store

_LOG = "log/"


class UnknownPictures(LookupError):
    """Some ids are neither in the images bucket nor labelled already; `ids` names them."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(", ".join(ids))
        self.ids = ids


class NothingToUndo(LookupError):
    """The log holds no entry that is still in force."""


@dataclass(frozen=True)
class Label:
    """One picture's label: "pikachu" or "others", for "trains" or "valids"."""

    id: str
    label: str
    split: str

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"label: expected one of {', '.join(LABELS)}, received {self.label!r}")
        if self.split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, received {self.split!r}")


class LabelSet:
    """The labels and their pictures. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self.pictures = PictureBucket(store, Bucket.LABELS)
        self._store = store
        self._images = PictureBucket(store, Bucket.IMAGES)
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        """Log entries read so far; they never change."""

    def add(self, labels: Iterable[Label], annotator: str, source: str = "by hand") -> str:
        """Append one entry; pictures that are not in the set yet are copied from the images bucket.

        Returns the entry's id.

        Raises:
            UnknownPictures: some are in neither bucket; then nothing is written.
        """
        given = list(labels)
        missing = [label.id for label in given if not self.pictures.has(label.id)]
        unknown = [picture_id for picture_id in missing if not self._images.has(picture_id)]
        if unknown:
            raise UnknownPictures(unknown)
        for picture_id in missing:
            entry = self._images.entry(picture_id)
            provenance = self._images.provenance(picture_id)
            self.pictures.add(picture_id, self._images.read(entry), entry.extension, provenance)
        labelled = [asdict(label) for label in given]
        return self._append({"action": "label", "labels": labelled, "annotator": annotator, "source": source})

    def undo(self, annotator: str) -> dict[str, Any]:
        """Take back the last entry that is in force; returns it, with its `entry` id.

        Raises:
            NothingToUndo: there is none.
        """
        in_force = self._in_force()
        if not in_force:
            raise NothingToUndo("no label is left to take back")
        last, entry = in_force[-1]
        self._append({"action": "undo", "of": last, "annotator": annotator})
        return {"entry": last, **entry}

    def current(self) -> dict[str, dict[str, Any]]:
        """Picture id → {"label", "split", "annotator", "at"}, the latest of each."""
        found: dict[str, dict[str, Any]] = {}
        for _, entry in self._in_force():
            for label in entry["labels"]:
                found[label["id"]] = {
                    "label": label["label"],
                    "split": label["split"],
                    "annotator": entry["annotator"],
                    "at": entry["at"],
                }
        return found

    def _in_force(self) -> list[tuple[str, dict[str, Any]]]:
        """The labelling entries that were not undone, oldest first, with their ids."""
        entries = self._read_log()
        undone = {entry["of"] for entry in entries.values() if entry["action"] == "undo"}
        return [
            (name, entry)
            for name, entry in sorted(entries.items())
            if entry["action"] == "label" and name not in undone
        ]

    def _read_log(self) -> dict[str, dict[str, Any]]:
        """All entries by id; only those that are new here are fetched."""
        names = [
            info.key.removeprefix(_LOG).removesuffix(".json")
            for info in self._store.list(Bucket.LABELS, _LOG)
        ]
        with self._lock:
            for name in names:
                if name not in self._entries:
                    self._entries[name] = self._store.get_json(Bucket.LABELS, f"{_LOG}{name}.json")
            return {name: self._entries[name] for name in names}

    def _append(self, entry: dict[str, Any]) -> str:
        # Nanoseconds order the log; the rest keeps two writers of the same nanosecond apart.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        entry = entry | {"at": datetime.now(UTC).isoformat(timespec="seconds")}
        self._store.put_json(Bucket.LABELS, f"{_LOG}{name}.json", entry, only_if_absent=True)
        return name


def counts(labels: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Split → label → how many."""
    found = {split: dict.fromkeys(LABELS, 0) for split in SPLITS}
    for label in labels.values():
        found[label["split"]][label["label"]] += 1
    return found
