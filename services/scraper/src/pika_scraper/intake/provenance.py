"""Where a picture was found: one record per origin, with every field validated."""

from datetime import UTC, datetime
from typing import Any

ORIGIN_FIELDS = (
    *("source", "query", "name", "url", "page", "licence", "licence_url", "author", "time", "job"),
    "note",
)
_ADDRESSES = ("page", "licence_url")
_IDENTITY = ("source", "name", "url")


def make_origin(source: str, *, job: str | None = None, **fields: str | None) -> dict[str, Any]:
    """Build an origin from ORIGIN_FIELDS; unknown fields are None.

    Sources pass on untrusted text: addresses must be http or https, otherwise they are dropped.
    """
    unknown = set(fields) - set(ORIGIN_FIELDS)
    if unknown:
        raise ValueError(
            f"expected the fields {', '.join(ORIGIN_FIELDS)}, received {', '.join(sorted(unknown))}"
        )
    origin: dict[str, Any] = dict.fromkeys(ORIGIN_FIELDS)
    for name in _ADDRESSES:
        if not str(fields.get(name) or "").startswith(("http://", "https://")):
            fields[name] = None
    return (
        origin
        | fields
        | {"source": source, "job": job, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    )


def same_origins(origins: list[dict[str, Any]], origin: dict[str, Any]) -> list[dict[str, Any]]:
    """Return those of `origins` that name the same place: the same source, name and address."""
    return [other for other in origins if all(other.get(key) == origin[key] for key in _IDENTITY)]


def with_origins_of_both(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Merge the origins of two processes that save a picture at once; the same origin counts once."""
    origins = list(old["origins"])
    origins += [origin for origin in new["origins"] if not same_origins(origins, origin)]
    return new | {"origins": origins}
