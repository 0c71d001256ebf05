"""The body of `POST /images` → verified pictures in raw, with a result for each file.

Bodies are spooled to a file, so that sixteen concurrent uploads do not need sixteen times their size in
memory.
"""

import atexit
import hashlib
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, cast

from flask import Request

from pika_kit.images import PictureError
from pika_kit.pictures import PictureBucket
from pika_kit.queue import JobView
from pika_kit.received import check_form
from pika_kit.service import Problem, ServiceState, once_of
from pika_kit.settings import Settings
from pika_kit.stages import Bucket
from pika_kit.threads import usable_cores
from pika_kit.zips import BadZip, SafeZip, label
from pika_scraper.config import MAX_PICTURE_BYTES, InlineLimits, RequestLimits
from pika_scraper.errors import Refused, SourceError
from pika_scraper.intake.provenance import make_origin
from pika_scraper.intake.take import Taken, take
from pika_scraper.intake.verify import Decoders
from pika_scraper.views.scrape import source_problem

_SPOOL_BYTES = 2**20
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_TOO_LARGE = {"too_large", "request_too_large", "request_too_slow"}
_NO_PICTURE = {"not_a_picture", "unsupported_format"}
_MAX_DECODERS = 2


@cache
def _decoders() -> Decoders:
    """Return this process's decoders; they end with it."""
    decoders = Decoders(min(usable_cores(), _MAX_DECODERS))
    atexit.register(decoders.close)
    return decoders


@dataclass(frozen=True)
class Upload:
    """One received file, rewound."""

    name: str
    file: IO[bytes]
    is_body: bool

    def is_zip(self) -> bool:
        """Return whether it starts like a zip."""
        head = self.file.read(4)
        self.file.seek(0)
        return head in _ZIP_MAGIC


