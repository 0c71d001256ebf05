"""JSON objects that several processes change: compare-and-swap on any store with conditional writes."""

import json
import random
import time
from collections.abc import Callable
from typing import Any, Protocol

from pika_kit.stages import Bucket


class JsonStore(Protocol):
    """The store methods that `update` needs."""

    def read_json(self, bucket: Bucket, key: str, default: Any) -> tuple[Any, str | None]: ...

    def put(
        self,
        bucket: Bucket,
        key: str,
        data: bytes,
        *,
        content_type: str,
        only_if_absent: bool,
        only_if_etag: str | None,
    ) -> bool: ...


def update_json(
    store: JsonStore, bucket: Bucket, key: str, change: Callable[[Any], Any], default: Any
) -> Any:
    """See `Store.update_json`; a function of its own, because the unit tests' store uses it too."""
    written: bytes | None = None
    while True:
        value, etag = store.read_json(bucket, key, default)
        if written is not None and to_json(value) == written:
            return value  # the write succeeded and only its response was lost
        new = change(value)
        written = to_json(new)
        if store.put(
            bucket,
            key,
            written,
            content_type="application/json",
            only_if_absent=etag is None,
            only_if_etag=etag,
        ):
            return new
        time.sleep(random.uniform(0.005, 0.05))


def to_json(value: Any) -> bytes:
    """Encode as UTF-8 with sorted keys: equal values give equal bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
