"""Why something that looked like a picture was not taken."""


class Refused(Exception):
    """One candidate is refused, the others go on. `code` is stable and counted, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class SourceError(Exception):
    """A whole source cannot be used as asked: a wrong argument, a folder outside the allowed ones, no zip.

    `code` is stable: "source-unknown", "source-arguments", "location-forbidden", "location-missing",
    "zip-unreadable", "list-unreadable".
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