@contextmanager
def received_files(request: Request, settings: Settings) -> Iterator[list[Upload]]:
    """Open the request's files in order for a `with` block. Raises Problem if there are none."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if request.mimetype == "multipart/form-data":
            check_form(request)
            uploads = [
                Upload(label(file.filename or "file"), file.stream, is_body=False)
                for file in request.files.getlist("file")
            ]
        else:
            spool = stack.enter_context(
                tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=str(settings.state_dir))
            )
            shutil.copyfileobj(request.stream, spool)
            spool.seek(0)
            uploads = [Upload("body", cast(IO[bytes], spool), is_body=True)]
        if not uploads:
            raise Problem(
                422,
                "no-files",
                "No files",
                "Expected a picture or a zip as the body, or files as multipart/form-data; received none.",
            )
        yield uploads


def zip_as_job(
    uploads: list[Upload], service: ServiceState, then_prepare: bool
) -> tuple[JobView, bool] | None:
    """Start a job for a single zip that is large or to be prepared; None if it can be processed at once.

    Returns:
        The job, and whether an earlier request with the same idempotency key started it.
    """
    if len(uploads) != 1 or not uploads[0].is_zip():
        return None
    file = uploads[0].file
    with _opened(file) as archive:
        if _is_small(archive) and not then_prepare:
            return None
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    once = once_of({"zip": digest, "prepare": then_prepare})
    earlier = service.queue.find(once) if once else None
    if earlier:
        return earlier, True
    # A unique name rather than the hash: each job deletes its upload when it ends.
    key = f"uploads/{uuid.uuid4().hex}.zip"
    with tempfile.NamedTemporaryFile(dir=service.settings.state_dir) as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        service.store.put_file(Bucket.RAW, key, Path(copy.name), content_type="application/zip")
    arguments = {"source": "zip", "upload": key, "then_prepare": then_prepare}
    was_there = True
    try:
        if once is None:
            view, was_there = service.queue.enqueue("scrape", arguments), False
        else:
            view, was_there = service.queue.enqueue_once("scrape", arguments, once)
    finally:
        if was_there:  # it has no job, or is a repeated request's copy
            service.store.delete(Bucket.RAW, key)
    return view, was_there


def answer_uploads(uploads: list[Upload], raw: PictureBucket) -> tuple[dict[str, Any], int]:
    """Take every file, including those inside zips; return the response's body and status.

    Raises:
        Problem: the body itself is a picture or a zip and is rejected.
    """
    answers: list[dict[str, Any]] = []
    budget = _Budget(RequestLimits())
    num_hidden = 0
    for upload in uploads:
        if not upload.is_zip():
            answers.append(
                _answer(raw, upload.name, partial(upload.file.read, MAX_PICTURE_BYTES + 1), budget)
            )
            continue
        try:
            with _opened(upload.file) as archive:
                _require_small(archive)
                num_hidden += archive.num_hidden
                for entry in archive.entries:
                    answers.append(_answer(raw, label(entry.filename), partial(archive.read, entry), budget))
        except Problem as problem:
            if upload.is_body:
                raise
            answers.append({"name": upload.name, "problem": problem})
    if uploads[0].is_body and not uploads[0].is_zip() and "problem" in answers[0]:
        raise answers[0]["problem"]
    reasons = Counter(answer["problem"].body["reason"] for answer in answers if "problem" in answer)
    counts = {
        "looked_at": len(answers),
        "taken": sum(answer.get("duplicate") is False for answer in answers),
        "exact_duplicates": sum(answer.get("duplicate") is True for answer in answers),
        "refused": reasons.total(),
        "refused_by_reason": dict(reasons.most_common()),
        "skipped": {"hidden": num_hidden} if num_hidden else {},
    }
    pictures = [
        answer | {"problem": answer["problem"].to_json()} if "problem" in answer else answer
        for answer in answers
    ]
    return {"pictures": pictures, **counts}, 201 if counts["taken"] else 200


def _is_small(archive: SafeZip) -> bool:
    """Return whether a zip can be processed within one request."""
    limits = InlineLimits()
    return len(archive.entries) <= limits.max_entries and archive.num_bytes <= limits.max_total_bytes


def _require_small(archive: SafeZip) -> None:
    if not _is_small(archive):
        detail = "A zip this large becomes a job, which is possible when it is the only file of its request."
        raise Problem(422, "zip-not-alone", "Send the zip alone", detail, reason="zip-not-alone")


class _Budget:
    """The remaining time and pixels of one request."""

    def __init__(self, limits: RequestLimits) -> None:
        self._limits, self._pixels = limits, 0
        self._deadline = time.monotonic() + limits.max_seconds

    def spend(self, taken: Taken) -> None:
        self._pixels += taken.width * taken.height

    def check(self) -> None:
        """Raise Refused if one more file would exceed a limit."""
        if self._pixels >= self._limits.max_pixels:
            detail = (
                f"expected at most {self._limits.max_pixels:,} pixels in one request; send the rest again"
            )
            raise Refused("request_too_large", detail)
        if time.monotonic() >= self._deadline:
            detail = f"one request may take {self._limits.max_seconds:.0f} s; send the rest again"
            raise Refused("request_too_slow", detail)


def _answer(raw: PictureBucket, name: str, read: Any, budget: _Budget) -> dict[str, Any]:
    """Return one file's result: its id and what it is, or a Problem under "problem"."""
    try:
        budget.check()
        taken = take(raw, read(), make_origin("upload", name=name), examine=_decoders().examine)
    except (PictureError, Refused) as error:
        return {"name": name, "problem": _refusal(error, name)}
    budget.spend(taken)
    return {
        "name": name,
        "id": taken.picture_id,
        "duplicate": taken.outcome != "taken",
        "format": taken.format,
        "width": taken.width,
        "height": taken.height,
    }


def _refusal(error: PictureError | Refused, name: str) -> Problem:
    if error.code == "withdrawn":
        status, type, title = 409, "picture-withdrawn", "The picture was withdrawn"
    elif error.code in _NO_PICTURE:
        status, type, title = 415, "not-a-picture", "Not a picture that is read here"
    else:
        status, type, title = 422, "picture-unreadable", "The picture cannot be read"
    if error.code in _TOO_LARGE:
        status = 413
    return Problem(status, type, title, error.detail, reason=error.code, name=name)


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[SafeZip]:
    """Open a zip in a received file. Raises Problem if it is unreadable."""
    try:
        with SafeZip(file) as archive:  # type: ignore[arg-type]
            yield archive
    except BadZip as error:
        raise source_problem(SourceError("zip-unreadable", str(error))) from error
