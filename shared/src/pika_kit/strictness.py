"""Nothing that a client sends is silently ignored: requests are checked against the service's own document.

Before a view runs, its operation in the OpenAPI document tells which query parameters exist, whether a body
is expected and of which type, and what may be returned. Anything else is a problem that names the field.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Flask, Request, request
from flask.json.provider import DefaultJSONProvider

from pika_kit.contract import JSON_TYPE
from pika_kit.problems import Problem

_PARAMETER = re.compile(r"<(?:[^<:]+:)?([^<>]+)>")
_KEY = re.compile(r"[!-~]{1,128}")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


_KINDS = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


@dataclass(frozen=True)
class Expected:
    """What one operation accepts and returns."""

    queries: frozenset[str]
    repeatable: frozenset[str]
    body_types: frozenset[str]
    needs_body: bool
    takes_key: bool
    gives: tuple[str, ...]


class StrictJSON(DefaultJSONProvider):
    """Flask's JSON provider, which also rejects duplicate names, NaN and unpaired surrogates."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse strictly. Raises ValueError."""
        value = json.loads(
            s, object_pairs_hook=_once_each, parse_constant=_no_constant, parse_float=_number, **kwargs
        )
        text = s.decode(errors="replace") if isinstance(s, bytes) else s
        if _ESCAPED_HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
        return value


class StrictRequest(Request):
    """Flask's request, with a problem that says where unreadable JSON is wrong."""

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Raise Problem: 415 if the type is not JSON, 400 if the body is not valid."""
        if e is None:
            raise Problem(
                415,
                "unsupported-media-type",
                "Unsupported Media Type",
                f"Content-Type: expected {JSON_TYPE}; received {self.content_type or 'none'}.",
                expected=JSON_TYPE,
                received=self.content_type or "none",
            )
        raise Problem(
            400,
            "json-unreadable",
            "The body cannot be read as JSON",
            f"{e}"[:300],
            expected="JSON, each name once, without NaN and Infinity",
            received=self.get_data()[:80].decode("utf-8", "replace"),
        ) from e


def install(app: Flask) -> None:
    """Check every request against `app`'s document."""
    app.json = StrictJSON(app)
    app.request_class = StrictRequest
    table: dict[tuple[str, str], Expected] = {}

    @app.before_request
    def check() -> None:
        if request.url_rule is None:
            return
        if not table:
            table.update(expectations(app.api_doc))  # type: ignore[attr-defined]
        method = "GET" if request.method == "HEAD" else request.method
        expected = table.get((_PARAMETER.sub(r"{\1}", request.url_rule.rule), method))
        if expected is not None:
            check_query(expected)
            _check_key(expected)
            _check_accept(expected)
            _check_body(expected)


def expectations(document: dict[str, Any]) -> dict[tuple[str, str], Expected]:
    """Map (path, method) to what the operation accepts and returns."""
    operations = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            parameters = operation.get("parameters", [])
            queries = [one for one in parameters if one["in"] == "query"]
            body = operation.get("requestBody", {})
            operations[path, method.upper()] = Expected(
                queries=frozenset(one["name"] for one in queries),
                repeatable=frozenset(one["name"] for one in queries if _is_list(one["schema"])),
                body_types=frozenset(body.get("content", {})),
                needs_body=body.get("required", False),
                takes_key=any(one["name"] == "Idempotency-Key" for one in parameters),
                gives=tuple(
                    kind
                    for code, answer in operation["responses"].items()
                    if int(code) < 300
                    for kind in answer.get("content", {})
                ),
            )
    return operations


def check_query(expected: Expected) -> None:
    """Raise Problem (422) for an unknown query parameter, or for a repeated one that takes a single value."""
    unknown = sorted(set(request.args) - expected.queries)
    twice = sorted(
        name
        for name in request.args
        if name not in expected.repeatable and len(request.args.getlist(name)) > 1
    )
    known = f"one of {', '.join(sorted(expected.queries))}" if expected.queries else "no query parameters"
    errors = [{"where": name, "expected": known, "received": "an unknown parameter"} for name in unknown]
    errors += [
        {"where": name, "expected": "one value", "received": f"{len(request.args.getlist(name))} values"}
        for name in twice
        if name not in unknown
    ]
    if not errors:
        return
    first = errors[0]
    detail = f"{first['where'][:80]}: expected {first['expected']}; received {first['received']}."
    if unknown and JSON_TYPE in expected.body_types:
        detail += " Fields of the body come as JSON."
    raise Problem(422, "request-invalid", "The request does not fit", detail, errors=errors[:5])


def unknown_fields(names: set[str], advice: str) -> Problem:
    """Build the problem for form fields that the operation does not read.

    Args:
        names: of the fields.
        advice: what to do instead, as a sentence.
    """
    listed = sorted(names)
    errors = [{"where": name, "expected": "no field of this name", "received": "a field"} for name in listed]
    detail = f"{', '.join(listed)[:200]}: expected no form field of this name. {advice}"
    return Problem(422, "request-invalid", "The request does not fit", detail, errors=errors[:5])


def _check_key(expected: Expected) -> None:
    key = request.headers.get("Idempotency-Key")
    if key is None or not expected.takes_key or _KEY.fullmatch(key):
        return
    raise Problem(
        422,
        "request-invalid",
        "The request does not fit",
        "Idempotency-Key: expected 1 to 128 printable ASCII characters without spaces.",
        received=key[:80],
    )


def _check_accept(expected: Expected) -> None:
    accepted = request.accept_mimetypes
    if not expected.gives or not accepted.provided or accepted.best_match(expected.gives):
        return
    raise Problem(
        406,
        "not-acceptable",
        "Not Acceptable",
        f"Accept: expected {', '.join(expected.gives)}; received {accepted.to_header()[:200]}.",
        expected=list(expected.gives),
        received=accepted.to_header()[:200],
    )


def _check_body(expected: Expected) -> None:
    has_body = bool(request.content_length) or "chunked" in request.headers.get("Transfer-Encoding", "")
    if not expected.body_types:
        if has_body:
            raise Problem(
                422,
                "request-invalid",
                "The request does not fit",
                "The body: expected none.",
                expected="no body",
                received=f"a body of type {request.mimetype or '(none)'}",
            )
        return
    if expected.body_types != {JSON_TYPE}:
        return  # the view itself reads it, in one of several forms
    if not has_body:
        if expected.needs_body:
            raise Problem(
                422,
                "request-invalid",
                "The request does not fit",
                "The body: expected a JSON object; received nothing.",
                expected="a JSON object",
                received="no body",
            )
        return
    body = request.get_json()  # parsed and kept for the view; raises Problem if unreadable
    if not isinstance(body, dict):
        raise Problem(
            422,
            "request-invalid",
            "The request does not fit",
            f"The body: expected a JSON object; received {_KINDS[type(body)]}.",
            expected="a JSON object",
            received=_KINDS[type(body)],
        )


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique: dict[str, Any] = {}
    for name, value in pairs:
        if name in unique:
            raise ValueError(f"{name[:80]!r}: expected once; received twice")
        unique[name] = value
    return unique


def _number(text: str) -> float | int:
    """Return whether a JSON number is integral: 7.0 is."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"expected finite numbers; received {name}")


def _is_list(schema: dict[str, Any]) -> bool:
    kinds = [schema, *schema.get("anyOf", [])]
    return any(kind.get("type") == "array" for kind in kinds)
