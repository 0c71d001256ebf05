"""HTTP requests to a stack: problems as exceptions, retries, a job's events."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from pikastack.typed import command

CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
EVENT_SECONDS = 40.0
"""A stream of events that is silent for longer is taken for dead; services send a sign of life every 15 s."""
POLL_SECONDS = 1.0
OVER = {"finished", "failed", "cancelled"}
_BUSY = {429, 503}
_RETRIES = 4

Fields = Sequence[tuple[str, tuple[str, bytes, str]]]


class ServiceError(Exception):
    """A service answered with a problem, or not at all."""

    def __init__(self, message: str, *, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = dict(problem or {})

    @property
    def kind(self) -> str:
        """The problem's stable name, such as "model-missing"; empty without a response."""
        return str(self.problem.get("type", "")).rsplit(":", 1)[-1]


@dataclass(frozen=True)
class Answer:
    """A successful response."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.data)


class Connection:
    """One stack, by its gateway's URL. Thread-safe."""

    def __init__(self, url: str, api_key: str | None = None, authorities: str | None = None) -> None:
        """Connect to nothing yet. `authorities`: a PEM file that replaces the system's certificates."""
        self.url = url.rstrip("/")
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        self._pool = urllib3.PoolManager(maxsize=8, timeout=timeout, retries=False, ca_certs=authorities)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def get(self, path: str, **query: Any) -> Answer:
        """GET with query parameters; None values are left out."""
        return self._request("GET", path, fields={k: str(v) for k, v in query.items() if v is not None})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """POST with an optional JSON body; None fields are left out."""
        return self._request("POST", path) if body is None else self._send_json("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Answer:
        """PUT with a JSON body."""
        return self._send_json("PUT", path, body)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self._request("DELETE", path)

    def post_bytes(self, path: str, data: bytes, content_type: str) -> Answer:
        """POST a body as it is."""
        return self._request("POST", path, body=data, headers={"Content-Type": content_type})

    def post_files(self, path: str, files: Sequence[tuple[str, bytes]]) -> Answer:
        """POST files as multipart; `files` are (name, content)."""
        fields = [("file", (name, data, "application/octet-stream")) for name, data in files]
        return self._request("POST", path, fields=fields)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job's view."""
        view: dict[str, Any] = self.get(f"/jobs/{job_id}").json()
        return view

    def watch(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Yield the job's view at each change until it ends, from its events or by polling."""
        view: dict[str, Any] = {}
        while view.get("status") not in OVER:
            try:
                for view in self._events(job_id):
                    yield view
                    if view["status"] in OVER:
                        return
            except (HTTPError, ValueError):
                pass  # the stream ended, for example because a service restarted; the job continues
            time.sleep(POLL_SECONDS)
            view = self.job(job_id)
            yield view

    def _events(self, job_id: str) -> Iterator[dict[str, Any]]:
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=EVENT_SECONDS)
        response = self._pool.request(
            "GET",
            f"{self.url}/jobs/{job_id}/events",
            headers={**self._headers, "Accept": "text/event-stream"},
            preload_content=False,
            timeout=timeout,
        )
        try:
            if response.status != 200:
                return
            buffer = b""
            # The body is chunked, so each piece arrives as soon as it is sent.
            for chunk in response.stream(65_536):
                buffer += chunk
                *events, buffer = buffer.split(b"\n\n")
                for event in events:
                    lines = event.decode().splitlines()
                    data = "".join(line[5:] for line in lines if line.startswith("data:"))
                    if data:
                        yield json.loads(data)
        finally:
            response.close()

    def _send_json(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        data = json.dumps({k: v for k, v in body.items() if v is not None}).encode()
        return self._request(method, path, body=data, headers={"Content-Type": "application/json"})

    def _request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **content: Any
    ) -> Answer:
        sent = {**self._headers, **(headers or {})}
        if method == "POST":
            # With the key, a repeated request finds the job that the first one started.
            sent["Idempotency-Key"] = uuid.uuid4().hex
        may_repeat = method in ("GET", "POST")
        for attempt in range(_RETRIES):
            try:
                response = self._pool.request(method, f"{self.url}{path}", headers=sent, **content)
            except HTTPError as error:
                raise ServiceError(_no_answer(self.url, error)) from error
            wait = response.headers.get("Retry-After", "")
            is_busy = response.status in _BUSY and wait.isdigit() and int(wait) <= 10
            if is_busy and may_repeat and attempt < _RETRIES - 1:
                time.sleep(int(wait))
                continue
            break
        if response.status >= 400:
            raise _problem(response.status, response.data, f"{method} {path}")
        return Answer(response.status, response.headers, response.data)


def _no_answer(url: str, error: HTTPError) -> str:
    if isinstance(error, urllib3.exceptions.SSLError):
        return (
            f"{url}: its certificate is not believed: {error}. For one of Caddy's own: docker compose cp "
            "front:/data/pki/authorities/local/root.crt . and --authorities root.crt"
        )
    is_late = isinstance(error, urllib3.exceptions.TimeoutError)
    reason = "it does not answer in time" if is_late else "nobody answers"
    return f"{url}: {reason}. Start a stack with `{command()} up`, or name another one with --url."


def _problem(status: int, body: bytes, what: str) -> ServiceError:
    """Convert a problem+json response to an error with the problem's own words."""
    try:
        problem = json.loads(body)
        detail = problem.get("detail") or problem.get("title") or ""
        title = problem.get("title", "")
    except (ValueError, AttributeError):
        problem, title, detail = {}, f"{what} was answered {status}", body[:200].decode("utf-8", "replace")
    message = detail if title in ("", detail) else f"{title}: {detail}"
    if problem.get("request_id") and status == 500:
        message += f" (request {problem['request_id']})"
    return ServiceError(message, status=status, problem=problem)
