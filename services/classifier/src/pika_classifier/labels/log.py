"""Labels given by hand: an append-only log in the labels bucket, beside copies of the labelled pictures.

    log/<time-ordered id>.json   {"action": "label", "labels": [{"id", "label", "split"}], "annotator", "at"}
    log/<id>.<number>.json       {"action": "undo" or "restore", "of": <id>, "annotator", "at"}
    pictures/…, provenance/…     the pictures as squares of 256, so that the set needs no other bucket

The state is the log replayed in order: the latest label of a picture holds. Nothing is ever rewritten, so two
annotators never lose each other's work, and undoing is one more entry. The undos and restores of one entry
are numbered, and each number is written once: of two requests that take the same entry back at the same time
one wins, and the other one looks again.
"""

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pika_classifier.labels.vocabulary import LABELS, REASONS, SPLITS
from pika_kit.pictures import PictureBucket
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.withdrawn import remove, withdrawn_ids

_LOG = "log/"


class UnknownPictures(LookupError):
    """Some ids are neither in the images bucket nor labelled already; `ids` names them."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(", ".join(ids))
        self.ids = ids


class NothingToUndo(LookupError):
    """The log holds no entry of this annotator's that is in force."""


class UnknownEntry(LookupError):
    """The log has no labels under this id."""


class NotUndone(LookupError):
    """The entry is in force: there is nothing to restore."""


@dataclass(frozen=True)
class Label:
    """One picture's label: "pikachu" or "others", for "trains" or "valids".

    `why` the picture was shown, one of REASONS; None where nobody knows.
    """

    id: str
    label: str
    split: str
    why: str | None = None

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"label: expected one of {', '.join(LABELS)}, received {self.label!r}")
        if self.split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, received {self.split!r}")
        if self.why is not None and self.why not in REASONS:
            raise ValueError(f"why: expected one of {', '.join(REASONS)}, received {self.why!r}")


class LabelSet:
    """The labels and their pictures. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self.pictures = PictureBucket(store, Bucket.LABELS)
        self._store = store
        self._images = PictureBucket(store, Bucket.IMAGES)
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        """Log entries read so far; they never change."""

    def add(
        self, labels: Iterable[Label], annotator: str, source: str = "by hand", unit: str | None = None
    ) -> str:
        """Append one entry; pictures that are not in the set yet are copied from the images bucket.

        Args:
            unit: entries of one annotator that share it are taken back together, such as an import that came
                in several parts.

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
        # Nanoseconds order the log; the rest keeps two writers of the same nanosecond apart.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        entry_body = {"labels": [asdict(label) for label in given], "source": source, "unit": unit}
        self._append(name, {"action": "label", **entry_body, "annotator": annotator})
        return name

    def undo(self, annotator: str) -> dict[str, Any]:
        """Take back what this annotator gave last and has not taken back yet.

        Returns:
            {"entries": ids, "labels": […], "annotator"}: one entry, or all those of its unit.

        Raises:
            NothingToUndo: nothing of this annotator's is in force.
        """
        while True:
            own = [(name, found) for name, found in self._in_force() if found["annotator"] == annotator]
            if not own:
                raise NothingToUndo(f"no label of {annotator!r} is left to take back")
            unit = own[-1][1].get("unit")
            chosen = [item for item in own if item is own[-1] or (unit and item[1].get("unit") == unit)]
            undone = [(name, found) for name, found in chosen if self._toggle(name, "undo", annotator)]
            if undone:  # else another request was faster: what is in force has changed
                labels = [label for _, found in undone for label in found["labels"]]
                return {"entries": [name for name, _ in undone], "labels": labels, "annotator": annotator}

    def restore(self, entry_id: str, annotator: str) -> dict[str, Any]:
        """Put an entry that was taken back into force again, at its old place in the log; returns it.

        Raises:
            UnknownEntry: there is no such entry. NotUndone: it is in force.
        """
        entry = self._read_log().get(entry_id)
        if entry is None or entry["action"] != "label":
            raise UnknownEntry(entry_id)
        if entry_id in dict(self._in_force()) or not self._toggle(entry_id, "restore", annotator):
            raise NotUndone(f"entry {entry_id} is in force")
        return {"entry": entry_id, **entry}

    def _toggle(self, entry_id: str, action: str, annotator: str) -> bool:
        """Write the next undo or restore of an entry; False where somebody else has just written it."""
        toggles = _toggles(self._read_log())[entry_id]
        if (action == "undo") == bool(len(toggles) % 2):
            return False
        name = f"{entry_id}.{len(toggles):04d}"
        return self._append(name, {"action": action, "of": entry_id, "annotator": annotator})

    def current(self) -> dict[str, dict[str, Any]]:
        """Id → {"label", "split", "why", "annotator", "at"}, the latest; none of withdrawn pictures."""
        found: dict[str, dict[str, Any]] = {}
        gone = self.withdrawn()
        for _, entry in self._in_force():
            for label in entry["labels"]:
                found[label["id"]] = {
                    "label": label["label"],
                    "split": label["split"],
                    "why": label.get("why"),
                    "annotator": entry["annotator"],
                    "at": entry["at"],
                }
        return {picture_id: label for picture_id, label in found.items() if picture_id not in gone}

    def disagreements(self) -> list[dict[str, Any]]:
        """Pictures that annotators label differently: {"id", "labels": [{"label", "annotator", "at"}]}.

        Of each annotator the latest label counts; the annotator of the latest of all comes last.
        """
        by_picture: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for _, entry in self._in_force():
            for label in entry["labels"]:
                said = by_picture[label["id"]]
                said.pop(entry["annotator"], None)
                said[entry["annotator"]] = {
                    "label": label["label"],
                    "annotator": entry["annotator"],
                    "at": entry["at"],
                }
        gone = self.withdrawn()
        return [
            {"id": picture_id, "labels": list(said.values())}
            for picture_id, said in sorted(by_picture.items())
            if picture_id not in gone and len({found["label"] for found in said.values()}) > 1
        ]

    def withdrawn(self) -> set[str]:
        """The pictures that no set may hold any more."""
        return set(withdrawn_ids(self._store))

    def remove_withdrawn(self) -> list[str]:
        """Delete the copies of withdrawn pictures, and name them; the log keeps what was said of them."""
        return remove(self.pictures, self.withdrawn())

    def _in_force(self) -> list[tuple[str, dict[str, Any]]]:
        """The labelling entries that are not taken back, oldest first, with their ids."""
        entries = self._read_log()
        toggles = _toggles(entries)
        return [
            (name, entry)
            for name, entry in sorted(entries.items())
            if entry["action"] == "label" and len(toggles[name]) % 2 == 0
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

    def _append(self, name: str, entry: dict[str, Any]) -> bool:
        """Write an entry once; False where one of that name is there."""
        entry = entry | {"at": datetime.now(UTC).isoformat(timespec="seconds")}
        return self._store.put_json(Bucket.LABELS, f"{_LOG}{name}.json", entry, only_if_absent=True)


def _toggles(entries: dict[str, dict[str, Any]]) -> defaultdict[str, set[str]]:
    """Entry id → the names of its undos and restores: with an odd number of them it is not in force."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, entry in entries.items():
        if entry["action"] in ("undo", "restore"):
            found[entry["of"]].add(name)
    return found


def counts(labels: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Split → label → how many."""
    found = {split: dict.fromkeys(LABELS, 0) for split in SPLITS}
    for label in labels.values():
        found[label["split"]][label["label"]] += 1
    return found
