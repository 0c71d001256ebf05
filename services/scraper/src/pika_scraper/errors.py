"""Why something that looked like a picture was not taken."""

from pika_kit.zips import Refused

__all__ = ["Refused", "SourceError"]


class SourceError(Exception):
    """A whole source cannot be used as asked: a wrong argument, a folder outside the allowed ones, no zip.

    `code` is stable: "source-unknown", "source-arguments", "location-forbidden", "location-missing",
    "zip-unreadable", "list-unreadable".
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
