"""Why something that looked like a picture was rejected."""

from pika_kit.zips import Refused

__all__ = ["Refused", "SourceError"]


class SourceError(Exception):
    """A source as a whole cannot be used: a bad argument, a folder outside the allowed ones, not a zip.

    `code` is stable: "source-unknown", "source-arguments", "location-forbidden", "location-missing",
    "zip-unreadable", "list-unreadable".
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
