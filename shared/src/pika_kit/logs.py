"""JSON logs, one object per line, for `jq` and log collectors.

    {"at": "2026-11-26T06:45:31.120Z", "level": "info", "logger": "pika_gan.jobs", "message": "…",
     "request_id": "…", "job_id": "…"}

`request_id` is present while a request is handled and matches the gateway's log; `job_id` is present in the
process that runs a job.
"""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Context = Callable[[], dict[str, str]]
"""What is going on at the moment, as fields of a line."""


class JsonFormatter(logging.Formatter):
    """Format a record as one line, with the fields that `context` returns at that moment."""

    def __init__(self, context: Context = dict) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without a newline."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._context(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(context: Context = dict) -> None:
    """Send this process's log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(context))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
