"""Labels given by people: an append-only log in the labels bucket, with copies of the labelled pictures.

    log/<time-ordered id>.json   {"action": "label", "labels": [{"id", "label", "split"}], "annotator", "at"}
    log/<id>.<number>.json       {"action": "undo" or "restore", "of": <id>, "annotator", "at"}
    pictures/…, provenance/…     the pictures as squares of 256, so that the set needs no other bucket

The state is the log replayed in order: a picture's latest label counts. Nothing is ever rewritten, so
annotators never lose each other's work, and undoing adds an entry. The undos and restores of an entry are
numbered, and each number is written once: of two simultaneous undos of the same entry one wins, and the other
looks again.
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
from pika_kit.threads import in_threads
from pika_kit.withdrawn import remove, withdrawn_ids

_LOG = "log/"


_NUM_THREADS = 8
"""For the many small requests to the store that one entry of labels makes."""


class UnknownPictures(LookupError):
    """Some ids are neither in the images bucket nor already labelled; `ids` names them."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(", ".join(ids))
        self.ids = ids


class NothingToUndo(LookupError):
    """The log has no active entry by this annotator."""


class UnknownEntry(LookupError):
    """The log has no labels under this id."""


class NotUndone(LookupError):
    """The entry is active: there is nothing to restore."""


@dataclass(frozen=True)
class Label:
    """One picture's label: "pikachu" or "others", for "trains" or "valids".

    `why` is the reason the picture was shown, one of REASONS; None if unknown.
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
    """The labels and their pictures. Thread-safe."""

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
        """Append one entry and return its id; new pictures are copied from the images bucket.

        Args:
            unit: entries of one annotator with the same unit are undone together, such as an import in
                several parts.

        Raises:
            UnknownPictures: some are in neither bucket; then nothing is written.
        """
        given = list(labels)
        missing = _absent(self.pictures, dict.fromkeys(label.id for label in given))
        unknown = _absent(self._images, missing)
        if unknown:
            raise UnknownPictures(unknown)
        for _ in in_threads(self._copy, missing, _NUM_THREADS):
            pass
        # Nanoseconds order the log; the rest separates two writers in the same nanosecond.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        entry_body = {"labels": [asdict(label) for label in given], "source": source, "unit": unit}
        self._append(name, {"action": "label", **entry_body, "annotator": annotator})
        return name

    def _copy(self, picture_id: str) -> None:
        """Copy a picture of the images bucket into this set."""
        entry = self._images.entry(picture_id)
        provenance = self._images.provenance(entry)
        self.pictures.add(picture_id, self._images.read(entry), entry.extension, provenance)

    def undo(self, annotator: str) -> dict[str, Any]:
        """Undo this annotator's last active entry.

        Returns:
            {"entries": ids, "labels": […], "annotator"}: one entry, or all those of its unit.

        Raises:
            NothingToUndo: the annotator has no active entry.
        """
        while True:
            own = [(name, entry) for name, entry in self._in_force() if entry["annotator"] == annotator]
            if not own:
                raise NothingToUndo(f"no label of {annotator!r} is left to take back")
            unit = own[-1][1].get("unit")
            chosen = [item for item in own if item is own[-1] or (unit and item[1].get("unit") == unit)]
            undone = [(name, entry) for name, entry in chosen if self._toggle(name, "undo", annotator)]
            if undone:  # otherwise another request was faster, and the state has changed
                labels = [label for _, entry in undone for label in entry["labels"]]
                return {"entries": [name for name, _ in undone], "labels": labels, "annotator": annotator}

    def restore(self, entry_id: str, annotator: str) -> dict[str, Any]:
        """Restore an undone entry at its old place in the log and return it.

        Raises:
            UnknownEntry: there is no such entry.
            NotUndone: it is active.
        """
        entry = self._read_log().get(entry_id)
        if entry is None or entry["action"] != "label":
            raise UnknownEntry(entry_id)
        if entry_id in dict(self._in_force()) or not self._toggle(entry_id, "restore", annotator):
            raise NotUndone(f"entry {entry_id} is in force")
        return {"entry": entry_id, **entry}

    def _toggle(self, entry_id: str, action: str, annotator: str) -> bool:
        """Write the next undo or restore of an entry; return False if somebody else has just written it."""
        toggles = _toggles(self._read_log())[entry_id]
        if (action == "undo") == bool(len(toggles) % 2):
            return False
        name = f"{entry_id}.{len(toggles):04d}"
        return self._append(name, {"action": action, "of": entry_id, "annotator": annotator})

    def current(self) -> dict[str, dict[str, Any]]:
        """Return id → {"label", "split", "why", "annotator", "at"}, without withdrawn pictures."""
        latest: dict[str, dict[str, Any]] = {}
        gone = self.withdrawn()
        for _, entry in self._in_force():
            for label in entry["labels"]:
                latest[label["id"]] = {
                    "label": label["label"],
                    "split": label["split"],
                    "why": label.get("why"),
                    "annotator": entry["annotator"],
                    "at": entry["at"],
                }
        return {picture_id: label for picture_id, label in latest.items() if picture_id not in gone}

    def disagreements(self) -> list[dict[str, Any]]:
        """Return pictures labelled differently: {"id", "labels": [{"label", "annotator", "at"}]}.

        Each annotator's latest label counts; the annotator of the latest of all comes last.
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
            if picture_id not in gone and len({opinion["label"] for opinion in said.values()}) > 1
        ]

    def withdrawn(self) -> set[str]:
        """Return the ids of withdrawn pictures."""
        return set(withdrawn_ids(self._store))

    def remove_withdrawn(self) -> list[str]:
        """Delete the copies of withdrawn pictures and return their ids; the log keeps their labels."""
        return remove(self.pictures, self.withdrawn())

    def _in_force(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the active labelling entries, oldest first, with their ids."""
        entries = self._read_log()
        toggles = _toggles(entries)
        return [
            (name, entry)
            for name, entry in sorted(entries.items())
            if entry["action"] == "label" and len(toggles[name]) % 2 == 0
        ]

    def _read_log(self) -> dict[str, dict[str, Any]]:
        """Return all entries by id; only new ones are downloaded."""
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
        """Write an entry once; return False if one of that name exists."""
        entry = entry | {"at": datetime.now(UTC).isoformat(timespec="seconds")}
        return self._store.put_json(Bucket.LABELS, f"{_LOG}{name}.json", entry, only_if_absent=True)


def _toggles(entries: dict[str, dict[str, Any]]) -> defaultdict[str, set[str]]:
    """Map entry ids to the names of their undos and restores: an odd number means undone."""
    marks: defaultdict[str, set[str]] = defaultdict(set)
    for name, entry in entries.items():
        if entry["action"] in ("undo", "restore"):
            marks[entry["of"]].add(name)
    return marks


def counts(labels: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count labels by split and label."""
    counts = {split: dict.fromkeys(LABELS, 0) for split in SPLITS}
    for label in labels.values():
        counts[label["split"]][label["label"]] += 1
    return counts


def _absent(pictures: PictureBucket, ids: Iterable[str]) -> list[str]:
    """Return the ids that the bucket does not have."""
    looked_up = in_threads(pictures.has, ids, _NUM_THREADS)
    return [picture_id for picture_id, is_there in looked_up if not is_there]
