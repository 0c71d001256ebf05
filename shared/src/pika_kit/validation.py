"""Pydantic's validation errors in words that say what was expected and what was received."""

import json
import re
from typing import Any

from pydantic import ValidationError

MOST_ERRORS = 5
MOST_CHARACTERS = 200
_BRANCHES = {"int", "str", "float", "bool", "list[str]", "list[int]", "function-before", "constrained-str"}

_OURS = re.compile(
    r"(?:(?P<where>\w+): )?expected (?P<expected>.*?)(?:[,;] received (?P<received>.*))?", re.DOTALL
)
# pydantic's error type → what was expected; braces are filled from its context.
_WORDS = {
    "missing": "a value",
    "extra_forbidden": "no field of this name",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "list_type": "a list",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}


def described(error: ValidationError) -> tuple[str, list[dict[str, str]], int]:
    """Summarise errors: a sentence, the first as {"where", "expected", "received"}, their number."""
    by_place: dict[tuple[str, str], dict[str, str]] = {}
    for one in error.errors(include_url=False):
        entry = _entry(one)
        by_place.setdefault((entry["where"], entry["expected"]), entry)
    errors = list(by_place.values())
    first = errors[0]
    detail = f"{first['where'] or 'the request'}: expected {first['expected']}; received {first['received']}"
    if len(errors) > 1:
        others = [entry["where"] or "the request" for entry in errors[1:MOST_ERRORS]]
        more = f", and {len(errors) - MOST_ERRORS} more" if len(errors) > MOST_ERRORS else ""
        detail += f"; also {', '.join(others)}{more}"
    return detail, errors[:MOST_ERRORS], len(errors)


def _entry(one: Any) -> dict[str, str]:
    """Convert one error. Our own validators write "expected …, received …", some with the field in front."""
    where = ".".join(str(part) for part in one["loc"] if not _is_branch(part))
    kind, context = one["type"], one.get("ctx", {})
    received = "nothing" if kind == "missing" else _as_json(one["input"])
    if kind in ("literal_error", "enum"):
        expected = "one of " + context["expected"].replace("'", "").replace(" or ", ", ")
    elif kind in _WORDS:
        expected = _WORDS[kind].format(**context)
    elif "error" in context and (said := _OURS.fullmatch(str(context["error"]))):
        where = said["where"] or where
        expected, received = said["expected"], said["received"] or received
    else:
        expected = str(context.get("error", one["msg"]))
    return {"where": where, "expected": expected, "received": received}


def _is_branch(part: str | int) -> bool:
    """Return whether pydantic's location is a branch of a union rather than a field."""
    return isinstance(part, str) and (part in _BRANCHES or part.startswith(("function-", "list[", "model-")))


def _as_json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:
        text = str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
