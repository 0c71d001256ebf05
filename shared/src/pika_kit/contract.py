"""What a service's OpenAPI document says beyond the views' own schemas.

    @blueprint.get("/things/<name>", responses=answers(ThingAnswer, 404))

A view names its success model and the problems it may return. `finish` adds what applies to every operation
(a missing key, an unknown parameter, an unreachable store) and gives problems their media type.
"""

import json
import re
from http import HTTPStatus
from typing import Any, Literal

from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"
_EXAMPLE_ID = "3f2b8c1d9a4e4f0b8c7d6e5f4a3b2c1d"

# status → (type, title, detail) for the example; an operation's own types are in its description.
_EXAMPLES = {
    400: ("json-unreadable", "The body cannot be read as JSON", "Expecting value at line 1, column 9"),
    401: (
        "api-key-required",
        "An API key is required",
        "Send the header 'Authorization: Bearer KEY' with one of the operator's keys.",
    ),
    403: ("location-forbidden", "The location may not be read", "It is in none of the allowed folders."),
    404: ("not-found", "Not Found", "There is nothing of that name."),
    406: (
        "not-acceptable",
        "Not Acceptable",
        "Accept: expected application/json; received text/html.",
    ),
    409: ("conflict", "It cannot be done now", "There is no earlier version."),
    410: ("job-expired", "Expired job", "The job has expired: its record was removed."),
    413: ("request-entity-too-large", "Request Entity Too Large", "The body is larger than the limit."),
    415: (
        "unsupported-media-type",
        "Unsupported Media Type",
        "Content-Type: expected application/json; received text/plain.",
    ),
    422: ("request-invalid", "The request does not fit", 'n: expected a whole number; received "x"'),
    429: ("busy", "Too many requests at once", "Try again in a few seconds."),
    503: (
        "object-store-unavailable",
        "The object store is unavailable",
        "The object store does not answer; try again in a few seconds.",
    ),
}
_JOB_HEADERS = {
    "Location": {"schema": {"type": "string"}, "description": "Where the job is looked up"},
    "Idempotency-Replayed": {
        "schema": {"type": "string"},
        "description": "true: an earlier request with the same key started the job",
    },
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of the client's choice for this request. Sent again within a day with the same "
    "key, the same request gets the job that the first one started; another request gets 422.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}


class FieldProblem(BaseModel):
    """One invalid field."""

    where: str = Field(description="The field's name, with dots before what lies inside it")
    expected: str
    received: str = Field(description="As JSON, shortened")


class ProblemDetails(BaseModel):
    """A problem (RFC 9457): what is wrong and what was expected."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable: urn:pikastack:problem:…", pattern="^urn:pikastack:problem:")
    title: str = Field(description="The kind of problem, the same each time")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What is wrong this time, and what to do")
    request_id: str | None = Field(description="As in the header X-Request-Id and in the log")
    errors: list[FieldProblem] = Field(
        default=[], max_length=5, description="Of a request that does not fit, the first five"
    )


Responses = dict[str | int | HTTPStatus, type[BaseModel] | dict[Any, Any] | None]
"""As flask-openapi3 takes them: by status."""
_REFERENCE = "#/components/schemas/{model}"
_MODELS: dict[str, type[BaseModel]] = {}
"""The models of answers by title; a document gets those that it refers to."""


def api_blueprint(name: str, import_name: str, tag: Tag) -> APIBlueprint:
    """A blueprint that names operations after their views; view names are unique across the stack."""
    return APIBlueprint(name, import_name, abp_tags=[tag], operation_id_callback=_own_name)


def _own_name(*, name: str, path: str, method: str) -> str:  # noqa: ARG001 — as it is called
    return name


def answers(success: type[BaseModel] | dict[str, Any], *problems: int, status: int = 200) -> Responses:
    """Build a view's `responses`: its success (a model or a `media` result) and problem statuses."""
    described = (
        success
        if isinstance(success, dict)
        else {"description": _sentence(success), "content": in_json(success)}
    )
    return {status: described, **{code: {} for code in problems}}


def example(value: dict[str, Any], *, extra: Literal["allow", "ignore"] = "ignore") -> ConfigDict:
    """Build a `model_config` with an example; use `extra="allow"` for models with open-ended fields."""
    return ConfigDict(json_schema_extra={"examples": [value]}, extra=extra)


def in_json(model: type[BaseModel]) -> dict[str, Any]:
    """Build the `content` of a JSON response."""
    known = _MODELS.setdefault(model.__name__, model)
    if known is not model:
        raise ValueError(f"expected one model of this name, received {known} and {model}")
    return {JSON_TYPE: {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def media(
    *content_types: str, description: str = "The bytes", headers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Describe a non-JSON success: bytes of one of `content_types`; `headers` are strings."""
    return {
        "description": description,
        "headers": {name: {"schema": {"type": "string"}} for name in headers},
        "content": {kind: _schema_of(kind) for kind in content_types},
    }


def _schema_of(content_type: str) -> dict[str, Any]:
    """Server-sent events describe each event's own schema, if any."""
    if content_type == "text/event-stream":
        return {}
    return {"schema": {"type": "string", "format": "binary"}}


def picture_body(*, many: bool) -> dict[str, Any]:
    """Build the `openapi_extensions` of an operation that takes pictures (see `received`)."""
    base64 = {
        "type": "string",
        "format": "byte",
        "contentEncoding": "base64",
        "description": "Base64, or a data URL",
    }
    one = {"type": "object", "properties": {"image": base64 | {"minLength": 1}}, "required": ["image"]}
    forms: list[dict[str, Any]] = [one | {"additionalProperties": False}]
    files: dict[str, Any] = {"type": "string", "format": "binary"}
    if many:
        # In a list each picture has its own answer, an empty one too.
        listed = {"type": "array", "items": base64, "minItems": 1}
        several = {"type": "object", "properties": {"images": listed}, "required": ["images"]}
        forms.append(several | {"additionalProperties": False})
        files = {"type": "array", "items": files, "minItems": 1}
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {
        "image/*": binary,
        "application/octet-stream": binary,
        "multipart/form-data": {"schema": form_with(files)},
        JSON_TYPE: {"schema": {"oneOf": forms} if len(forms) > 1 else forms[0]},
    }
    return {"requestBody": {"required": True, "content": content}}


def form_with(file: dict[str, Any]) -> dict[str, Any]:
    """Build the schema of a form with the single field `file`."""
    return {
        "type": "object",
        "properties": {"file": file},
        "required": ["file"],
        "additionalProperties": False,
    }


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """Add to `document`, in place, what applies to every operation, and return it."""
    components = document["components"]
    schemas = components["schemas"]
    for item in document["paths"].values():
        for method, operation in item.items():
            operation.pop("deprecated", None)
            if "description" in operation:
                operation["description"] = operation["description"].replace("<br/>", "\n").strip()
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _without_null(parameter["schema"])
            if method == "post" and "202" in operation["responses"]:
                operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
                operation["responses"]["202"]["headers"] = _JOB_HEADERS
            _settle_body(operation, schemas)
    for path, item in document["paths"].items():
        for operation in item.values():
            _add_problems(path, operation)
    codes = sorted(set(re.findall(r"/responses/Problem(\d{3})", json.dumps(document["paths"]))))
    components["responses"] = {f"Problem{code}": _problem(int(code)) for code in codes}
    _add_models(document)
    document["security"] = [{"api_key": []}, {}]
    document["servers"] = [{"url": "/", "description": "Where this document comes from"}]
    return document


def _settle_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Mark a body as optional when all of its fields are."""
    body = operation.get("requestBody")
    if body and set(body["content"]) == {JSON_TYPE}:
        name = body["content"][JSON_TYPE]["schema"]["$ref"].rsplit("/", 1)[-1]
        body["required"] = bool(schemas[name].get("required") or schemas[name].get("oneOf"))


def _add_models(document: dict[str, Any]) -> None:
    """Move nested definitions into shared components, so that each model is defined once."""
    schemas = document["components"]["schemas"]
    schemas.pop("ValidationErrorModel", None)
    while True:
        named = set(re.findall(r"#/components/schemas/([\w.-]+)", json.dumps(document)))
        missing = sorted(named - set(schemas))
        if not missing:
            break
        for name in missing:
            schema = _MODELS[name].model_json_schema(ref_template=_REFERENCE, mode="serialization")
            schemas |= schema.get("$defs", {}) | {name: schema}
    for schema in schemas.values():
        schema.pop("$defs", None)
    document["components"]["schemas"] = {name: schemas[name] for name in sorted(named)}


def _add_problems(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if path.endswith("/health/live"):
        responses.pop("422", None)
        return
    codes = {code for code in responses if int(code) >= 400} | {"401", "422", "503"}
    if any(response.get("content") for code, response in responses.items() if int(code) < 300):
        codes.add("406")
    body = operation.get("requestBody")
    if body:
        codes |= {"413", "415"} | ({"400"} if JSON_TYPE in body["content"] else set())
    for code in codes:
        is_own = responses.get(code, {}).get("content") and code != "422"
        if not is_own:  # readiness has a 503 response of its own
            responses[code] = {"$ref": f"#/components/responses/Problem{code}"}
    operation["responses"] = dict(sorted(responses.items()))


def _problem(status: int) -> dict[str, Any]:
    type, title, detail = _EXAMPLES[status]
    example = {
        "type": f"urn:pikastack:problem:{type}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": _EXAMPLE_ID,
    }
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    documented: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_TYPE: {"schema": schema, "example": example}},
    }
    if status in (429, 503):
        documented["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "string"}}}
    return documented


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0].rstrip(".")


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Parameters may be omitted but are never null, so drop the null alternative."""
    if "anyOf" not in schema:
        return {name: value for name, value in schema.items() if name != "default" or value is not None}
    kinds = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    return rest | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


in_json(ProblemDetails)
