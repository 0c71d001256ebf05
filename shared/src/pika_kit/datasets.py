"""Data sets: immutable lists of pictures with a name and a version, so that a training run can be repeated.

    images bucket: datasets/<name>/v3.json     a `Manifest`

`pictures` holds pairs of a picture's id and the ETag of its stored bytes. Withdrawn pictures stay in the
manifest, which is a record; readers leave them out.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pika_kit.stages import Bucket
from pika_kit.storage import Store
from pika_kit.store_errors import ObjectMissing
from pika_kit.withdrawn import withdrawn_ids

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}(/v[1-9][0-9]{0,8})?$"
_PREFIX = "datasets/"
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")


class UnknownDataset(LookupError):
    """There is no data set with this name and version."""


@dataclass(frozen=True)
class Manifest:
    """One version of a data set.

    Attributes:
        bucket: where its pictures are stored, "images" or "pikachu".
        where: the conditions that selected its pictures when it was made.
        sha256: hash over the sorted lines `id etag`; equal for equal pictures.
    """

    name: str
    version: str
    bucket: str
    where: dict[str, Any]
    made_at: str
    sha256: str
    pictures: list[tuple[str, str]] = field(repr=False)

    @property
    def reference(self) -> str:
        """The full name, `name/version`."""
        return f"{self.name}/{self.version}"

    @property
    def ids(self) -> list[str]:
        """The ids of all its pictures, including withdrawn ones."""
        return [picture_id for picture_id, _ in self.pictures]

    def summary(self) -> dict[str, Any]:
        """Everything except the pictures, which are only counted."""
        told = {name: value for name, value in asdict(self).items() if name != "pictures"}
        return told | {"num_pictures": len(self.pictures)}


def save(
    store: Store, name: str, bucket: Bucket, where: dict[str, Any], pictures: Iterable[tuple[str, str]]
) -> Manifest:
    """Write the next version, or return the latest one if it holds the same pictures."""
    listed = sorted(pictures)
    digest = hashlib.sha256("".join(f"{one} {etag}\n" for one, etag in listed).encode()).hexdigest()
    while True:
        known = versions_of(store, name)
        if known:
            latest = load(store, f"{name}/{known[-1]}")
            if (latest.sha256, latest.bucket, latest.where) == (digest, bucket.value, where):
                return latest
        version = f"v{_number(known[-1]) + 1 if known else 1}"
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        made = Manifest(name, version, bucket.value, where, made_at, digest, listed)
        # Another job has just written this version: try the next number.
        if store.put_json(Bucket.IMAGES, _key(name, version), asdict(made), only_if_absent=True):
            return made


def load(store: Store, reference: str) -> Manifest:
    """Read a data set by `name/version`, or the latest version by `name`. Raises UnknownDataset."""
    name, _, version = reference.partition("/")
    if not version:
        known = versions_of(store, name)
        if not known:
            raise UnknownDataset(reference)
        version = known[-1]
    try:
        manifest = store.get_json(Bucket.IMAGES, _key(name, version))
    except ObjectMissing:
        raise UnknownDataset(reference) from None
    return Manifest(**manifest | {"pictures": [(one, etag) for one, etag in manifest["pictures"]]})


def usable_ids(store: Store, manifest: Manifest) -> list[str]:
    """Return the ids of a data set's pictures without those withdrawn since it was made."""
    gone = set(withdrawn_ids(store))
    return [picture_id for picture_id in manifest.ids if picture_id not in gone]


def versions_of(store: Store, name: str) -> list[str]:
    """List the versions of a data set, oldest first."""
    prefix = f"{_PREFIX}{name}/"
    versions = [
        info.key.removeprefix(prefix).removesuffix(".json") for info in store.list(Bucket.IMAGES, prefix)
    ]
    return sorted((version for version in versions if _VERSION.fullmatch(version)), key=_number)


def names(store: Store) -> list[str]:
    """List the names of all data sets in alphabetical order."""
    return sorted({info.key.split("/")[1] for info in store.list(Bucket.IMAGES, _PREFIX)})


def _number(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match.group(1)) if match else 0


def _key(name: str, version: str) -> str:
    return f"{_PREFIX}{name}/{version}.json"
