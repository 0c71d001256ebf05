"""The object store's two errors that callers can act on: nothing there, and not now."""

from http import HTTPStatus

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, ResponseError

_MISSING_CODES = {"NoSuchKey", "NoSuchBucket", "NoSuchObject", "ResourceNotFound"}
# The store is reachable but cannot serve now: full, starting up, or throttling.
_AWAY_CODES = {
    *("XMinioStorageFull", "XMinioServerNotInitialized", "InternalError", "ServiceUnavailable"),
    *("SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout", "OperationAborted"),
}


class ObjectMissing(KeyError):
    """The bucket has no object with that key."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"{bucket}/{key}")
        self.bucket, self.key = bucket, key


class StoreUnavailable(ConnectionError):
    """The object store did not answer, or answered that it cannot serve now."""


class translated:  # noqa: N801 — reads as a statement
    """Translate the client's two actionable errors; a class, so that generators can use it too."""

    def __init__(self, bucket: str, key: str) -> None:
        self.bucket, self.key = bucket, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, S3Error) and error.code in _MISSING_CODES:
            raise ObjectMissing(self.bucket, self.key) from error
        if isinstance(error, S3Error) and error.code in _AWAY_CODES:
            raise StoreUnavailable(f"the object store cannot serve now: {error.code}") from error
        status = _failing_status(error)
        if status is not None:
            raise StoreUnavailable(f"the object store cannot serve now: HTTP status {status}") from error
        if isinstance(error, HTTPError | ConnectionError) and not isinstance(error, StoreUnavailable):
            raise StoreUnavailable(f"the object store does not answer: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return what a person can search for: the kind of fault, or the status that repeating did not change."""
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    return str(cause) if isinstance(cause, ResponseError) else type(cause).__name__


def _failing_status(error: BaseException | None) -> int | None:
    """Return the HTTP status of an answer that says "later" and is not S3's; None for anything else.

    A proxy in front of a store that restarts answers with a page of its own.
    """
    if isinstance(error, ServerError):
        return error.status_code
    if isinstance(error, InvalidResponseError):
        status: int = error._code  # the client has no other way to ask
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return status
    return None
