"""Gunicorn's worker, which answers what never reaches a service with a problem, as the services do.

Gunicorn itself answers with a page of HTML where a line or headers are too long or are not HTTP.
"""

import json
from typing import Any

from gunicorn.http import errors
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from pika_kit.problems import Problem

_UNREADABLE = (
    errors.InvalidRequestLine,
    errors.InvalidRequestMethod,
    errors.InvalidHTTPVersion,
    errors.InvalidHeader,
    errors.InvalidHeaderName,
    errors.ObsoleteFolding,
)
_OF_THE_RESPONSE = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_REASONS = {400: "Bad Request", 414: "URI Too Long", 431: "Request Header Fields Too Large"}


class Worker(ThreadWorker):
    """A worker with threads whose own refusals are problems."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be read, and leave all other errors to gunicorn."""
        problem = problem_of(exc, self.cfg.limit_request_line)
        if problem is None:
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("refused a request with %s: %s", problem.status, exc)
        try:
            write_nonblock(client, response_of(problem))
        except OSError:
            self.log.debug("the client of a refused request has gone")


def problem_of(error: BaseException, longest_line: int) -> Problem | None:
    """Return the problem of a request that gunicorn refuses; None if it is not the request's fault.

    Args:
        error: what gunicorn raised.
        longest_line: bytes that it accepts as the first line of a request.
    """
    if isinstance(error, errors.LimitRequestLine):
        detail = (
            f"Expected a method, path and query of at most {longest_line:,} bytes together; "
            "where there is a POST that does the same, its body has room for more."
        )
        return Problem(414, "uri-too-long", _REASONS[414], detail)
    if isinstance(error, errors.LimitRequestHeaders):
        detail = f"Expected shorter or fewer headers: {error}."
        return Problem(431, "headers-too-large", _REASONS[431], detail)
    if isinstance(error, _UNREADABLE) and not isinstance(error, _OF_THE_RESPONSE):
        return Problem(400, "request-unreadable", "The request cannot be read as HTTP", f"{error}.")
    return None


def response_of(problem: Problem) -> bytes:
    """Return a complete HTTP response, after which the connection is closed."""
    body = json.dumps(problem.body).encode()
    head = (
        f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*head, "", ""]).encode() + body
