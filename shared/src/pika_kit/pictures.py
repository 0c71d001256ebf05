"""A bucket of pictures with their provenance: `pictures/<id>.<extension>`.

The id is the SHA-256 of the original bytes in every bucket, so that a square in `images` or `pikachu` leads
back to the file in `raw` it was cut from.

Provenance is attached to the picture's object as metadata, so that one request writes both: a listed picture
is complete and has its provenance, and an interrupted `add` leaves nothing. What is too long for metadata, or
changed later, is an object of its own, `provenance/<id>.json`, which then holds all of it.
"""

import json
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Any

from pika_kit.images import CONTENT_TYPES, EXTENSIONS
from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.uploads import MAX_METADATA_BYTES

_Bytes = bytes  # `list` is a method below
_ATTACHED = "provenance"
"""The name of the metadata."""
_ID = re.compile(r"[0-9a-f]{64}")
Merge = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
_CONTENT_TYPE_BY_EXTENSION = {EXTENSIONS[name]: CONTENT_TYPES[name] for name in EXTENSIONS}


@dataclass(frozen=True)
class PictureEntry:
    """One picture in a listing; `size` in bytes, `etag` of its object."""

    picture_id: str
    extension: str
    size: int
    etag: str

    @property
    def content_type(self) -> str:
        """The media type of the extension."""
        return _CONTENT_TYPE_BY_EXTENSION[self.extension]


