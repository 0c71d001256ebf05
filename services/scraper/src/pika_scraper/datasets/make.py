"""Create a data set: the pictures of a bucket that match some conditions now."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from pika_kit import datasets
from pika_kit.pictures import PictureBucket, PictureEntry
from pika_kit.runner import JobContext
from pika_kit.stages import Bucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads
from pika_kit.withdrawn import withdrawn_ids

_NUM_THREADS = 8


@dataclass(frozen=True)
class Conditions:
    """Conditions on a picture. An empty one matches everything.

    A picture may have several origins and matches if one of them does: if the same file exists under two
    licences, the suitable one can be chosen. Licences are compared by prefix, ignoring case: `by` also
    matches `by 4.0` and `by-nc 2.0`.
    """

    sources: tuple[str, ...] = ()
    without_sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    without_licences: tuple[str, ...] = ()
    without_flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Conditions":
        """Create from JSON; lists become tuples, missing fields are empty."""
        return cls(**{one.name: tuple(given.get(one.name) or ()) for one in fields(cls)})

    def hold(self, provenance: dict[str, Any]) -> bool:
        """Return whether a picture with this provenance matches."""
        if set(self.without_flags).intersection(provenance.get("flags") or ()):
            return False
        if not any((self.sources, self.without_sources, self.licences, self.without_licences)):
            return True
        return any(self._fits(origin) for origin in provenance.get("origins") or ())

    def _fits(self, origin: dict[str, Any]) -> bool:
        source, licence = str(origin.get("source") or ""), str(origin.get("licence") or "").lower()
        if source in self.without_sources or (self.sources and source not in self.sources):
            return False
        if any(licence.startswith(one.lower()) for one in self.without_licences):
            return False
        return not self.licences or any(licence.startswith(one.lower()) for one in self.licences)


def make_dataset(context: JobContext, name: str, bucket: Bucket, where: Conditions) -> datasets.Manifest:
    """Write the next version of the data set `name` with the matching pictures of a bucket."""
    pictures = PictureBucket(context.store, bucket)
    gone = set(withdrawn_ids(context.store))
    candidates = [entry for entry in pictures.entries() if entry.picture_id not in gone]

    unattached = pictures.unattached()

    def provenance(entry: PictureEntry) -> dict[str, Any] | None:
        try:
            return pictures.provenance(entry, unattached)
        except ObjectMissing:
            return None  # deleted since it was listed

    chosen = []
    for done, (entry, known) in enumerate(in_threads(provenance, candidates, _NUM_THREADS), 1):
        if known is not None and where.hold(known):
            chosen.append((entry.picture_id, entry.etag))
        context.progress(done, len(candidates), f"choosing pictures of {bucket.value}", chosen=len(chosen))
    kept = {name: list(values) for name, values in asdict(where).items() if values}
    return datasets.save(context.store, name, bucket, kept, chosen)
