"""Small objects → the store in one request each, with conditions and metadata.

The `minio` client's `put_object` cannot send a condition, and its presigned URLs cannot carry metadata: an
`x-amz-` header must be signed. Here the client's own signer signs the request with all its headers.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from urllib.parse import SplitResult, quote, urlsplit
from xml.etree import ElementTree

import urllib3
from minio import Minio
from minio.credentials import Provider
from minio.error import InvalidResponseError, S3Error
from minio.signer import sign_v4_s3
from minio.time import to_amz_date

METADATA_PREFIX = "x-amz-meta-"
MAX_METADATA_BYTES = 2048
"""What S3 accepts for all names and values of one object."""

# The connection's checksums, or its TLS, protect the bytes; hashing them for the signature is not needed.
_UNSIGNED = "UNSIGNED-PAYLOAD"
_ALREADY_THERE = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT}
_Headers = dict[str, str | list[str] | tuple[str]]
_CHANGED_OR_GONE = _ALREADY_THERE | {HTTPStatus.NOT_FOUND}


class Uploader:
    """Thread-safe.

    Args:
        client: knows how the store's buckets are addressed.
        pool: sends the requests.
        credentials: of the client.
        region: of the store.
    """

    def __init__(self, client: Minio, pool: urllib3.PoolManager, credentials: Provider, region: str) -> None:
        self._pool, self._credentials, self._region = pool, credentials, region

        @cache
        def base(bucket: str) -> SplitResult:
            """Where the bucket's objects are: depending on the store, its name is in the host or the path."""
            url = urlsplit(client.get_presigned_url("PUT", bucket, "x"))
            return url._replace(path=url.path[:-1], query="")

        self._base = base

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        content_type: str,
        only_if_absent: bool = False,
        only_if_etag: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Write one object atomically; return False, with nothing written, if a condition does not hold.

        Args:
            bucket: its full name.
            key: of the object.
            data: what it will contain.
            content_type: its media type.
            only_if_absent: the key must not exist.
            only_if_etag: the object must still have this ETag.
            metadata: names in lower case → ASCII text without two blanks in a row, which signatures ignore.

        Raises:
            S3Error: the store refused; its code says why.
            InvalidResponseError: what refused is not a store; a proxy, for example.
        """
        headers: _Headers = {"Content-Type": content_type}
        headers |= {METADATA_PREFIX + name: value for name, value in (metadata or {}).items()}
        lost: set[HTTPStatus] = set()
        if only_if_absent:
            headers["If-None-Match"], lost = "*", _ALREADY_THERE
        elif only_if_etag is not None:
            headers["If-Match"], lost = f'"{only_if_etag}"', _CHANGED_OR_GONE
        url = self._base(bucket)
        url = url._replace(path=url.path + quote(key, safe="/~"))
        response = self._pool.request("PUT", url.geturl(), body=data, headers=self._signed(url, headers))
        if response.status in lost:
            return False
        if response.status != HTTPStatus.OK:
            raise _refusal(response)
        return True

    def _signed(self, url: SplitResult, headers: _Headers) -> dict[str, str]:
        credentials, now = self._credentials.retrieve(), datetime.now(UTC)
        headers |= {"Host": url.netloc, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": to_amz_date(now)}
        if credentials.session_token:
            headers["x-amz-security-token"] = credentials.session_token
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=self._region,
            headers=headers,
            credentials=credentials,
            content_sha256=_UNSIGNED,
            date=now,
        )
        return {name: str(value) for name, value in signed.items()}


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    """Convert the store's response to the error that the client would have raised."""
    media_type = response.headers.get("content-type", "")
    with suppress(ElementTree.ParseError, UnicodeDecodeError, ValueError):
        if media_type.startswith(("application/xml", "text/xml")):
            return S3Error.fromxml(response)
    return InvalidResponseError(response.status, media_type, response.data.decode(errors="replace"))