class PictureBucket:
    """The pictures of one bucket. Thread-safe."""

    def __init__(self, store: Store, bucket: Bucket) -> None:
        self.store, self.bucket = store, bucket

    def add(
        self,
        picture_id: str,
        data: _Bytes,
        extension: str,
        provenance: dict[str, Any],
        merge: Merge = lambda _old, new: new,
    ) -> bool:
        """Save a picture unless it exists; return False, with nothing written, if it does.

        Args:
            merge: for provenance too long to be attached: (one found without a picture, the given one) → what
                to keep. It was left by an interrupted `add`, or by one in progress in another process.
        """
        _check_id(picture_id)
        if extension not in _CONTENT_TYPE_BY_EXTENSION:
            expected = ", ".join(sorted(_CONTENT_TYPE_BY_EXTENSION))
            raise ValueError(f"expected one of the extensions {expected}, received {extension!r}")
        metadata = _attachable(provenance)
        if metadata is None:
            if self.has(picture_id):
                return False
            self.store.update_json(
                self.bucket,
                _provenance_key(picture_id),
                lambda old: provenance if old is None else merge(old, provenance),
                None,
            )
        return self.store.put(
            self.bucket,
            f"pictures/{picture_id}.{extension}",
            data,
            content_type=_CONTENT_TYPE_BY_EXTENSION[extension],
            only_if_absent=True,
            metadata=metadata,
        )

    def write(self, picture_id: str, data: _Bytes, extension: str, provenance: dict[str, Any]) -> None:
        """Save or overwrite a picture; for a sole writer that always writes the same for one id."""
        _check_id(picture_id)
        metadata = _attachable(provenance)
        if metadata is None:
            self.set_provenance(picture_id, provenance)
        self.store.put(
            self.bucket,
            f"pictures/{picture_id}.{extension}",
            data,
            content_type=_CONTENT_TYPE_BY_EXTENSION[extension],
            metadata=metadata,
        )

    def entries(self, start_after: str = "", limit: int | None = None) -> Iterator[PictureEntry]:
        """List at most `limit` pictures in the order of their ids, starting after the id `start_after`."""
        # "~" sorts after every extension, so that the named picture itself is excluded.
        after = f"pictures/{start_after}~" if start_after else ""
        for count, info in enumerate(self.store.list(self.bucket, "pictures/", start_after=after)):
            if limit is not None and count >= limit:
                return
            picture_id, _, extension = info.key.removeprefix("pictures/").partition(".")
            yield PictureEntry(picture_id, extension, info.size, info.etag)

    def ids(self, start_after: str = "") -> Iterator[str]:
        """Iterate over the ids in order, starting after the id `start_after`."""
        return (entry.picture_id for entry in self.entries(start_after))

    def entry(self, picture_id: str) -> PictureEntry:
        """Return one picture's entry. Raises ObjectMissing."""
        _check_id(picture_id)
        for entry in self.store.list(self.bucket, f"pictures/{picture_id}."):
            return PictureEntry(picture_id, entry.key.rpartition(".")[2], entry.size, entry.etag)
        raise ObjectMissing(str(self.bucket), f"pictures/{picture_id}")

    def bytes(self, picture_id: str) -> _Bytes:
        """Return the picture's bytes as saved. Raises ObjectMissing."""
        return self.read(self.entry(picture_id))

    def read(self, entry: PictureEntry) -> _Bytes:
        """Return a listed picture's bytes without looking up its extension. Raises ObjectMissing."""
        return self.store.get(self.bucket, f"pictures/{entry.picture_id}.{entry.extension}")

    def unattached(self) -> set[str]:
        """Return the ids whose provenance is an object of its own, for many calls of `provenance`."""
        keys = (info.key for info in self.store.list(self.bucket, "provenance/"))
        return {key.removeprefix("provenance/").removesuffix(".json") for key in keys}

    def provenance(
        self, picture: str | PictureEntry, unattached: Container[str] | None = None
    ) -> dict[str, Any]:
        """Return where a picture came from and what is known about it. Raises ObjectMissing.

        Args:
            picture: its id; or its entry in a listing, which saves looking up the extension.
            unattached: what `unattached` returned a moment ago, which saves a request for most pictures.
        """
        picture_id = picture if isinstance(picture, str) else picture.picture_id
        _check_id(picture_id)
        try:
            if unattached is not None and picture_id not in unattached:
                raise ObjectMissing(str(self.bucket), _provenance_key(picture_id))
            provenance = self.store.get_json(self.bucket, _provenance_key(picture_id))
        except ObjectMissing:
            provenance = self._attached(self.entry(picture) if isinstance(picture, str) else picture)
        if not isinstance(provenance, dict):
            raise ValueError(
                f"expected a JSON object as provenance of {picture_id}, received {type(provenance)}"
            )
        return provenance

    def set_provenance(self, picture_id: str, provenance: dict[str, Any]) -> None:
        """Overwrite the provenance."""
        _check_id(picture_id)
        self.store.put_json(self.bucket, _provenance_key(picture_id), provenance)

    def update_provenance(
        self, picture_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Change the provenance without losing another process's change; return the new one.

        See `Store.update_json`.

        Raises:
            ObjectMissing: there is none.
        """
        _check_id(picture_id)

        def change_found(old: dict[str, Any] | None) -> dict[str, Any]:
            return change(self._attached(self.entry(picture_id)) if old is None else old)

        key = _provenance_key(picture_id)
        new: dict[str, Any] = self.store.update_json(self.bucket, key, change_found, None)
        if not self.has(picture_id):  # deleted meanwhile: nothing may remain of it
            self.store.delete(self.bucket, key)
            raise ObjectMissing(str(self.bucket), key)
        return new

    def _attached(self, entry: PictureEntry) -> Any:
        """Read what the picture's object carries. Raises ObjectMissing."""
        key = f"pictures/{entry.picture_id}.{entry.extension}"
        text = self.store.stat(self.bucket, key).metadata.get(_ATTACHED)
        if text is None:
            raise ObjectMissing(str(self.bucket), _provenance_key(entry.picture_id))
        return json.loads(text)

    def has(self, picture_id: str) -> bool:
        """Return whether the picture exists."""
        try:
            self.entry(picture_id)
        except ObjectMissing:
            return False
        return True

    def delete(self, picture_id: str) -> None:
        """Remove the picture, then its provenance; removing a missing one is not an error."""
        try:
            entry = self.entry(picture_id)
        except ObjectMissing:
            pass
        else:
            self.store.delete(self.bucket, f"pictures/{picture_id}.{entry.extension}")
        self.store.delete(self.bucket, _provenance_key(picture_id))

    def count(self) -> int:
        """Count the pictures by listing all of them."""
        return sum(1 for _ in self.entries())


def is_picture_id(text: str) -> bool:
    """Return whether the text has the form of a picture's id: 64 lower-case hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def _provenance_key(picture_id: str) -> str:
    return f"provenance/{picture_id}.json"


def _attachable(provenance: dict[str, Any]) -> dict[str, str] | None:
    """Return provenance as metadata, which is ASCII; None if it is too long."""
    # Signatures count several blanks as one, so there are never two.
    text = json.dumps(provenance, sort_keys=True, separators=(",", ":")).replace("  ", " \\u0020")
    return {_ATTACHED: text} if len(_ATTACHED) + len(text) <= MAX_METADATA_BYTES else None


def _check_id(picture_id: str) -> None:
    if not is_picture_id(picture_id):
        raise ValueError(
            f"expected a SHA-256 of 64 hexadecimal digits as picture id, received {picture_id!r}"
        )
