"""Where a picture was found: one record for each origin, its fields checked on the way in."""

from datetime import UTC, datetime
from typing import Any

ORIGIN_FIELDS = (
    *("source", "query", "name", "url", "page", "licence", "licence_url", "author", "time", "job"),
    "note",
)
_ADDRESSES = ("page", "licence_url")
_IDENTITY = ("source", "name", "url")


def make_origin(source: str, *, job: str | None = None, **fields: str | None) -> dict[str, Any]:
    """Where a picture was found, by ORIGIN_FIELDS; None where unknown.

    Sources pass on what strangers wrote: an address is one of http or https, or nothing.
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
    """Those of `origins` that name the same place: the same source, name and address."""
    return [found for found in origins if all(found.get(key) == origin[key] for key in _IDENTITY)]


def with_origins_of_both(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Of two processes that save a picture at once both origins stay; the own one of before a kill is one."""
    origins = list(old["origins"])
    origins += [origin for origin in new["origins"] if not same_origins(origins, origin)]
    return new | {"origins": origins}
