"""Read the pictures of a request in any of the supported forms."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request

from pika_kit.images import PictureError
from pika_kit.problems import Problem
from pika_kit.strictness import unknown_fields

_FORMS = (
    "the bytes of one picture (image/*, application/octet-stream), files as multipart/form-data, each in a "
    'field "file", or JSON {"image": base64} or {"images": [base64, …]}'
)
_FILE = "file"
_SPACE = re.compile(r"\s+")
# curl's default for --data-binary; the content decides anyway.
_RAW_TYPES = {"", "application/octet-stream", "application/x-www-form-urlencoded"}
_NO_PICTURE = {"not_a_picture", "unsupported_format"}


@dataclass(frozen=True)
class Received:
    """The pictures of a request: `pictures` yields each one's bytes, in order.

    `is_many`: answer with a list. It depends on the form of the request only, not on the number of pictures.
    """

    pictures: Iterator[bytes | Problem]
    is_many: bool


def read_pictures(request: Request, most: int) -> Received:
    """Read the request's pictures, up to a limit.

    Raises:
        Problem: the request contains no picture, or its type is not supported.
    """
    mimetype = request.mimetype
    if mimetype == "multipart/form-data":
        check_form(request)
        files = request.files.getlist(_FILE)
        _check_number(len(files), most, "files")
        return Received((file.stream.read() for file in files), True)
    if mimetype == "application/json":
        return _from_json(request.get_json(), most)
    if mimetype in _RAW_TYPES or mimetype.startswith("image/"):
        return Received(iter([request.get_data(parse_form_data=False)]), False)
    raise Problem(
        415, "not-a-picture", "Not a picture", f"Expected {_FORMS}.", expected=_FORMS, received=mimetype
    )


def check_form(request: Request) -> None:
    """Raise Problem for a form with anything besides files in the field "file"."""
    unknown = (set(request.form) | set(request.files)) - {_FILE} | (set(request.form) & {_FILE})
    if unknown:
        raise unknown_fields(
            unknown, 'Files are sent in the field "file"; everything else is a query parameter.'
        )


def picture_problem(error: PictureError) -> Problem:
    """Build the problem for unreadable bytes: 415 for no picture at all, 422 for a damaged one."""
    if error.code in _NO_PICTURE:
        status, type, title = 415, "not-a-picture", "Not a picture that is read here"
    else:
        status, type, title = 422, "picture-unreadable", "The picture cannot be read"
    return Problem(status, type, title, error.detail, reason=error.code)


def _from_json(body: Any, most: int) -> Received:
    if not isinstance(body, dict) or len(body) != 1 or not {"image", "images", "url"} & body.keys():
        keys = sorted(body)[:5] if isinstance(body, dict) else type(body).__name__
        raise Problem(
            422, "request-invalid", "The request does not fit", f"Expected {_FORMS}.", received=keys
        )
    if "url" in body:
        raise Problem(
            422,
            "url-not-allowed",
            "Pictures are not fetched from addresses here",
            'Send the picture itself: its bytes, or JSON {"image": base64}.',
        )
    if "image" in body:
        return Received(iter([_decoded(body["image"])]), False)
    if not isinstance(body["images"], list):
        received = type(body["images"]).__name__
        raise Problem(
            422, "request-invalid", "The request does not fit", "images: expected a list", received=received
        )
    _check_number(len(body["images"]), most, "images")
    return Received((_decoded(text) for text in body["images"]), True)


def _decoded(text: Any) -> bytes | Problem:
    """Decode base64, also as a data URL or in lines. Return (not raise) a Problem if invalid."""
    try:
        if not isinstance(text, str):
            raise ValueError(f"received {type(text).__name__}")
        if text.startswith("data:"):
            text = text.partition(",")[2]
        return base64.b64decode(_SPACE.sub("", text), validate=True)
    except (ValueError, binascii.Error) as error:
        return Problem(
            422, "picture-unreadable", "The picture cannot be read", f"Expected base64: {error}",
            reason="not_base64",
        )  # fmt: skip


def _check_number(number: int, most: int, what: str) -> None:
    if not 1 <= number <= most:
        raise Problem(
            422,
            "request-invalid",
            "The request does not fit",
            f"Expected 1 to {most} {what}; received {number}.",
            expected=f"1–{most}",
            received=number,
        )
